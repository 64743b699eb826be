"""Stimuli: what is shown to a subject. Corpora with a fixed split, scenes that can be edited exactly, text edits."""

from maieutic.stimuli.base import SPLITS, Corpus, Split, Stimulus, Thing, split_of
from maieutic.stimuli.corpora import NAMES, load_corpus

__all__ = ["NAMES", "SPLITS", "Corpus", "Split", "Stimulus", "Thing", "load_corpus", "split_of"]
