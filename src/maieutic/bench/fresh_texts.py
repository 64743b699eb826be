"""Texts that no explainer has seen and that tell causes from correlates: held-out ones, and edits of them.

On natural stimuli a label may be right for the wrong reason (the word that always comes before). The edits put the
words or things that a planted unit is about where they are not expected, and take them away where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maieutic.stimuli.base import Stimulus
from maieutic.subjects.planted import PlantedUnit

#: stimuli of each sort
NATURAL, EDITED = 150, 60
#: a longer text is cut to a window of this many tokens
WINDOW = 250
_SPOTS = 5


def fresh_texts(unit: PlantedUnit, test: Sequence[Stimulus], *, seed: int = 0) -> tuple[list[str], list[str]]:
    """Held-out texts, up to half of them such that the unit is truly active, and edits of them."""
    rng = np.random.default_rng(seed)
    texts = [str(s.content) for s in test]
    order = [int(i) for i in rng.permutation(len(texts))]
    about = set(unit.involved)
    active = [i for i in order if unit.truth([texts[i]])[0].max(initial=0.0) >= 0.5]
    chosen = [*dict.fromkeys([*active[: NATURAL // 2], *order])][:NATURAL]
    natural = [_window(unit, texts[i], about, rng) for i in chosen]
    vocabulary = [t.text for text in natural for t in unit.subject.tokens(text) if t.text.isalpha()]
    if not vocabulary:
        return natural, []
    edited = [_edited(unit, natural[i % len(natural)], vocabulary, rng) for i in range(EDITED)]
    return natural, edited


def _window(unit: PlantedUnit, text: str, about: set[str], rng: np.random.Generator) -> str:
    """A long text cut around one of the words, else from a random token."""
    tokens = unit.subject.tokens(text)
    if len(tokens) <= WINDOW:
        return text
    hits = [i for i, t in enumerate(tokens) if t.text.lower() in about]
    middle = hits[int(rng.integers(len(hits)))] if hits else int(rng.integers(len(tokens)))
    first = min(max(middle - WINDOW // 2, 0), len(tokens) - WINDOW)
    return text[tokens[first].start : tokens[first + WINDOW - 1].end]


def _edited(unit: PlantedUnit, text: str, vocabulary: Sequence[str], rng: np.random.Generator) -> str:
    """Words replaced in place: the unit's words near one another at a few spots; half of those there taken out."""
    tokens = unit.subject.tokens(text)
    new = {i: t.text for i, t in enumerate(tokens)}
    about = list(unit.involved)
    for i, t in enumerate(tokens):
        if t.text.lower() in about and rng.random() < 0.5:
            new[i] = vocabulary[int(rng.integers(len(vocabulary)))]
    letters = [i for i, t in enumerate(tokens) if t.text.isalpha()]
    for _ in range(_SPOTS if letters else 0):
        spot = int(rng.integers(len(letters)))
        for word in about or vocabulary[:1]:
            at = letters[int(np.clip(spot + rng.integers(-3, 4), 0, len(letters) - 1))]
            if rng.random() < 0.7:
                new[at] = word
    pieces, done = list[str](), 0
    for i, t in enumerate(tokens):
        pieces += [text[done : t.start], new[i]]
        done = t.end
    return "".join([*pieces, text[done:]])
