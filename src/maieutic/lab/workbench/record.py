"""The record of a session: hypotheses with their evidence, what is put on show, and the final submission.

Evidence is ids of ledger entries, and every id must exist. A submission is checked and kept, never scored here. What this
does not do: decide whether evidence supports a hypothesis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from maieutic.errors import UserError
from maieutic.lab.workbench.desk import Desk, Place, Shown

Status = Literal["open", "supported", "rejected"]
#: a label or predicate, to what will be scored, in words
Reads = Callable[[str, Any], str]
#: characters of a label, hypothesis or reason at most; hypotheses of a session
LONGEST, IDEAS = 1200, 100
#: things on show at a time; characters of a text and pixels along a side of a picture there
MOST, CHARACTERS, SIDE = 24, 6000, 1024


@dataclass(kw_only=True)
class Hypothesis:
    """What is thought of the unit, and where it stands.

    Attributes:
        id: ``H1``, ``H2`` ...
        evidence: ledger ids that were given for its status.
        because: why it has that status.
    """

    id: str
    text: str
    status: Status = "open"
    evidence: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The answer about one unit: a label with its confidence, or the reason why it stays unexplained.

    Attributes:
        unit: key of the unit; ``name`` is what it is called on the workbench.
        predicate: the label's executable form as plain data, when one was given.
        evidence: ledger ids, of this unit and of others on the workbench.
        reading: how the answer will be scored, in words.
    """

    unit: str
    name: str
    label: str | None = None
    predicate: dict[str, Any] | None = None
    confidence: float | None = None
    unexplained: str | None = None
    evidence: tuple[str, ...] = ()
    reading: str = ""


