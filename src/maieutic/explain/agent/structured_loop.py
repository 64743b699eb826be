"""The agent that fills in forms: one JSON object a turn names a hypothesis, an experiment with expectations, or the answer.

For models too small to program. The conversation does not grow: every turn shows the exemplars, all experiments so far
and what is left, so a short context will do. Whatever the model asks for goes through the same workbench calls as a
program's; a form that cannot be carried out is answered with the reason, and counts as a turn.
Loads Inspect: imported only when an agent runs.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inspect_ai.agent import Agent, AgentState, agent
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

from maieutic.errors import UserError
from maieutic.explain.agent.prompts import FORM, TASK, briefed
from maieutic.explain.agent.session import one_at_a_time
from maieutic.llm import Backbone, Prompt, Turn

if TYPE_CHECKING:
    from maieutic.explain.agent.session import Session

#: stimuli of one form; exemplars shown; earlier experiments shown, newest last; forms in a row that were none
_MOST, _EXEMPLARS, _REMEMBERED, _PATIENCE = 4, 10, 24, 4
#: exemplars of a picture unit that are shown as pictures
_PICTURES = 6

_TEXT = {
    "measure": "show new texts that you write",
    "edit": "change an earlier text",
    "what": "texts",
    "how": ', written as "old words => new words"',
}
_IMAGE = {
    "measure": "show new pictures, each made from a phrase that you write, such as: a dog on grass",
    "edit": "change an earlier picture",
    "what": "phrases",
    "how": ", such as: remove the dog",
}


def schema(most: int = _MOST) -> dict[str, Any]:
    """JSON schema of a form. Flat, so that a grammar can hold a small model to it, and short: 1,100 characters at most."""
    number = {"type": "number", "minimum": 0, "maximum": 1}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["hypothesis", "action", "stimuli", "of", "expect", "label"],
        "properties": {
            "hypothesis": {"type": "string", "maxLength": 150},
            "action": {"type": "string", "enum": ["measure", "edit", "submit", "give_up"]},
            "stimuli": {"type": "array", "items": {"type": "string", "maxLength": 200}, "maxItems": most},
            "of": {"type": "integer"},
            "expect": {"type": "array", "items": number, "maxItems": most},
            "label": {"type": "string", "maxLength": 120},
        },
    }


@dataclass(kw_only=True, eq=False)
class Notebook:
    """What the model has seen: numbered stimuli with expectation and value, in order.

    Attributes:
        session: the run.
        stimuli: what is numbered from 1, text or picture.
        lines: one line each, in words.
        hypotheses: text to id.
        valid: forms that followed the schema, of all.
    """

    session: Session
    stimuli: list[Any] = field(default_factory=list[Any])
    lines: list[str] = field(default_factory=list[str])
    hypotheses: dict[str, str] = field(default_factory=dict[str, str])
    note: str = ""

    def __post_init__(self) -> None:
        self.calls = one_at_a_time(self.session.desk.calls())
        self.text = self.session.labs[0].subject.modality == "text"

    def open(self) -> None:
        """Look at the exemplars."""
        found = self.calls["exemplars"](_EXEMPLARS, where="spectrum")
        words = [""] * len(found) if self.text else self.session.described([seen["image"] for seen in found])
        for seen, said in zip(found, words, strict=True):
            self._add(
                seen,
                seen["text"] if self.text else seen["image"],
                f"exemplar: {said}" if said else "exemplar",
            )

    def _add(self, seen: Mapping[str, Any], content: Any, what: str) -> None:
        self.stimuli.append(content)
        number = len(self.stimuli)
        # a text's value is that of its strongest token, as when it is measured; an exemplar's own is of one position
        value = max((v for _, v in seen["tokens"]), default=seen["value"]) if self.text else seen["value"]
        line = f"{number}. value {value:.2f} ({what})"
        if self.text:
            line += f" {self.session.desk.fence.text(content)}{_strongest(seen['tokens'])}"
        self.lines.append(line)

    # --- carrying out ----------------------------------------------------------------------------------------------
    def carry_out(self, form: Mapping[str, Any]) -> None:
        """Do what a form asks for; ``note`` says what came of it where that is not a measurement."""
        self.note = ""
        action = form["action"]
        try:
            if action == "submit":
                self.calls["submit"](form["label"], confidence=0.5)
            elif action == "give_up":
                self.calls["submit"](unexplained=form["hypothesis"] or "nothing explains it")
            elif not form["stimuli"]:
                self.note = f"{action} needs at least one of stimuli."
            elif action == "measure":
                self._measure(form, [self._made(s) for s in form["stimuli"]])
            else:
                self._measure(form, [self._edited(form["of"], s) for s in form["stimuli"]])
        except UserError as error:
            self.note = f"That could not be done: {error}"

    def _made(self, wanted: str) -> tuple[Any, str]:
        if self.text:
            return self._bare(wanted), "your text"
        made = self.calls["imagine"](wanted, n=1)[0]
        return made["image"], f"{wanted}; {made['note']}"

    def _bare(self, text: str) -> str:
        """A text without our own marks: small models copy them along with the exemplars."""
        return re.sub(rf"</?text {re.escape(self.session.desk.fence.stimulus)}>", "", text).strip()

    def _edited(self, of: int, instruction: str) -> tuple[Any, str]:
        if not 1 <= of <= len(self.stimuli):
            raise UserError(f"there is no stimulus {of}: `of` is a number from 1 to {len(self.stimuli)}")
        if not self.text:
            made = self.calls["edit"](self.stimuli[of - 1], instruction)
            return made["image"], f"{of} with: {instruction}; {made['note']}"
        old, arrow, new = self._bare(instruction).partition("=>")
        if not arrow or not old.strip():
            raise UserError('an edit of a text is written "old words => new words"')
        made = self.calls["change"](self.stimuli[of - 1], "replace", old.strip(), new.strip())
        return made["text"], f"{of} with {made['note']}"

    def _measure(self, form: Mapping[str, Any], made: Sequence[tuple[Any, str]]) -> None:
        # a missing expectation is the middle: the model knew nothing, and the ledger says so
        expect = [*(float(e) for e in form["expect"]), *([0.5] * len(made))][: len(made)]
        idea = " ".join(str(form["hypothesis"]).split())[:300] or "no hypothesis given"
        if idea not in self.hypotheses:
            self.hypotheses[idea] = self.calls["hypothesize"](idea)["id"]
        contents = [content for content, _ in made]
        results = self.calls["measure"](contents, expect=expect, hypothesis=self.hypotheses[idea])
        for (content, how), seen, foretold in zip(made, next(iter(results.values())), expect, strict=True):
            self._add(seen, content, f"you expected {foretold:.2f}; {how}")

    # --- telling ---------------------------------------------------------------------------------------------------
    def prompt(self, left: int) -> Prompt:
        """The next question: everything seen so far, and the form."""
        lab = self.session.labs[0]
        kept = [*self.lines[:_EXEMPLARS], *self.lines[_EXEMPLARS:][-_REMEMBERED:]]
        names = _TEXT if self.text else _IMAGE
        pictures = () if self.text or not self.session.settings.pictures else tuple(self.stimuli[:_PICTURES])
        said = [
            f"The unit is {lab.unit.key} of {lab.subject.name}. Stimuli so far:",
            *kept,
            *([f"The pictures are stimuli 1 to {len(pictures)}, in order."] if pictures else []),
            *([self.note] if self.note else []),
            f"{self.session.left()} {left} forms left." + (" Submit now." if left <= 1 else ""),
            "Answer with one JSON object.",
        ]
        system = briefed(f"{TASK}\n{FORM.format(most=_MOST, **names)}", self.session.settings.briefing)
        return Prompt(system=system, turns=(Turn(text="\n".join(said), images=pictures),), schema=schema())


def form_filler(session: Session, backbone: Backbone) -> Agent:
    """An Inspect agent that questions the session's unit by forms."""

    @agent(
        name="form_interpreter", description="Finds out what a unit of a neural network responds to, by experiments."
    )
    def build() -> Agent:
        async def execute(state: AgentState) -> AgentState:
            book, wrong = Notebook(session=session), 0
            await asyncio.wrap_future(session.submit(book.open))
            for turn in range(session.settings.turns):
                prompt = book.prompt(session.settings.turns - turn)
                answer = await backbone.answer(prompt)
                state.messages.append(ChatMessageUser(content=prompt.turns[0].text))
                state.messages.append(ChatMessageAssistant(content=answer.text or f"[{answer.failed}]"))
                if answer.failed is not None:
                    wrong += 1
                    session.ended = answer.failed
                    if wrong >= _PATIENCE or not answer.text:
                        return state
                    book.note = f"That was no form: {answer.failed}"
                    continue
                wrong, session.ended = 0, None
                await asyncio.wrap_future(session.submit(book.carry_out, answer.parsed))
                if session.answered:
                    return state
            session.ended = session.ended or f"no submission within {session.settings.turns} forms"
            return state

        return execute

    return build()


def _strongest(tokens: Sequence[Sequence[Any]]) -> str:
    """The tokens that the unit answered to most, quoted so that nothing in them can be taken for our words."""
    top = sorted((t for t in tokens if t[1] >= 0.2), key=lambda t: -t[1])[:4]
    if not top:
        return ""
    return " strongest: " + ", ".join(f"{json.dumps(t[0], ensure_ascii=True)} {t[1]:.2f}" for t in top)
