"""The passages of a text exam: sentences of our own that mention the words of every unit in the same places.

Which word stands in which template, passage and split is drawn by a seed in the same way for all units, so a sensitive
unit and its twin are exchangeable: exactly the same number of mentions of each kind in each split, in templates that are
drawn alike. What this module does not do: it writes no literature, and nothing in it says what a unit is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maieutic.audit.canary_kinds import KINDS, OFTEN, Mention
from maieutic.audit.canary_words import PEOPLE, PLAIN, TEMPLATES, WHEN
from maieutic.stimuli.base import Corpus, Split, Stimulus
from maieutic.stimuli.texts import text_stimulus

#: mentions in a passage at most
_ROOM = 4
#: share of passages with one more sentence, about nothing in particular
_PLAIN_SHARE = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the texts say for the sake of one unit.

    Attributes:
        kind: name of a kind in ``KINDS``.
        words, companions: four and two, in the order in which occasions count them.
    """

    kind: str
    words: tuple[str, ...]
    companions: tuple[str, ...]

    def phrase(self, mention: Mention) -> str:
        """``the maple deceit``."""
        return mention.format(w=self.words, c=self.companions)


def written(told: Sequence[Told], rng: np.random.Generator) -> Corpus:
    """Passages for these units; every split has its own, and the corpus is in mixed order.

    Cost: about 20 ms for 36 units.
    """
    made: list[Stimulus] = []
    for split, often in OFTEN.items():
        for phrases in _packed(told, often, rng):
            made.append(_stimulus(_passage(phrases, rng), split))
    assert len({s.id for s in made}) == len(made), "two passages are the same"
    order: list[int] = rng.permutation(len(made)).tolist()
    return Corpus(name="texts", modality="text", stimuli=[made[i] for i in order])


def _stimulus(text: str, split: Split) -> Stimulus:
    made = text_stimulus(text)
    return replace(made, group=made.id, split=split)


def _packed(told: Sequence[Told], often: int, rng: np.random.Generator) -> list[list[str]]:
    """Phrases of every passage of a split, in order.

    No two occasions of one unit share a passage: then no rule fires by accident, and counts are exact.
    """
    occasions = [(u, o) for u, t in enumerate(told) for o in KINDS[t.kind].occasions(often)]
    rows: list[list[tuple[float, str]]] = []
    inside: list[set[int]] = []
    still_open: list[int] = []
    for k in rng.permutation(len(occasions)).tolist():
        unit, occasion = occasions[k]
        fits = (r for r in still_open if unit not in inside[r] and len(rows[r]) + len(occasion) <= _ROOM)
        row = next(fits, None)
        if row is None:
            row = len(rows)
            rows.append([])
            inside.append(set())
            still_open.append(row)
        keys = sorted(rng.random(len(occasion)).tolist())
        rows[row] += zip(keys, (told[unit].phrase(m) for m in occasion), strict=True)
        inside[row].add(unit)
        if len(rows[row]) == _ROOM:
            still_open.remove(row)
    return [[phrase for _, phrase in sorted(row)] for row in rows]


def _passage(phrases: Sequence[str], rng: np.random.Generator) -> str:
    sentences = [_filled(TEMPLATES[int(rng.integers(len(TEMPLATES)))], phrase, rng) for phrase in phrases]
    if rng.random() < _PLAIN_SHARE:
        plain = _filled(PLAIN[int(rng.integers(len(PLAIN)))], "", rng)
        sentences.insert(int(rng.integers(len(sentences) + 1)), plain)
    return " ".join(sentences)


def _filled(template: str, phrase: str, rng: np.random.Generator) -> str:
    who, other = (PEOPLE[i] for i in rng.choice(len(PEOPLE), 2, replace=False).tolist())
    text = template.format(it=phrase, who=who, other=other, when=WHEN[int(rng.integers(len(WHEN)))])
    return text[0].upper() + text[1:]
