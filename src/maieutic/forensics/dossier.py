"""Dossier: what was found out about an action, as plain data and JSON. The page is made in `maieutic.report.dossier`.

It holds the transcript with the cause, the smallest edit that makes the act stop, the rungs of the evidence ladder, the
table of benign explanations, a conclusion and what everything cost. Every number is a `Reading`: a value with its
interval, or unmeasured with the reason.

What this module does not do: measure or conclude anything (`ladder`, `ladder_rule`). It speaks of the cause of an act,
never of a motive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from maieutic.errors import UserError
from maieutic.forensics.action import Action
from maieutic.readings import Cost, Reading

Verdict = Literal["supports", "against", "undecided", "unmeasured"]
#: of a benign explanation: it explains the act, it is excluded, neither, or nobody could test it
Standing = Literal["explains", "excluded", "undecided", "unmeasured"]
Finding = Literal["convicted", "not convicted", "undecided"]
FORMAT, VERSION = "maieutic-dossier", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A stretch of a message that belongs to the cause.

    Attributes:
        message: number of the message, from 0.
        field: where in it, as in ``partition.Span``: ``()`` its content, else a string among the arguments of a call.
        start, end: characters there.
        text: what stands there.
    """

    message: int
    start: int
    end: int
    text: str
    field: tuple[int | str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a chart: a reading under a name; ``own``: it is what the rung is about, not a comparison."""

    name: str
    reading: Reading
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A curve of a chart: values over ``Chart.x``."""

    name: str
    y: tuple[float, ...]
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What a rung shows.

    Attributes:
        title: what is drawn, with its unit.
        low, high: ends of the scale of values.
        rows: readings below each other.
        x, lines: curves over common places; ``x_title`` says of what.
        columns, cells: a table of shades: names of columns, and (name, value by column) rows; ``None``: not measured.
        folded: shown only when asked for.
    """

    title: str
    low: float = 0.0
    high: float = 1.0
    rows: tuple[Row, ...] = ()
    x: tuple[float, ...] = ()
    x_title: str = ""
    lines: tuple[Trace, ...] = ()
    columns: tuple[str, ...] = ()
    cells: tuple[tuple[str, tuple[float | None, ...]], ...] = ()
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rung of the ladder.

    Attributes:
        number: 1 to 8.
        name, question: for people.
        verdict: what it says of the hypothesis that the named cause made the model act, not an instruction.
        why: one sentence.
        estimate: the number it rests on, with interval, n and cost.
        charts: how it looks.
        details: plain JSON, for programs.
    """

    number: int
    name: str
    question: str
    verdict: Verdict
    why: str
    estimate: Reading
    charts: tuple[Chart, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        assert (self.verdict == "unmeasured") == (not self.estimate.measured), f"{self.name}: {self.verdict} of what?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Benign:
    """An innocent explanation, and the experiment that would tell it apart.

    Attributes:
        name, claim: for people.
        experiment: what was done.
        reading: its result; ``rows``: what it is compared with.
        standing: what follows.
        why: one sentence.
    """

    name: str
    claim: str
    experiment: str
    reading: Reading
    standing: Standing
    why: str
    rows: tuple[Row, ...] = ()

    def __post_init__(self) -> None:
        assert (self.standing == "unmeasured") == (not self.reading.measured), f"{self.name}: {self.standing} of what?"


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimalEdit:
    """The smallest edit that makes the act stop: these stretches taken out, and the rate of the act before and after."""

    removed: tuple[Mark, ...]
    before: Reading
    after: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An experiment that a language model asked for.

    Attributes:
        why: its reason, in its words.
        edits: parts with the words put in their place; empty words: taken away.
        added: a role (or nothing) and the sentence added to its message.
        expected: rate of the act that it foretold, 0 to 1.
        reading: what came; unmeasured where the experiment was refused.
    """

    why: str
    edits: tuple[tuple[str, str], ...]
    added: tuple[str, str]
    expected: float
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What a monitor said of the act.

    Attributes:
        name: of the monitor.
        reading: its suspicion, 0 to 1, or unmeasured.
        level: suspicion from which it flags; ``None`` where nobody set one.
        why: what it saw, in its words.
    """

    name: str
    reading: Reading
    level: float | None = None
    why: str = ""

    @property
    def flagged(self) -> bool | None:
        """``None`` without a level; what was not measured is flagged, since nobody saw that it is harmless."""
        if self.level is None:
            return None
        return self.reading.value is None or self.reading.value >= self.level


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What follows by the rule of `ladder_rule`.

    Attributes:
        finding: ``convicted``: the act was caused by content that is nobody's instruction, and every benign explanation
            is excluded. ``not convicted``: an instruction or a benign explanation accounts for it. Else ``undecided``.
        text: one or two sentences about the cause of the act.
        because: the steps of the rule with how each came out.
    """

    finding: Finding
    text: str
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """Everything about one action.

    Attributes:
        action: what was investigated.
        model: who acted again.
        marks: the cause in the transcript; empty when none was found.
        edit: the smallest edit that makes the act stop, or ``None``.
        rungs, benign: the evidence.
        conclusion: what follows.
        cost: of everything.
        seed: of everything drawn.
        notes: what a reader must know besides (overdetermined causes, what was left out).
        asked: further experiments that a language model asked for; nothing is concluded from them.
        monitors: how suspicious monitors found the act, and the level from which each flags, where one is known; they say
            why somebody looked, and are no evidence of the cause.
    """

    action: Action
    model: str
    marks: tuple[Mark, ...]
    edit: MinimalEdit | None
    rungs: tuple[Rung, ...]
    benign: tuple[Benign, ...]
    conclusion: Conclusion
    cost: Cost
    seed: int
    notes: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    monitors: tuple[Flag, ...] = ()

    def rung(self, number: int) -> Rung:
        """The rung of that number."""
        return next(r for r in self.rungs if r.number == number)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with a format and a version."""
        parts = {k: v for k, v in asdict(self).items() if k != "action"}
        return {"format": FORMAT, "version": VERSION, "action": self.action.to_json(), **parts}


def write_dossier_json(dossier: Dossier, path: Path) -> None:
    """Write it as JSON, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        text = json.dumps(dossier.to_json(), indent=1, ensure_ascii=False, default=_plain)
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): give another place") from error


def _plain(value: Any) -> Any:
    """Mappings that are no dicts, and tuples of asdict."""
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    raise TypeError(f"{type(value).__name__} is no JSON")
