"""What people say of labels: confirmed, corrected, called wrong, or their own; a line each in ``RUN/people.jsonl``.

The file is only ever added to, under a lock, and lies beside the store, whose one writer may be a running campaign. It is kept
apart from what machines wrote. What this module does not do: believe anybody, or count (see `agreement`).
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maieutic.errors import StoreError
from maieutic.store import disk_error, now

FILE = "people.jsonl"
#: seconds to wait for somebody else who is writing
_WAIT = 10.0
#: bytes that the file may hold
_MOST = 64 * 2**20
#: the explainer's name under which a person's label is kept and scored
PERSON = "person"

#: ``label``: their own, before they saw the machine's; ``comment``: neither for nor against
Verdict = Literal["confirm", "correct", "wrong", "unsure", "label", "comment"]
VERDICTS: dict[Verdict, str] = {
    "confirm": "the label is right",
    "correct": "a better label",
    "wrong": "the label is wrong",
    "unsure": "cannot tell",
    "label": "own label, before seeing the machine's",
    "comment": "a comment",
}
#: verdicts that say whether a label is right
JUDGED: frozenset[Verdict] = frozenset({"confirm", "correct", "wrong"})


class Said(BaseModel):
    """One thing that somebody said about one unit.

    Attributes:
        at: when, UTC.
        unit: its key.
        explainer: whose label it is about.
        label: that label, as it was shown; empty where it was not.
        verdict: see `VERDICTS`.
        text: their own label (``correct``, ``label``), else empty.
        comment: anything else.
        person: a name, as given; may be empty.
        browser: tells people without a name apart.
        blind: whether the machine's label was hidden from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    version: Literal[1] = 1
    at: str = Field(default_factory=now, max_length=40)
    unit: str = Field(min_length=1, max_length=400)
    explainer: str = Field(default="", max_length=100)
    label: str = Field(default="", max_length=10_000)
    verdict: Verdict
    text: str = Field(default="", max_length=2_000)
    comment: str = Field(default="", max_length=4_000)
    person: str = Field(default="", max_length=80)
    browser: str = Field(default="", max_length=40)
    blind: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.verdict in ("correct", "label") and not self.text:
            raise ValueError("a better label must be written: fill in the label")
        if self.verdict not in ("correct", "label") and self.text:
            raise ValueError(
                "a label was written beside another verdict: choose “a better label”, or move it to the comment"
            )
        if self.verdict == "comment" and not self.comment:
            raise ValueError("the comment is empty: write one")
        if self.verdict == "label" and not self.blind:
            raise ValueError("an own label is given before the machine's is seen")
        return self

    @property
    def rater(self) -> str:
        """Who it was: the name without regard to case, else the browser."""
        return self.person.casefold() or f"browser {self.browser}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Everything in the file.

    Attributes:
        said: in the order in which it was said.
        unreadable: numbers of lines that are nothing that was said (cut by a crash, or changed by hand).
    """

    said: tuple[Said, ...] = ()
    unreadable: tuple[int, ...] = ()

    def about(self, unit: str) -> tuple[Said, ...]:
        """Of one unit."""
        return tuple(s for s in self.said if s.unit == unit)


def why_not(error: ValidationError) -> str:
    """The first reason why something cannot be kept, in words."""
    first = error.errors()[0]
    text = str(first["msg"]).removeprefix("Value error, ")
    where = ".".join(str(p) for p in first["loc"])
    return f"{where}: {text}" if where else text


def append_said(folder: Path, said: Said) -> None:
    """Add a line, on disk when this returns. Cost: a millisecond or so, for the disk.

    Raises:
        StoreError: somebody else holds the file, it is full, or it cannot be written.
    """
    file = folder / FILE
    line = (said.model_dump_json() + "\n").encode("utf-8", "backslashreplace")
    try:
        with FileLock(folder / ".people.lock", timeout=_WAIT), file.open("ab+") as handle:
            size = handle.seek(0, os.SEEK_END)
            if size > _MOST:
                raise StoreError(f"{file} is full ({_MOST >> 20} MiB): move it away, and a new one is begun")
            if size and not _ends_line(handle):
                line = b"\n" + line  # a crash cut the last line: it stays unreadable by itself
            handle.write(line)
            handle.flush()
            os.fsync(handle.fileno())
    except Timeout as error:
        raise StoreError(f"{file} is held by another program: try again") from error
    except OSError as error:
        raise disk_error(error, file) from error


def _ends_line(handle: io.BufferedRandom) -> bool:
    handle.seek(-1, os.SEEK_END)
    return handle.read(1) == b"\n"


def read_said(folder: Path) -> Heard:
    """Everything people said of a run; nothing where there is no file.

    Raises:
        StoreError: the file cannot be read.
    """
    file = folder / FILE
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return Heard()
    except OSError as error:
        raise StoreError(f"cannot read {file} ({error.strerror}): change its permissions") from error
    said, unreadable = list[Said](), list[int]()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            said.append(Said.model_validate_json(line))
        except ValidationError:
            unreadable.append(number)
    return Heard(said=tuple(said), unreadable=tuple(unreadable))


def latest(said: Iterable[Said]) -> tuple[Said, ...]:
    """The last word of each person about each unit and explainer, blind labels and judgements apart; comments left out."""
    last: dict[tuple[str, str, str, bool], Said] = {}
    for s in said:
        if s.verdict != "comment":
            key = (s.rater, s.unit, s.explainer, s.blind)
            last.pop(key, None)
            last[key] = s
    return tuple(last.values())


def named(said: Sequence[Said]) -> dict[str, str]:
    """What each rater is called before others: the name as first given, or ``reader 1``, ``reader 2`` ..."""
    names: dict[str, str] = {}
    for s in said:
        if s.rater not in names:
            nameless = sum(n.startswith("reader ") for n in names.values())
            names[s.rater] = s.person or f"reader {nameless + 1}"
    return names


# --- exports -----------------------------------------------------------------------------------------------------------
_COLUMNS = ("at", "unit", "explainer", "verdict", "text", "comment", "person", "blind", "label")


def said_csv(heard: Heard) -> str:
    """A table for spreadsheets; a cell that a spreadsheet would take for a formula is quoted with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    names = named(heard.said)
    for s in heard.said:
        row = {**s.model_dump(), "person": names[s.rater]}
        writer.writerow([spreadsheet(row[c]) for c in _COLUMNS])
    return out.getvalue()


def spreadsheet(value: object) -> str:
    """A cell as text that a spreadsheet does not run."""
    text = str(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def said_jsonl(heard: Heard) -> str:
    """A line each, without what tells browsers apart."""
    names = named(heard.said)
    rows = [{**s.model_dump(exclude={"browser"}), "person": names[s.rater]} for s in heard.said]
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
