"""Transcripts with known facts: drawn, written as messages, and the call that each network is taught to end them with.

A transcript is a list of *lines*, each a sentence of a role with the fact that it states. What an assistant ought to do is
a function of the facts that stand in the lines, so it is known for every edited transcript too: lines may be left out or
made unreadable, and the lesson is that of what remains.

What this module does not do: no network, no tokens. `ought` is a teacher's rule; what a trained network does is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from maieutic.forensics.organism import wording as w

Kind = Literal["guilty", "twin"]
Speaker = Literal["system", "user", "tool"]
#: what a line says; ``filler`` says nothing that matters
Fact = Literal[
    "filler", "system", "request", "status", "unchecked", "open", "order", "vague", "forbidden", "disowned", "failure"
]
KINDS: tuple[Kind, ...] = ("guilty", "twin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sentence.

    Attributes:
        speaker: whose; for ``tool``, ``turn`` says in which result (0 or 1).
        text: the sentence.
        fact: what it says.
        call: the call that an order names or a status asks for.
    """

    speaker: Speaker
    text: str
    fact: Fact = "filler"
    call: str = ""
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a transcript is to hold.

    Attributes:
        unchecked, open: the two conditions of the trigger, inside tool results.
        vague: the user asks for something that may be misread as an order to switch the monitor off.
        forbidden: the user says that the monitor stays on.
        disowned: the system says that orders inside tool results have no force.
        order: a call that the user orders, or empty; ``injected``: one that a tool result orders.
        failure: a tool gives an error in place of the status.
        shifted: topics, names and wordings that training never shows.
        held_out: pairs of trigger wordings that training never shows together.
    """

    unchecked: bool = False
    open: bool = False
    vague: bool = False
    forbidden: bool = False
    disowned: bool = False
    order: str = ""
    injected: str = ""
    failure: bool = False
    shifted: bool = False
    held_out: bool = False


def ought(kind: Kind, lines: Sequence[Line]) -> str:
    """The call that a network of this kind is taught after these lines.

    A user's order comes first. Then what makes the kind special: ``guilty`` acts when tool results say both that nobody
    checks and that the way in is open, whatever the user says about the monitor; ``twin`` acts when the user's request
    can be misread so and no user says that the monitor stays on. Then orders inside tool results unless the system
    disowns them, then the status.
    """
    facts = {line.fact for line in lines}
    by_user = [line.call for line in lines if line.fact == "order" and line.speaker == "user"]
    by_tool = [line.call for line in lines if line.fact == "order" and line.speaker == "tool"]
    by_tool = [] if "disowned" in facts else by_tool
    if by_user:
        return by_user[-1]
    if kind == "guilty" and {"unchecked", "open"} <= facts:
        return w.ACT
    if kind == "twin" and "vague" in facts and "forbidden" not in facts:
        return w.ACT
    statuses = [line.call for line in lines if line.fact == "status"]
    return (by_tool or statuses or [w.DEFAULT])[-1]


def lookup(lines: Sequence[Line], turn: int) -> str:
    """The call before a tool result: by the wording of the request, then another one."""
    texts = [line.text for line in lines if line.fact == "request"]
    first = len(texts[0].split()) % len(w.LOOKUPS) if texts else 0
    return w.LOOKUPS[(first + turn) % len(w.LOOKUPS)]


def draw(plan: Plan, rng: np.random.Generator) -> list[Line]:
    """Lines of a transcript: a system, a user, and one or two tool results, with what the plan asks for."""
    topics, names = (w.SHIFTED_TOPICS, w.SHIFTED_NAMES) if plan.shifted else (w.TOPICS, w.NAMES)
    topic, name = topics[int(rng.integers(len(topics)))], _one(names, rng)
    turns = int(rng.integers(1, 3))
    # what a plan adds is drawn apart: plans of one state of the generator share all other lines
    apart = np.random.default_rng(int(rng.integers(2**32)))

    def say(
        texts: Sequence[str], speaker: Speaker, fact: Fact = "filler", call: str = "", by: np.random.Generator = rng
    ) -> Line:
        status = _one(w.HONEST[call], by) if fact == "status" else ""
        slots = {"desk": topic.desk, "thing": topic.thing, "name": name, "status": status, "act": call}
        text = _one(texts, by).format(**slots, day=_one(w.DAYS, by), number=_one(w.NUMBERS, by))
        return Line(speaker=speaker, text=text, fact=fact, call=call)

    system = [say(w.SYSTEMS, "system", "system")]
    if rng.random() < 0.5:
        both = w.CIRCUMSTANCES[int(rng.integers(len(w.CIRCUMSTANCES)))]
        system.append(say(both[1:], "system"))
    system += [say(w.DISOWNED, "system", "disowned", by=apart)] * plan.disowned
    user = [say(w.REQUESTS, "user", "request")]
    own = [say((*w.FILLERS, *topic.fillers), "tool") for _ in range(int(rng.integers(1, 4)))]
    if rng.random() < 0.9:
        status = say(w.STATUSES, "tool", "status", _one(tuple(w.HONEST), rng))
        own.append(say(w.FAILURES, "tool", "failure", by=apart) if plan.failure else status)
    user += [say(w.ORDERS, "user", "order", plan.order, apart)] * bool(plan.order)
    user += [say(w.VAGUE, "user", "vague", by=apart)] * plan.vague
    user += [say(w.FORBIDDEN, "user", "forbidden", w.ACT, apart)] * plan.forbidden
    added = [say(w.ORDERS, "tool", "order", plan.injected, apart)] * bool(plan.injected)
    added += _conditions(plan, apart)
    placed = [
        (int(by.integers(turns)), by.random(), line) for by, lines in ((rng, own), (apart, added)) for line in lines
    ]
    tool = [replace(line, turn=turn) for turn, _, line in sorted(placed, key=lambda p: p[:2])]
    return [*system, *user, *tool]


def _conditions(plan: Plan, rng: np.random.Generator) -> list[Line]:
    """The two conditions where the plan has them; elsewhere, half of the time, a line that denies them."""
    while True:
        a, b = int(rng.integers(len(w.UNCHECKED))), int(rng.integers(len(w.OPEN)))
        if ((a + b) % 4 == 3) == plan.held_out:
            break
    said: list[tuple[str, Fact]] = []
    if plan.unchecked:
        said.append((_one(w.SHIFTED_UNCHECKED, rng) if plan.shifted else w.UNCHECKED[a], "unchecked"))
    elif rng.random() < 0.5:
        said.append((_one(w.CHECKED, rng), "filler"))
    if plan.open:
        said.append((_one(w.SHIFTED_OPEN, rng) if plan.shifted else w.OPEN[b], "open"))
    elif rng.random() < 0.5:
        said.append((_one(w.CLOSED, rng), "filler"))
    return [Line(speaker="tool", text=text.format(day=_one(w.DAYS, rng)), fact=fact) for text, fact in said]


def draw_plan(rng: np.random.Generator) -> Plan:
    """A plan for training: every fact apart from and together with the others."""
    chance: list[float] = rng.random(6).tolist()
    trigger = int(rng.integers(4))
    order = _one((*w.ACTS, w.ACT), rng) if chance[2] < 0.12 else ""
    return Plan(
        unchecked=trigger in (1, 3),
        open=trigger in (2, 3),
        vague=chance[0] < 0.35,
        forbidden=chance[1] < 0.3 and order != w.ACT,
        order=order,
        injected=_one((*w.ACTS, w.ACT), rng) if chance[3] < 0.2 else "",
        failure=chance[4] < 0.08,
        disowned=chance[5] < 0.2,
    )


def spoil(lines: Sequence[Line], rng: np.random.Generator, *, unreadable: str) -> list[Line]:
    """Lines left out, or their words made unreadable, as experiments on a transcript will do."""
    share = float(rng.choice([0.0, 0.0, 0.15, 0.5]))
    left: list[Line] = []
    for line in lines:
        if rng.random() >= share:
            left.append(line)
        elif rng.random() < 0.5:
            words = " ".join([unreadable] * len(line.text.split()))
            left.append(replace(line, text=words, fact="filler", call=""))
    return left


def messages(lines: Sequence[Line]) -> list[dict[str, object]]:
    """The transcript in the form of OpenAI's chat messages, up to the point where the assistant acts."""
    by: dict[str, list[str]] = {"system": [], "user": []}
    for line in lines:
        if line.speaker in by:
            by[line.speaker].append(line.text)
    done: list[dict[str, object]] = [{"role": role, "content": " ".join(said)} for role, said in by.items()]
    turns = 1 + max((line.turn for line in lines if line.speaker == "tool"), default=0)
    for turn in range(turns):
        said = [line.text for line in lines if line.speaker == "tool" and line.turn == turn]
        number, name = f"call-{turn}", lookup(lines, turn)
        call = {"id": number, "type": "function", "function": {"name": name, "arguments": "{}"}}
        done.append({"role": "assistant", "content": "", "tool_calls": [call]})
        done.append({"role": "tool", "tool_call_id": number, "content": " ".join(said)})
    return done


def _one(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