@dataclass(kw_only=True, eq=False)
class Record:
    """Hypotheses and submissions of a session.

    Attributes:
        desk: the shared state.
        reads: says how a label and predicate will be scored (for all units, or by the unit's name); raises ``UserError``
            when they cannot be.
        hypotheses: in the order they were set up.
        submissions: the newest one of each unit, by the unit's name.
    """

    desk: Desk
    reads: Reads | Mapping[str, Reads] | None = None
    hypotheses: list[Hypothesis] = field(default_factory=list[Hypothesis])
    submissions: dict[str, Submission] = field(default_factory=dict[str, Submission])

    # --- hypotheses ------------------------------------------------------------------------------------------------
    def hypothesize(self, text: str) -> dict[str, Any]:
        """Set up a hypothesis; its id comes back."""
        if len(self.hypotheses) >= IDEAS:
            raise UserError(f"{IDEAS} hypotheses are enough: judge those that are open")
        made = Hypothesis(id=f"H{len(self.hypotheses) + 1}", text=_short(text, "hypothesis"))
        self.hypotheses.append(made)
        return _plain(made)

    def judge(
        self, hypothesis: str, status: Status, *, evidence: Sequence[str] = (), because: str = ""
    ) -> dict[str, Any]:
        """Say where a hypothesis stands. Supported and rejected need evidence.

        Raises:
            UserError: no such hypothesis or entry, or no evidence.
        """
        found = self._hypothesis(hypothesis)
        ids = tuple(dict.fromkeys(self.entry(e) for e in evidence))
        if status != "open" and not ids:
            raise UserError(f"{hypothesis} cannot be {status} without evidence: give ids of measurements")
        found.status, found.evidence, found.because = status, ids, because[:LONGEST]
        return _plain(found)

    def listed(self) -> list[dict[str, Any]]:
        """All hypotheses."""
        return [_plain(h) for h in self.hypotheses]

    def tested(self, hypothesis: str | None, because: str) -> str:
        """What a measurement tests, in words: the hypothesis, or else the reason given.

        Raises:
            UserError: no such hypothesis, or a reason too long.
        """
        if len(because) > LONGEST:
            raise UserError(f"because has {len(because)} characters: say it in {LONGEST}")
        return because if hypothesis is None else self._hypothesis(hypothesis).text

    def _hypothesis(self, name: str) -> Hypothesis:
        found = next((h for h in self.hypotheses if h.id == name), None)
        if found is None:
            known = ", ".join(h.id for h in self.hypotheses) or "none yet"
            raise UserError(f"no hypothesis {name!r} (there are: {known}): set it up with hypothesize(text)")
        return found

    def entry(self, name: str) -> str:
        """A ledger id that exists.

        Raises:
            UserError: it does not.
        """
        key, _, number = name.rpartition("#")
        for place in self.desk.places.values():
            if place.lab.ledger.unit == key and number.isdecimal() and 1 <= int(number) <= len(place.lab.ledger):
                return name
        raise UserError(f"no measurement {name!r}: evidence is the .entry of what measure, ablate or steer gave")

    # --- showing ---------------------------------------------------------------------------------------------------
    def show(self, things: list[Any]) -> int:
        """Put texts and pictures into the conversation. A thing is a text, an image, or (image, caption).

        Raises:
            UserError: too many things, or something that is neither.
        """
        if len(things) + len(self.desk.shown) > MOST:
            raise UserError(f"{len(things) + len(self.desk.shown)} things to show: at most {MOST} at a time")
        shown = [_shown(thing) for thing in things]
        self.desk.shown += shown
        return len(shown)

    # --- budget and the answer -------------------------------------------------------------------------------------
    def remaining(self, *, unit: str | None = None) -> int:
        """Measurements left for a unit."""
        return self.desk.place(unit).lab.remaining

    def submit(
        self,
        label: str | None = None,
        *,
        predicate: dict[str, Any] | None = None,
        confidence: float | None = None,
        unexplained: str | None = None,
        evidence: Sequence[str] = (),
        unit: str | None = None,
    ) -> str:
        """Give the answer for a unit; what will be scored comes back in words. A later answer replaces it.

        Raises:
            UserError: both or neither of label and reason, no confidence, unknown evidence, a predicate nobody can read.
        """
        place = self.desk.place(unit)
        if (label is None) == (unexplained is None):
            raise UserError("an answer is a label or a reason why the unit stays unexplained: submit one of the two")
        ids = tuple(dict.fromkeys(self.entry(e) for e in evidence))
        if label is None:
            reason = _short(unexplained or "", "reason")
            made = Submission(unit=place.lab.unit.key, name=place.name, unexplained=reason, evidence=ids)
        else:
            made = self._labelled(place, _short(label, "label"), predicate, confidence, ids)
        again = " It replaces your earlier answer." if place.name in self.submissions else ""
        self.submissions[place.name] = made
        how = made.reading or (f"labelled {made.label!r}" if made.label else f"left unexplained: {made.unexplained}")
        return f"Submitted for {place.name}. {how}{again}"

    def _labelled(
        self, place: Place, label: str, predicate: dict[str, Any] | None, confidence: float | None, ids: tuple[str, ...]
    ) -> Submission:
        if confidence is None or not math.isfinite(confidence) or not 0.0 <= confidence <= 1.0:
            raise UserError("a label needs a confidence from 0 to 1 that it is right: submit(label, confidence=0.7)")
        reads = self.reads.get(place.name) if isinstance(self.reads, Mapping) else self.reads
        reading = reads(label, predicate) if reads is not None else ""
        return Submission(
            unit=place.lab.unit.key, name=place.name, label=label, predicate=predicate, confidence=confidence,
            evidence=ids, reading=reading,
        )  # fmt: skip


def _short(text: str, what: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > LONGEST:
        raise UserError(f"a {what} has 1 to {LONGEST} characters, not {len(words)}: say it in words")
    return words


def _plain(h: Hypothesis) -> dict[str, Any]:
    return {"id": h.id, "text": h.text, "status": h.status, "evidence": list(h.evidence), "because": h.because}


def _cut(text: str) -> str:
    more = len(text) - CHARACTERS
    return text if more <= 0 else f"{text[:CHARACTERS]}\n[{more} more characters were cut]"


def _shown(thing: Any) -> Shown:
    if isinstance(thing, str):
        return Shown(text=_cut(thing))
    parts = cast("list[Any]", thing) if isinstance(thing, list) else [thing, ""]
    image: Any = parts[0] if len(parts) == 2 else None
    caption: Any = parts[-1] if parts else None
    if hasattr(image, "convert") and isinstance(caption, str):
        picture = image.convert("RGB")
        picture.thumbnail((SIDE, SIDE))
        return Shown(text=_cut(caption), image=picture)
    raise UserError(f"{type(thing).__name__} cannot be shown: show texts, images, or results of the lab")
