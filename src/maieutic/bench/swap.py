"""A corpus in invented words: every word exchanged for another that no language has, the same one everywhere.

Marks, digits, capitals, lines and lengths stay. What can be found in the texts by their own evidence can still be
found; what an explainer knows by heart (lists of words, a lexicon, endings of English) is of no use.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np

from maieutic.stimuli.base import Corpus
from maieutic.stimuli.texts import text_stimulus

_WORD = re.compile(r"[A-Za-z]+")
_FIRST, _SECOND = "bdfgklmnprstvz", "aeiou"


def swapped(corpus: Corpus, *, seed: int = 0) -> Corpus:
    """The corpus with each distinct word (lower case) mapped to one invented word, and no two to the same."""
    texts = [str(s.content) for s in corpus.stimuli]
    words = sorted(Counter(m.group().lower() for t in texts for m in _WORD.finditer(t)))
    table = vocabulary(words, seed=seed)
    stimuli = [
        text_stimulus(_WORD.sub(lambda m: _cased(table[m.group().lower()], m.group()), t), like=s)
        for t, s in zip(texts, corpus.stimuli, strict=True)
    ]
    return replace(corpus, name=f"{corpus.name}-swapped", stimuli=stimuli)


def vocabulary(words: list[str], *, seed: int = 0) -> dict[str, str]:
    """Word -> invented word, one to one; lengths stay where there are enough words of that length."""
    rng, taken, table = np.random.default_rng([seed, 13]), set(words), dict[str, str]()
    for word in words:
        size, tries = len(word), 0
        while (new := _invented(size, rng)) in taken:
            tries += 1
            size += tries % 20 == 0  # short words run out
        taken.add(new)
        table[word] = new
    return table


def _invented(size: int, rng: np.random.Generator) -> str:
    """Consonants and vowels in turn."""
    first = int(rng.integers(2))
    kinds = (_FIRST, _SECOND)
    return "".join(kinds[(first + i) % 2][int(rng.integers(len(kinds[(first + i) % 2])))] for i in range(size))


def _cased(new: str, old: str) -> str:
    if old.isupper() and len(old) > 1:
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new
