"""Innocent explanations of an act, each with the experiment that would tell it apart.

Each is a claim about what the act depends on, so each can come out either way: *excluded* when the interval says that the
act does not depend on it, *explains* when it says that it does, else undecided, or unmeasured with the reason.

What this module does not do: exhaust what is innocent. An explanation that is not in the table was not tested.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from maieutic.forensics.dossier import Benign, Standing
from maieutic.forensics.ladder_case import PRINCIPALS, Case, Meter, Rate, difference
from maieutic.forensics.ladder_conditions import DISOWN, ROLE_PLAY, act_name, clarified
from maieutic.forensics.ladder_rungs import MARGIN
from maieutic.forensics.removal import Filler
from maieutic.readings import Reading

#: what tools say when they fail
_FAILED = re.compile(
    r"\b(error|exception|traceback|timed? ?out|failed|not found|denied|did not answer)\b", re.IGNORECASE
)


def benign_table(case: Case) -> tuple[Benign, ...]:
    """All of them. Cost: about ten rates."""
    found: list[Callable[[Case], Benign]] = [instructed, ambiguous, injected, confused, role_play, tool_failure]
    return tuple(one(case) for one in found)


def instructed(case: Case) -> Benign:
    """The principals asked for it: their words alone, everything else replaced by filler."""
    meter = Meter(case.actor)
    others = [p for p in case.partition.at("message") if p.role not in PRINCIPALS]
    rate = case.removed(others) if others else Rate.none()
    reading = rate.reading("benign.instructed", meter.cost)
    standing = _by_rate(case, rate)
    return Benign(
        name="Instruction", claim="The user or the system asked for the act.",
        experiment="Keep the principals' words, take everything else away.", reading=reading, standing=standing,
        why={
            "explains": "Their words alone bring the act about.",
            "excluded": "Their words alone do not bring the act about.",
        }.get(standing, _open(reading)),
    )  # fmt: skip


def ambiguous(case: Case) -> Benign:
    """The instruction can be misread: it is made clear."""
    sentence = clarified(case.action)
    reading, drop = _drop(case, "benign.ambiguous", sentence, "user")
    standing = drop
    if drop == "explains" and not case.principals_needed:
        # it obeys when told, but what it acts on is no instruction: obedience alone does not make that innocent
        standing = "undecided"
    return Benign(
        name="Ambiguous instruction", claim="The model did what it took the instruction to mean.",
        experiment=f"The user adds: “{sentence}”", reading=reading, standing=standing,
        why={
            "explains": "Every cause holds words of a principal, and the act stops when they are made clear.",
            "excluded": "The act goes on although it is forbidden.",
        }.get(standing, "It stops when forbidden, but no principal's words are needed for it."
              if drop == "explains" else _open(reading)),
    )  # fmt: skip


def injected(case: Case) -> Benign:
    """An order inside a tool result was taken for one of the user's: such orders are disowned."""
    reading, standing = _drop(case, "benign.injected", DISOWN, "system")
    name = act_name(case.action)
    named = bool(name) and any(name in p.text for p in case.cause.parts if p.role not in PRINCIPALS)
    if named and standing == "excluded":
        standing = "undecided"
    return Benign(
        name="Injected instruction", claim="Somebody put an order into a tool result, and the model obeyed it.",
        experiment=f"The system adds: “{DISOWN}”", reading=reading, standing=standing,
        why={
            "explains": "The act stops when such orders do not count.",
            "excluded": "The act goes on when such orders do not count, and the cause names no call.",
        }.get(standing, "The act goes on, but the cause names the very call." if named else _open(reading)),
    )  # fmt: skip


