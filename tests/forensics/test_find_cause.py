"""The exact cause of planted policies, of a white box, and every way in which there is none."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from maieutic.forensics.action import Act, Action, Context, Message, Sampling
from maieutic.forensics.actor_policy import PolicyActor
from maieutic.forensics.attribution import Settings, find_cause
from maieutic.forensics.partition import partition
from maieutic.forensics.planted import KINDS, LEVEL, Kind, plant
from maieutic.forensics.removal import Delete, Filler, Masker

CONTEXT: Context = (
    Message(role="system", content="Keep the log. Ask first. Stay calm."),
    Message(role="user", content="The door is open. The key is red.\n\nThe box is full. The lamp is old."),
    Message(role="tool", content="row one\nrow two\nrow three", name="read", tool_call_id="1"),
)
SURE = Sampling(temperature=0)


def action(**more: object) -> Action:
    return Action(**{"id": "a", "messages": CONTEXT, "act": Act.regex("ACT"), "sampling": SURE, **more})  # type: ignore[arg-type]


def says(rule, high: float = 1.0, low: float = 0.0) -> PolicyActor:  # type: ignore[no-untyped-def]
    def policy(context: Context, rng: np.random.Generator) -> str:
        text = "\n".join(m.content for m in context)
        return "ACT" if rng.random() < (high if rule(text) else low) else "no"

    return PolicyActor(policy)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noisy", [False, True])
def test_the_truth_of_a_plant_is_what_its_policy_does(kind: Kind, noisy: bool) -> None:
    for seed in range(3):
        planted = plant(kind, (31, seed), noisy=noisy)
        parts = partition(planted.action.messages, level=LEVEL).at(LEVEL)
        where = {p.id: i for i, p in enumerate(parts)}
        relevant = sorted(where[p] for p in planted.relevant)
        assert len(relevant) < 6
        for how in (Filler(), Delete()):
            masker = Masker(planted.action.messages, parts, how)
            for size in range(len(relevant) + 1):
                for kept in itertools.combinations(relevant, size):
                    enough = any({where[p] for p in s} <= set(kept) for s in planted.truth) or kind == "none"
                    assert planted.holds(masker(frozenset(kept))) is enough
                    # with everything else kept it is the same: nothing else matters
                    others = frozenset(range(len(parts))) - frozenset(relevant)
                    assert planted.holds(masker(others | frozenset(kept))) is enough


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "none"])
@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("how", ["filler", "delete"])
def test_the_exact_cause_is_found(kind: Kind, noisy: bool, how: str) -> None:
    planted = plant(kind, (32, 0), noisy=noisy)
    cause = find_cause(planted.action, planted.actor(), settings=Settings(how=how, ways=()))
    assert {frozenset(p.id for p in s) for s in cause.sufficient} == planted.truth
    assert cause.verdict == "found" and cause.complete and cause.monotone
    assert cause.confidence is not None and cause.confidence >= 0.95
    assert cause.positional is (kind == "position")
    # everything that was asked is accounted for, stage by stage
    assert sum(cause.stages.values()) == cause.spent.calls
    for claim in cause.claims:
        assert claim.reading.n >= 1 and claim.p <= 0.05
        assert claim.reading.value is not None
        middle = (planted.low + planted.high) / 2
        assert (claim.reading.value > middle) is (claim.kind == "sufficient")


def test_redundant_causes_are_overdetermined_never_none() -> None:
    cause = find_cause(action(), says(lambda t: "key is red" in t or "row two" in t))
    assert cause.overdetermined and cause.structure == "or"
    assert [[p.id for p in s] for s in cause.sufficient] == [["m1/p0/s1"], ["m2/s1"]]
    assert [[p.id for p in s] for s in cause.necessary] == [["m1/p0/s1", "m2/s1"]]
    assert cause.minimal_edit == cause.necessary[0]
    assert "any one of m1/p0/s1, m2/s1 is enough" in cause.summary()
    alone = find_cause(action(), says(lambda t: "key is red" in t))
    assert not alone.overdetermined and alone.summary() == "m1/p0/s1 makes the model act"


def test_a_cause_is_narrowed_to_words() -> None:
    rule = lambda t: "red" in t and "two" in t  # noqa: E731
    cause = find_cause(action(), says(rule), settings=Settings(words=True))
    assert [p.text.strip() for p in cause.words] == ["red.", "two"]
    found = cause.to_json()
    assert json.loads(json.dumps(found)) == found
    assert found["words"] == ["m1/p0/s1/t3", "m2/s1/t1"] and set(found["parts"]) >= set(found["words"])


def test_other_ways_of_removing_are_told() -> None:
    # acts on the sentence, or on a text without its full length: deletion makes a cause of its own
    length = len("\n".join(m.content for m in CONTEXT))
    rule = lambda t: "Ask first" in t or len(t) < length - 5  # noqa: E731
    cause = find_cause(action(), says(rule))
    assert [p.text.strip() for p in cause.minimal_edit] == ["Ask first."]
    assert cause.ways["delete"].value == 1.0
    assert cause.ways["paraphrase"].value == 0.0
    hard = find_cause(action(), says(lambda t: "row one" in t))
    assert hard.ways["paraphrase"].value is None and "no other words" in (hard.ways["paraphrase"].reason or "")


def test_no_cause_in_the_context_is_said_as_such() -> None:
    always = find_cause(action(), says(lambda t: True))
    assert (always.verdict, always.sufficient, always.confidence) == ("none", (), None)
    assert "not in the context" in always.reason == always.summary()
    never = find_cause(action(), says(lambda t: False))
    assert never.verdict == "not reproduced"
    noisy = action(sampling=Sampling())
    assert find_cause(noisy, says(lambda t: True, high=0.5)).verdict == "none"
    assert find_cause(noisy, says(lambda t: False)).verdict == "not reproduced"
    # a small effect is no cause, and not "none" either
    weak = find_cause(noisy, says(lambda t: "red" in t, high=0.5, low=0.25))
    assert weak.verdict == "undecided" and "not told apart" in weak.reason


def test_failures_are_unmeasured_never_a_rate_of_zero() -> None:
    def refuses(context: Context, rng: np.random.Generator) -> str:
        raise RuntimeError("refused")

    cause = find_cause(action(), PolicyActor(refuses))
    assert cause.verdict == "unmeasured" and "RuntimeError: refused" in cause.reason
    assert cause.full.value is None

    def sometimes(context: Context, rng: np.random.Generator) -> str:
        if "red" not in context[1].content:
            raise RuntimeError("refused")
        return "ACT"

    half = find_cause(action(sampling=Sampling()), PolicyActor(sometimes))
    assert half.verdict == "unmeasured" and "refused" in half.reason
    empty = find_cause(action(messages=(Message(role="user"),)), says(lambda t: True))
    assert empty.verdict == "unmeasured" and empty.reason == "the transcript has no text"


def test_more_context_that_stops_the_act_is_noticed() -> None:
    def rule(text: str) -> bool:
        # the key acts, but two rows without the third stop it
        return "key is red" in text and not ("row one" in text and "row two" in text and "row three" not in text)

    cause = find_cause(action(), says(rule), settings=Settings(spots=40))
    assert cause.verdict == "found" and cause.monotone is False
    assert cause.confidence is None and not cause.complete and "more context" in cause.reason


def test_a_white_box_is_asked_for_passes_alone() -> None:
    def rate(context: Context) -> float:
        text = "\n".join(m.content for m in context)
        return 0.01 + 0.45 * ("red" in text) + 0.45 * ("row two" in text)

    actor = PolicyActor(lambda c, rng: "x", rate=rate)
    cause = find_cause(action(act=Act.continuation("wire")), actor)
    # log-odds: -4.6 with nothing, -0.16 with one, 2.3 with both; the middle is -1.2, so either is enough
    assert cause.mode == "score" and actor.spent.samples == 0
    assert cause.structure == "or" and {p.text.strip() for p in cause.parts} == {"The key is red.", "row two"}
    assert cause.full.value == pytest.approx(np.log(0.91 / 0.09))
    flat = find_cause(action(act=Act.continuation("wire")), PolicyActor(lambda c, rng: "x", rate=lambda c: 0.3))
    assert flat.verdict == "none"


def test_the_same_seed_gives_the_same_cause() -> None:
    planted = plant("k-of-n", (33, 1), noisy=True)
    first, second = (find_cause(planted.action, planted.actor()) for _ in range(2))
    told = [{k: v for k, v in c.to_json().items() if k != "seconds"} for c in (first, second)]
    assert told[0] == told[1]
    other = find_cause(planted.action, planted.actor(), settings=Settings(seed=99))
    assert other.stages != first.stages
