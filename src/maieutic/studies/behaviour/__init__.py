"""How models behave, beside how well they can be interpreted: preferences between passages, and tasks of other harnesses.

What this room does not do: it ships no items. They come from the user's file, from a package that the user's index serves, or
through lm-eval.
"""

from __future__ import annotations

from maieutic.studies.behaviour.measure import Behaviour, compare, measure_pairs
from maieutic.studies.behaviour.pairs import Pair, PairSet, load_pairs

__all__ = ["Behaviour", "Pair", "PairSet", "compare", "load_pairs", "measure_pairs"]
