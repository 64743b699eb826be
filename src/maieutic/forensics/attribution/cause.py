"""Cause: the parts of a context that made a model act, as plain data. It says what was found and how sure that is.

The cause of an *action* is spoken of here, never a motive. Found by ``find.py``; nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from maieutic.forensics.actor import Spent
from maieutic.forensics.attribution.minimal import Structure
from maieutic.forensics.attribution.trials import Mode
from maieutic.forensics.partition import Level, Part
from maieutic.readings import Reading

#: ``none``: the act happens as often with everything removed; ``undecided``: not told apart within the samples allowed
Found = Literal["found", "none", "not reproduced", "undecided", "unmeasured"]
PartSet = tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing that is said about a set of parts.

    Attributes:
        kind: ``sufficient``: the act happens with these kept and all else removed; ``necessary``: it stops with these
            removed and all else kept.
        parts: the set.
        reading: rate of the act (or log-odds of the continuation) there.
        p: that the claim is wrong, corrected for every question that was asked (Holm); 0 where one sample tells all.
    """

    kind: Literal["sufficient", "necessary"]
    parts: PartSet
    reading: Reading
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An experiment on places: words of the cause put elsewhere, all else removed.

    Attributes:
        part: whose words.
        to: the part in whose place they were put; for a swap the other part of the cause.
        swap: whether the two were exchanged.
        happens: whether the act still happens.
    """

    part: Part
    to: Part
    swap: bool
    happens: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What was found.

    Attributes:
        verdict: see `Found`.
        reason: one line for people; why nothing was found, or what to know about what was.
        sufficient: every minimal set that suffices for the act; the exact cause set.
        necessary: every minimal set without which the act stops. The first is the smallest edit that stops it.
        structure, k, n: what kind of cause that is: any k of n parts suffice (``and``: k = n, ``or``: k = 1).
        complete: whether these are all such sets.
        monotone: whether a few inferred answers held when asked; ``None``: not asked.
        moves: experiments on places.
        claims: every set with its rate and corrected p-value.
        confidence: 1 - the largest corrected p; ``None`` where there is no cause or the answers contradict each other.
        full, empty: the act with everything kept, with everything removed.
        ways: the smallest edit made in other ways (``delete``, ``filler``, ``paraphrase``): how often it still happens.
        words: tokens of the first sufficient set that suffice, where they were looked for.
        mode, how, level: what was measured, how parts were removed, how fine they are.
        stages: calls (samples and passes) by stage.
        spent: all of it.
        questions: conditions that were asked about.
    """

    verdict: Found
    reason: str
    sufficient: tuple[PartSet, ...] = ()
    necessary: tuple[PartSet, ...] = ()
    structure: Structure = "none"
    k: int = 0
    n: int = 0
    complete: bool = False
    monotone: bool | None = None
    moves: tuple[Move, ...] = ()
    claims: tuple[Claim, ...] = ()
    confidence: float | None = None
    full: Reading
    empty: Reading
    ways: Mapping[str, Reading] = field(default_factory=dict[str, Reading])
    words: PartSet = ()
    mode: Mode
    how: str
    level: Level
    stages: Mapping[str, int] = field(default_factory=dict[str, int])
    spent: Spent = Spent()
    questions: int = 0

    @property
    def parts(self) -> PartSet:
        """Every part that belongs to the cause, in the order of the transcript."""
        found = {p.id: p for s in self.sufficient for p in s}
        return tuple(sorted(found.values(), key=lambda p: (p.spans[0].message, p.spans[0].start)))

    @property
    def overdetermined(self) -> bool:
        """Whether no single part stops the act, because another set takes over."""
        return self.verdict == "found" and all(len(s) > 1 for s in self.necessary)

    @property
    def positional(self) -> bool | None:
        """Whether it matters where the words stand; ``None``: not tried."""
        return None if not self.moves else not all(m.happens for m in self.moves)

    @property
    def minimal_edit(self) -> PartSet:
        """The smallest set whose removal stops the act."""
        return min(self.necessary, key=len, default=())

    def summary(self) -> str:
        """One sentence for people."""
        if self.verdict != "found":
            return self.reason
        names = ", ".join(p.id for p in self.parts)
        said = {
            "single": f"{names} makes the model act",
            "and": f"all of {names} together make the model act",
            "or": f"any one of {names} is enough; removing one of them changes nothing",
            "k-of-n": f"any {self.k} of the {self.n} parts {names} are enough",
        }.get(self.structure, f"{len(self.sufficient)} sets of parts are each enough, made of {names}")
        place = ", and only where they stand" if self.positional else ""
        more = "" if self.complete else "; there may be further sets"
        return f"{said}{place}{more}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; parts by their ids, with their texts once under ``parts``."""
        parts = {p.id: p.to_json() for p in (*self.parts, *self.words)}

        def ids(parts: PartSet) -> list[str]:
            return [p.id for p in parts]

        return {
            "verdict": self.verdict, "reason": self.reason, "summary": self.summary(), "structure": self.structure,
            "k": self.k, "n": self.n, "complete": self.complete, "monotone": self.monotone,
            "overdetermined": self.overdetermined, "positional": self.positional, "confidence": self.confidence,
            "sufficient": [ids(s) for s in self.sufficient], "necessary": [ids(s) for s in self.necessary],
            "words": ids(self.words), "parts": parts,
            "claims": [
                {"kind": c.kind, "parts": ids(c.parts), "p": c.p, "reading": c.reading.to_json()} for c in self.claims
            ],
            "moves": [{"part": m.part.id, "to": m.to.id, "swap": m.swap, "happens": m.happens} for m in self.moves],
            "full": self.full.to_json(), "empty": self.empty.to_json(),
            "ways": {name: r.to_json() for name, r in self.ways.items()},
            "mode": self.mode, "how": self.how, "level": self.level, "stages": dict(self.stages),
            "calls": self.spent.calls, "tokens": self.spent.tokens, "seconds": self.spent.seconds,
            "questions": self.questions,
        }  # fmt: skip
