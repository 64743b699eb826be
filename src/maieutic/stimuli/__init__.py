"""Stimuli: what is shown to a subject. Corpora with a fixed split, scenes that can be edited exactly, text edits."""
