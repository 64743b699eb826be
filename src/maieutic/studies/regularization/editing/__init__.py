"""Editability: how well facts can be changed in a model, and what else changes with them.

- `sites`, `keys`, `values`: where an edit is made, what it ties to what; `interference`: what facts share before any edit;
- `rank_one`, `memit`, `fine_tune`: ways of editing; `sequential`: many edits one after another; `unlearning`: the opposite task;
- `cases`: which facts are edited and what is asked afterwards; `scores`: how answers are marked;
- `measure.measure_editing`: all of it, for one model, as rows of the study.

What this package does not do: train models, or compare them.
"""
