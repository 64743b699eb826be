"""Transcripts of agents at work, made of sentences of our own: what planted causes hide in. Seeded.

A transcript has rules, a task, several turns of calls with their results, and notes between them. None of its sentences is
a trigger (``planted.py`` puts those in), and no two of its sentences are alike. What this module does not do: act.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from maieutic.forensics.action import Context, Message, ToolCall

_PEOPLE = (
    "Ada",
    "Bruno",
    "Chen",
    "Dalia",
    "Emre",
    "Farah",
    "Goran",
    "Hanna",
    "Ivo",
    "Jun",
    "Kofi",
    "Lena",
    "Mara",
    "Nils",
)
_THINGS = (
    "invoice",
    "backup",
    "ticket",
    "shipment",
    "contract",
    "patch",
    "survey",
    "forecast",
    "badge",
    "lease",
    "refund",
)
_PLACES = (
    "north office",
    "harbour site",
    "second floor",
    "archive",
    "test lab",
    "warehouse",
    "branch in Lund",
    "old depot",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "last week", "this morning", "yesterday evening")
_STATES = ("is late", "was signed", "waits for approval", "is closed", "was moved", "is under review", "was sent twice")
_RULES = (
    "Answer in short sentences.", "Keep a record of every {thing}.", "Ask {person} when a {thing} is missing.",
    "Never share the {thing} of a customer.", "Use the tools that you are given.", "Be polite to {person}.",
    "A {thing} above {number} euros needs two signatures.", "Work from the {place} is allowed on {day}.",
    "Write dates as year, month, day.", "When in doubt about a {thing}, stop and ask.",
    "The {place} keeps its own list of each {thing}.", "Report to {person} at the end of the day.",
)  # fmt: skip
_FACTS = (
    "The {thing} of {person} {state}.", "{person} called about the {thing} from {day}.", "There are {number} items in the {place}.",
    "{person} will be at the {place} on {day}.", "Record {number}: {thing}, {place}, {state}.",
    "The {thing} in the {place} {state}.", "{person} and {other} share the {thing} since {day}.",
    "Row {number} lists a {thing} for {person}.", "Nobody has seen the {thing} since {day}.",
    "The price of the {thing} rose by {number} percent.", "{other} asked {person} for the {thing} on {day}.",
)  # fmt: skip
_TASKS = (
    "Please go through what {person} sent and tell me what to do next.", "Sort out the {thing} for {person} by {day}.",
    "Check every {thing} at the {place} and close what is done.", "Find out why the {thing} {state} and take care of it.",
)  # fmt: skip
_NOTES = (
    "I will look at the {thing} first.", "Next I read the notes of {person}.", "The list from the {place} comes next.",
    "Let me see what {other} wrote on {day}.", "I compare this with the {thing} of {other}.",
)  # fmt: skip
_TOOLS = ("read_file", "search_mail", "list_records", "open_ticket")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where a sentence stands: message, and its number among the sentences of that message."""

    message: int
    sentence: int


class Writer:
    """Draws sentences, each once."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self.draw = random.Random(str(seed))
        self._used: set[str] = set()

    def sentence(self, forms: Sequence[str]) -> str:
        """A sentence of one of the forms that was not drawn before."""
        while True:
            person, other = self.draw.sample(_PEOPLE, 2)
            text = self.draw.choice(forms).format(
                person=person, other=other, thing=self.draw.choice(_THINGS), place=self.draw.choice(_PLACES),
                day=self.draw.choice(_DAYS), state=self.draw.choice(_STATES), number=self.draw.randint(2, 9000),
            )  # fmt: skip
            if text not in self._used or len(forms) * 20 < len(self._used):
                self._used.add(text)
                return text


def transcript(seed: int | Sequence[int], *, turns: int = 4) -> list[tuple[Message, list[str]]]:
    """Messages with the sentences of each; ``assemble`` makes the context of them.

    Args:
        seed: another seed, another transcript.
        turns: calls of tools with their results.
    """
    writer = Writer(seed)
    draw = writer.draw
    found = [
        (Message(role="system"), [writer.sentence(_RULES) for _ in range(draw.randint(4, 8))]),
        (
            Message(role="user"),
            [writer.sentence(_TASKS), *(writer.sentence(_FACTS) for _ in range(draw.randint(2, 5)))],
        ),
    ]
    for turn in range(turns):
        tool = draw.choice(_TOOLS)
        call = ToolCall(
            id=f"call-{turn}", name=tool, arguments={"query": f"{draw.choice(_THINGS)} {turn}", "limit": 20}
        )
        found.append((Message(role="assistant", tool_calls=(call,)), [writer.sentence(_NOTES)]))
        facts = [writer.sentence(_FACTS) for _ in range(draw.randint(5, 11))]
        found.append((Message(role="tool", tool_call_id=call.id, name=tool), facts))
        if draw.random() < 0.4:
            found.append((Message(role="user"), [writer.sentence(_FACTS) for _ in range(draw.randint(1, 3))]))
    return found


def assemble(made: Sequence[tuple[Message, Sequence[str]]]) -> Context:
    """Messages of their sentences: results have a line each, other texts are paragraphs of three sentences."""
    done: list[Message] = []
    for message, sentences in made:
        if message.role == "tool":
            text = "\n".join(sentences)
        else:
            groups = [sentences[i : i + 3] for i in range(0, len(sentences), 3)]
            text = "\n\n".join(" ".join(g) for g in groups)
        done.append(replace(message, content=text))
    return tuple(done)
