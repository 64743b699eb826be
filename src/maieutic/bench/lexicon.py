"""Word classes that somebody else defined: the kinds of thing that a word names, from WordNet.

Planted subjects know no lexicon; the bench hands them this one. Only words that are mostly used as nouns have kinds.
Without the package there are none, and planting does without.
"""

from __future__ import annotations

from functools import lru_cache

from maieutic.stimuli.wordnet import first_lexname, open_wordnet

#: kinds above these say too little to be a class of words
_VAGUE = frozenset({"thing", "object", "person", "entity", "abstraction", "whole", "unit", "group"})


@lru_cache(maxsize=65536)
def kinds(word: str) -> tuple[str, ...]:
    """What a word names, specific to general (``gorilla``: ape, primate, animal); nothing for other words."""
    database = open_wordnet()
    lexname = first_lexname(word)
    if database is None or lexname is None or not lexname.startswith("noun."):
        return ()
    return tuple(k for k in database.concepts(word, lexnames=(lexname,)) if k not in _VAGUE and k != word)
