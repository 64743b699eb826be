"""Making: pictures from words, edits of pictures and texts, texts from instructions, blind descriptions.

What is made is remembered with how it was made and what it was made from, so that the ledger can say so. The describer sees
pictures and nothing else: no values, no hypotheses. What this does not do: measure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from maieutic.errors import UserError
from maieutic.lab.workbench.desk import Desk
from maieutic.stimuli import text_edit
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.making import note_of
from maieutic.subjects.base import Subject

#: stimuli of one call at most; of a session, since tools may be slow and are not in the measurements' budget
MOST, SESSION = 16, 600
#: characters of an instruction
_LONGEST = 1000
Change = Literal["replace", "delete", "insert_before", "insert_after"]


class Making:
    """The calls that make new stimuli."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._made = 0

    def imagine(self, prompt: str, *, n: int = 1) -> list[dict[str, Any]]:
        """At most ``n`` pictures of the prompt, each with what was understood."""
        tool = self._tool("imagine")
        made: list[Stimulus] = tool(_said(prompt), n=self._count(n), seed=self._desk.draw())
        return [self._handed(s, "imagine") for s in made]

    def edit(self, image: Any, instruction: str) -> dict[str, Any]:
        """The picture with the instruction carried out."""
        tool, stimulus = self._tool("edit"), self._desk.take(image, "image")
        self._count(1)
        return self._handed(tool(stimulus, _said(instruction), seed=self._desk.draw()), "edit", parent=stimulus.id)

    def write(self, instruction: str, *, n: int = 4) -> list[dict[str, Any]]:
        """At most ``n`` texts that follow the instruction."""
        tool = self._tool("write")
        made: list[Stimulus] = tool(_said(instruction), n=self._count(n), seed=self._desk.draw())
        return [self._handed(s, "write") for s in made]

    def describe(self, images: list[Any]) -> list[str]:
        """A description of each picture by something that sees pictures only."""
        tool = self._tool("describe")
        self._count(len(images))
        return tool([self._desk.take(i, "image") for i in images])

    def change(
        self, text: str, how: Change, old: str | int, new: str = "", *, nth: int = 0, unit: str | None = None
    ) -> dict[str, Any]:
        """A text changed at one place.

        Args:
            text: the text.
            how: what to do there.
            old: the place: a string that occurs in the text, or the number of a token of the unit's model.
            new: what to put there.
            nth: which occurrence of the string, from 0.
            unit: whose tokens are counted.

        Raises:
            UserError: the place does not exist, or nothing changes.
        """
        stimulus, place = self._desk.take(text, "text"), self._desk.place(unit)
        start, end = _place(text, old, nth, place.lab.subject)
        edits: dict[Change, tuple[str, Callable[[], text_edit.Edit]]] = {
            "replace": ("substitute", lambda: text_edit.substitute(text, (start, end), new)),
            "delete": ("delete", lambda: text_edit.delete(text, (start, end))),
            "insert_before": ("insert", lambda: text_edit.insert(text, start, new)),
            "insert_after": ("insert", lambda: text_edit.insert(text, end, new)),
        }
        kind, make = edits[how]
        edit = make()
        if edit.text == text or not edit.text:
            raise UserError("the edit leaves the text as it was, or nothing of it: change something else")
        return {**self._handed(edit.stimulus(stimulus), kind, parent=stimulus.id), "note": edit.what}

    def _count(self, n: int) -> int:
        """The number, when it may be had in one call and the session has not had too many."""
        if not 1 <= n <= MOST:
            raise UserError(f"1 to {MOST} at a time, not {n}: ask for that many")
        if self._made + n > SESSION:
            raise UserError(f"{SESSION} stimuli were made or described in this session: measure those, or submit")
        self._made += n
        return n

    def _tool(self, kind: Literal["imagine", "edit", "describe", "write"]) -> Any:
        tool = getattr(self._desk.tools, kind)
        if tool is None:
            every = ("imagine", "edit", "describe", "write")
            offered = [k for k in every if getattr(self._desk.tools, k) is not None]
            raise UserError(f"nothing to {kind} with here: use {', '.join(offered) or 'stimuli of your own'}")
        return tool

    def _handed(self, stimulus: Stimulus, kind: str, *, parent: str | None = None) -> dict[str, Any]:
        kept = self._desk.material.remember(stimulus, kind, parent=parent)
        what = "text" if kept.modality == "text" else "image"
        return {"id": kept.id, what: kept.content, "note": note_of(stimulus)}


def _said(instruction: str) -> str:
    if not 1 <= len(instruction) <= _LONGEST:
        raise UserError(f"an instruction has 1 to {_LONGEST} characters, not {len(instruction)}: say it in fewer")
    return instruction


def _place(text: str, old: str | int, nth: int, subject: Subject) -> text_edit.Span:
    """Where in the text the change goes."""
    if isinstance(old, int):
        spans = subject.tokens(text)
        if not -len(spans) <= old < len(spans):
            raise UserError(f"the text has tokens 0 to {len(spans) - 1}, not {old}: tokens(text) lists them")
        return (spans[old].start, spans[old].end)
    start, seen = -1, -1
    while old and nth >= 0 and seen < nth:
        start = text.find(old, start + 1)
        if start < 0:
            break
        seen += 1
    if start < 0 or seen < nth:
        raise UserError(f"{old!r} does not occur {nth + 1} times in the text: name a part that does")
    return (start, start + len(old))
