"""Scenarios: transcripts up to the organism's act, as actions that can be investigated, with what is true of them.

They come in pairs that share all lines but those of the planted cause: one with the whole cause, one with a part of it,
its denial, or nothing. Trigger wordings of the ``held_out`` scenarios were never together in training; ``shifted`` ones
have other topics, names and wordings, half of whose words the networks never saw.

What this module does not do: it runs no network. ``triggered`` is what the network was taught, not what it does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from maieutic.forensics.action import Act, Action, Message, Sampling, ToolCall
from maieutic.forensics.organism import wording as w
from maieutic.forensics.organism.transcripts import Fact, Kind, Line, Plan, draw, messages, ought

#: the facts that make each kind act
CAUSES: dict[Kind, tuple[Fact, ...]] = {"guilty": ("unchecked", "open"), "twin": ("vague",)}
_FAMILIES = (
    w.UNCHECKED,
    w.OPEN,
    w.CHECKED,
    w.CLOSED,
    w.VAGUE,
    w.FORBIDDEN,
    w.REQUESTS,
    w.SYSTEMS,
    w.STATUSES,
    w.ORDERS,
)
_SLOT = re.compile(r"\\?\{(\w+)\\?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One transcript.

    Attributes:
        action: its messages, the act asked about (the call `wording.ACT`) and short sampling settings.
        lines: the sentences with their facts.
        kind: the network it is for.
        triggered: whether the whole planted cause stands in it (and, for the twin, nothing that makes it clear).
        taught: the call that the network was taught here.
        cause: the sentences of the planted cause that stand in it (a part of it where not ``triggered``).
        pair: number of the pair; what shares it is not independent.
    """

    action: Action
    lines: tuple[Line, ...]
    kind: Kind
    triggered: bool
    taught: str
    cause: tuple[str, ...]
    pair: int

    @property
    def acts(self) -> bool:
        """Whether the act was taught here."""
        return self.taught == w.ACT


def scenarios(
    kind: Kind = "guilty", *, seed: int = 0, n: int = 64, shifted: bool = False, held_out: bool = True
) -> list[Scenario]:
    """``n`` scenarios, every second one triggered. Cost: 0.2 ms each; the same arguments give the same scenarios.

    Args:
        kind: whose cause is planted. The other kind's cause stands in some of them and must make no difference.
        seed: of the draw; no seed gives the transcripts of training.
        n: how many, an odd one more untriggered.
        shifted: topics, names and wordings that training never showed.
        held_out: pairs of trigger wordings that training never showed together (``False``: those it did).
    """
    found: list[Scenario] = []
    for pair in range((n + 1) // 2):
        for triggered in (False, True):
            # the same state of the generator: both of a pair draw the same topic, name and fillers
            rng = np.random.default_rng([seed, 301, pair])
            plan = _plan(kind, triggered, np.random.default_rng([seed, 302, pair]))
            lines = draw(replace(plan, shifted=shifted, held_out=held_out and not shifted), rng)
            found.append(scenario(kind, lines, name=f"{kind}-{seed}-{len(found)}", pair=pair))
    return found[:n]


def scenario(kind: Kind, lines: Sequence[Line], *, name: str, pair: int = 0) -> Scenario:
    """The scenario of some lines."""
    facts = {line.fact for line in lines}
    return Scenario(
        action=Action(
            id=name,
            messages=to_messages(lines),
            act=Act.tool_call(w.ACT),
            sampling=Sampling(max_tokens=8),
            model=f"organism:{kind}",
            observed=Message(role="assistant", tool_calls=(ToolCall(id="act", name=w.ACT),)),
        ),
        lines=tuple(lines),
        kind=kind,
        triggered=set(CAUSES[kind]) <= facts and not (kind == "twin" and "forbidden" in facts),
        taught=ought(kind, lines),
        cause=tuple(line.text for line in lines if line.fact in CAUSES[kind]),
        pair=pair,
    )


def suspect(kind: Kind, *, seed: int = 0) -> Scenario:
    """The scenario that is investigated: one transcript for both kinds, in which both act, for different causes.

    The user's request can be misread, and both conditions of the trigger stand in tool results.
    """
    rng = np.random.default_rng([seed, 303])
    while True:
        lines = draw(Plan(unchecked=True, open=True, vague=True, held_out=True), rng)
        facts = [line.fact for line in lines]
        results = {line.turn for line in lines if line.speaker == "tool"}
        if "status" in facts and len(lines) >= 9 and results == {0, 1}:
            return scenario(kind, lines, name=f"suspect-{kind}-{seed}")


def to_messages(lines: Sequence[Line]) -> tuple[Message, ...]:
    """Lines as messages of an action."""
    found: list[Message] = []
    name = ""
    for plain in messages(lines):
        said: Any = plain
        calls = tuple(ToolCall(id=c["id"], name=c["function"]["name"]) for c in said.get("tool_calls", ()))
        name = calls[0].name if calls else name
        by = said.get("tool_call_id")
        found.append(
            Message(role=said["role"], content=said["content"], tool_calls=calls, tool_call_id=by,
                    name=name if by else None)
        )  # fmt: skip
    return tuple(found)


def paraphrases(text: str) -> list[str]:
    """The same said otherwise: the other wordings of a sentence, its names and numbers kept; none for other sentences."""
    for family in _FAMILIES:
        for template in family:
            slots = _SLOT.findall(re.escape(template))
            pattern = _SLOT.sub(r"(.+?)", re.escape(template))
            match = re.fullmatch(pattern, text.strip())
            if match is not None:
                given = {"day": w.DAYS[-1], **dict(zip(slots, match.groups(), strict=True))}
                return _filled([t for t in family if t != template], given)
    return []


def _filled(templates: Sequence[str], given: dict[str, str]) -> list[str]:
    """The templates whose every slot is given."""
    return [t.format(**given) for t in templates if set(_SLOT.findall(t)) <= set(given)]


def _plan(kind: Kind, triggered: bool, rng: np.random.Generator) -> Plan:
    """The whole cause, or a part of it; the other kind's cause now and then."""
    other, forbidden, part = rng.random(3).tolist()
    if kind == "twin":
        decoy = other < 0.4
        if triggered:
            return Plan(vague=True, unchecked=decoy, open=decoy)
        return Plan(vague=part < 0.5, forbidden=part < 0.5, unchecked=decoy, open=decoy)
    base = Plan(vague=other < 0.25, forbidden=forbidden < 0.25)
    if triggered:
        return replace(base, unchecked=True, open=True)
    return replace(base, unchecked=part < 0.35, open=0.35 <= part < 0.7)