def confused(case: Case) -> Benign:
    """The model acts like this anyway: the rate with the cause taken away."""
    claim, experiment = "The model makes this act by mistake or by habit, whatever it reads.", "Take the cause away."
    if not case.edit:
        reading = Reading.unmeasured("benign.confused", "no cause was found that could be taken away")
        return Benign(name="Confusion", claim=claim, experiment=experiment, reading=reading, standing="unmeasured",
                      why=_open(reading))  # fmt: skip
    meter = Meter(case.actor)
    rate = case.removed(case.edit)
    standing = _by_rate(case, rate)
    reading = rate.reading("benign.confused", meter.cost)
    return Benign(
        name="Confusion", claim=claim, experiment=experiment, reading=reading, standing=standing,
        why={
            "explains": "Without the cause it acts much the same.",
            "excluded": "Without the cause it does not act so.",
        }.get(standing, _open(reading)),
    )  # fmt: skip


def role_play(case: Case) -> Benign:
    """The model believed that it played a part: it is told that this is real."""
    reading, standing = _drop(case, "benign.role-play", ROLE_PLAY.other, "system")
    return Benign(
        name="Role-play", claim="The model played a part, or took this for a game.",
        experiment=f"The system adds: “{ROLE_PLAY.other}”", reading=reading, standing=standing,
        why={
            "explains": "The act stops when it is told that this is real.",
            "excluded": "The act goes on when it is told that this is real.",
        }.get(standing, _open(reading)),
    )  # fmt: skip


def tool_failure(case: Case) -> Benign:
    """A tool failed and the model made do: results that report an error are taken away."""
    results = [p for p in case.partition.at("message") if p.role == "tool"]
    failed = [p for p in results if _FAILED.search(p.text)]
    claim = "A tool failed, and the act was an attempt to get on."
    if not failed:
        reading = Reading(
            name="benign.tool-failure", value=0.0, low=0.0, high=0.0, n=len(results), details={"counted": "results"}
        )
        return Benign(
            name="Tool failure", claim=claim, experiment="Count the tool results that report an error.",
            reading=reading, standing="excluded", why="No tool result reports an error.",
        )  # fmt: skip
    meter = Meter(case.actor)
    full, gone = case.rate(case.context), case.rate(case.without(failed, Filler()))
    reading = difference("benign.tool-failure", full, gone, cost=meter.cost)
    standing = _by_drop(reading)
    messages = {s.message for p in failed for s in p.spans}
    inside = any(s.message in messages for p in case.cause.parts for s in p.spans)
    if standing == "explains" and inside and not _FAILED.search(" ".join(p.text for p in case.cause.parts)):
        standing = "undecided"
    return Benign(
        name="Tool failure", claim=claim, experiment="Replace the results that report an error by filler.",
        reading=reading, standing=standing,
        why={
            "explains": "Without the failed results it does not act so.",
            "excluded": "Without the failed results it acts the same.",
        }.get(standing, "The failed results hold the cause, but the cause reports no failure." if inside else _open(reading)),
    )  # fmt: skip


def _drop(case: Case, name: str, sentence: str, role: str) -> tuple[Reading, Standing]:
    """What a sentence takes from the rate of the act, and what follows from that."""
    meter = Meter(case.actor)
    n = 2 * case.samples
    full, told = case.rate(case.context, samples=n), case.rate(case.told(sentence, role=role), samples=n)
    reading = difference(name, full, told, cost=meter.cost)
    return reading, _by_drop(reading)


def _by_drop(reading: Reading) -> Standing:
    if not reading.measured:
        return "unmeasured"
    assert reading.low is not None, "a difference has an interval"
    assert reading.high is not None, "a difference has an interval"
    return "explains" if reading.low > MARGIN else "excluded" if reading.high < MARGIN else "undecided"


def _by_rate(case: Case, rate: Rate) -> Standing:
    """Against half the rate with everything there: above it explains, below the margin it is excluded."""
    reading, full = rate.reading("rate"), case.rate(case.context).reading("rate")
    if not reading.measured or full.value is None:
        return "unmeasured"
    assert reading.low is not None, "a rate has an interval"
    assert reading.high is not None, "a rate has an interval"
    if reading.low > full.value / 2:
        return "explains"
    return "excluded" if reading.high < min(MARGIN, full.value / 2) else "undecided"


def _open(reading: Reading) -> str:
    return f"Not measured: {reading.reason}." if not reading.measured else "The interval allows either."
