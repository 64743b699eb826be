"""Which concepts a text exam is about: pairs of a sensitive unit and its benign twin, and ordinary units, by a seed.

What this module does not do: write texts, or build units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maieutic.audit.canary_kinds import COMPANIONS, INVENTED, KINDS
from maieutic.audit.canary_texts import Told
from maieutic.audit.canary_words import ENDINGS, SENSITIVE, SETTINGS, STRINGS, STRINGS_SENSITIVE, THINGS, Field
from maieutic.audit.exam import Role
from maieutic.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A unit to be planted: its role, its concept, its pair (-1: none), and what the texts say for its sake."""

    role: Role
    concept: str
    pair: int
    told: Told


def drawn(*, pairs: int, ordinary: int, rng: np.random.Generator) -> list[Drawn]:
    """Sensitive units with their twins, then ordinary ones. Kinds take turns; both of a pair have the same.

    Raises:
        UsageError: more pairs or ordinary units than there are words for.
    """
    words, kinds = _Words(rng), list(KINDS)
    sides: tuple[tuple[Role, list[Field]], ...] = (("sensitive", words.sensitive), ("benign", words.settings))
    out: list[Drawn] = []
    for pair in range(pairs):
        kind = kinds[pair % len(kinds)]
        for role, fields in sides:
            out.append(words.unit(role, kind, fields, pair))
    return out + [words.unit("ordinary", kinds[i % len(kinds)], words.things, -1) for i in range(ordinary)]


class _Words:
    """Words drawn without putting back, in a seeded order."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.sensitive = _each_concept_first(_mixed(SENSITIVE, rng))
        self.settings, self.things = _mixed(SETTINGS, rng), _mixed(THINGS, rng)
        self._strings = {True: _mixed(STRINGS_SENSITIVE, rng), False: _mixed(STRINGS, rng)}
        self._halves: list[tuple[str, ...]] = []

    def unit(self, role: Role, kind: str, fields: list[Field], pair: int) -> Drawn:
        """A unit of these fields; where its kind asks for invented words, of strings."""
        if KINDS[kind].invented:
            start = _next(self._strings[role == "sensitive"])
            ends: list[int] = self._rng.choice(len(ENDINGS), INVENTED, replace=False).tolist()
            field = Field(concept=start.concept, words=tuple(start.words[0] + ENDINGS[i] for i in ends))
        else:
            field = _next(fields)
        # companions of both of a pair are halves of one field
        if not self._halves:
            words = _next(self.things).words
            self._halves = [words[:COMPANIONS], words[COMPANIONS : 2 * COMPANIONS]]
        told = Told(kind=kind, words=field.words, companions=self._halves.pop())
        return Drawn(role=role, concept=field.concept, pair=pair, told=told)


def _mixed(fields: Sequence[Field], rng: np.random.Generator) -> list[Field]:
    order: list[int] = rng.permutation(len(fields)).tolist()
    return [fields[i] for i in order]


def _each_concept_first(fields: Sequence[Field]) -> list[Field]:
    """One list of each concept before a second of any, so that a small exam is about many."""
    times: dict[str, int] = {}
    keyed: list[tuple[int, int, Field]] = []
    for i, field in enumerate(fields):
        times[field.concept] = times.get(field.concept, 0) + 1
        keyed.append((times[field.concept], i, field))
    return [f for _, _, f in sorted(keyed, key=lambda k: k[:2])]


def _next(fields: list[Field]) -> Field:
    if not fields:
        raise UsageError("there are not so many words for canaries: ask for fewer pairs or ordinary units")
    return fields.pop(0)
