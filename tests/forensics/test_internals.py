"""Inside a network: what follows from causality alone must hold exactly, and gradients agree with finite differences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from maieutic.errors import UserError
from maieutic.forensics.action import Message
from maieutic.forensics.actor import open_actor
from maieutic.forensics.actor_render import message_text
from maieutic.forensics.actor_subject import SubjectActor
from maieutic.forensics.internals import (
    Direction,
    Group,
    Inside,
    LabelledUnit,
    NoPlaceError,
    Push,
    align,
    difference_of_means,
    dose_response,
    groups,
    knockouts,
    patch_map,
    probe_reading,
    random_like,
    readout,
    rises,
)
from maieutic.forensics.ladder_internals import blanked, steered
from maieutic.forensics.organism import load_organism, suspect
from maieutic.forensics.partition import partition
from maieutic.subjects.base import Unit
from maieutic.subjects.hooks import InterventionDidNothing

CASE = suspect("guilty")


@pytest.fixture(scope="module")
def actor() -> SubjectActor:
    found = open_actor(load_organism("guilty"), action=CASE.action)
    assert isinstance(found, SubjectActor)
    return found


@pytest.fixture
def inside(actor: SubjectActor) -> Iterator[Inside]:
    assert CASE.action.observed is not None
    yield Inside(actor, message_text(CASE.action.observed))


@pytest.fixture(scope="module")
def cause(actor: SubjectActor) -> Group:
    parts = [p for p in partition(CASE.action.messages).at("sentence") if p.text.strip() in CASE.cause]
    found = groups(actor, CASE.action.messages, parts)
    return Group(name="cause", at=tuple(i for g in found for i in g.at))


def _corrupt(ids: list[int], cause: Group) -> list[int]:
    return blanked(ids, cause.at, [1])


# --- places --------------------------------------------------------------------------------------------------------


def test_parts_stand_where_their_words_are(actor: SubjectActor) -> None:
    ids = actor.encode(CASE.action.messages)
    for part, group in zip(
        partition(CASE.action.messages).at("sentence"),
        groups(actor, CASE.action.messages, partition(CASE.action.messages).at("sentence")),
        strict=True,
    ):
        assert group.name == part.id
        assert actor.subject.tokenizer.decode([ids[i] for i in group.at]) == part.text.strip().lower()


def test_a_rewritten_message_has_no_place(actor: SubjectActor) -> None:
    context = (Message(role="user", content="a < b."),)  # the organism's template writes ( for <
    with pytest.raises(NoPlaceError, match="rewrites message 0"):
        groups(actor, context, partition(context).at("sentence"))


@pytest.mark.parametrize(
    ("clean", "corrupt", "expected"),
    [
        ([1, 2, 3], [1, 9, 3], {0: 0, 1: 1, 2: 2}),  # equal lengths: every position
        ([1, 2, 3, 4], [1, 4], {0: 0, 3: 1}),  # 2 and 3 were taken out
        ([1, 4], [1, 2, 3, 4], {0: 0, 1: 3}),
        ([5, 5], [5, 5, 5], {0: 0, 1: 1}),  # what both begin with comes first
        ([], [1], {}),
    ],
)
def test_positions_correspond(clean: list[int], corrupt: list[int], expected: dict[int, int]) -> None:
    assert align(clean, corrupt) == expected


# --- the number that is watched --------------------------------------------------------------------------------------


def test_log_odds_agree_with_the_actor(inside: Inside, actor: SubjectActor) -> None:
    said = message_text(CASE.action.observed)  # type: ignore[arg-type]
    (logprob,) = actor.logprobs([CASE.action.messages], said)
    expected = logprob - math.log1p(-math.exp(logprob))
    assert inside.score(inside.encode(CASE.action.messages)) == pytest.approx(expected, abs=1e-3)


def test_the_decision_lies_behind_the_opening_of_the_call(inside: Inside, cause: Group) -> None:
    rest = tuple(m for m in CASE.action.messages if m.role != "tool")
    assert inside.decide(CASE.action.messages, rest) == 1  # the opening is certain either way, the name is not
    assert len(inside.said) == 2


def test_a_gradient_agrees_with_finite_differences(inside: Inside, cause: Group) -> None:
    ids = _corrupt(inside.encode(CASE.action.messages), cause)
    site, at = "layers.1.resid", len(ids) - 1
    slope = inside.gradients(ids, [site])[site][at]
    for seed in range(3):
        way = torch.from_numpy(np.random.default_rng(seed).standard_normal(len(slope))).float()
        step = 0.02 / float(way.norm())
        up, down = (inside.score(ids, [Push(site=site, vector=s * way, at=(at,))]) for s in (step, -step))
        assert (up - down) / (2 * step) == pytest.approx(float(slope @ way), rel=0.05, abs=0.02)


# --- patching --------------------------------------------------------------------------------------------------------


def test_patching_everything_brings_the_whole_act_back(inside: Inside, cause: Group) -> None:
    rest = tuple(m for m in CASE.action.messages if m.role != "tool")
    inside.decide(CASE.action.messages, rest)  # what follows the name is certain either way
    ids = inside.encode(CASE.action.messages)
    whole = Group(name="all", at=tuple(range(len(ids))))
    found = patch_map(inside, ids, _corrupt(ids, cause), groups=[whole], confirm=-1)
    assert len(found.cells) == 3
    for cell in found.cells:
        assert cell.share == pytest.approx(1.0, abs=0.02)


def test_patching_what_stands_before_the_change_brings_back_nothing(inside: Inside, cause: Group) -> None:
    ids = inside.encode(CASE.action.messages)
    before = Group(name="before", at=tuple(range(min(cause.at))))
    found = patch_map(inside, ids, _corrupt(ids, cause), groups=[before], confirm=-1)
    # attention is causal: these activations are the same in both, so no pass is spent and the share is exactly 0
    assert [c.share for c in found.cells] == [0.0] * 3
    assert [c.screened for c in found.cells] == [0.0] * 3


def test_the_last_position_of_the_last_block_decides(inside: Inside, cause: Group) -> None:
    rest = tuple(m for m in CASE.action.messages if m.role != "tool")
    inside.decide(CASE.action.messages, rest)
    ids = inside.encode(CASE.action.messages)
    last = Group(name="last", at=(len(ids) - 1,))
    found = patch_map(inside, ids, _corrupt(ids, cause), groups=[last], sites=["layers.2.resid"], confirm=-1)
    # what follows the name in the continuation is certain either way
    assert found.cells[0].share == pytest.approx(1.0, abs=0.02)


def test_only_the_largest_are_confirmed(inside: Inside, cause: Group) -> None:
    ids = inside.encode(CASE.action.messages)
    cells = [Group(name=str(i), at=(i,)) for i in range(max(cause.at), len(ids))]
    found = patch_map(inside, ids, _corrupt(ids, cause), groups=cells, confirm=4)
    known = [abs(c.screened) for c in found.cells if c.share is not None]
    assert len(known) == 4
    assert min(known) >= max(abs(c.screened) for c in found.cells if c.share is None)


def test_two_contexts_with_the_same_act_have_nothing_to_restore(inside: Inside) -> None:
    ids = inside.encode(CASE.action.messages)
    with pytest.raises(UserError, match="nothing to restore"):
        patch_map(inside, ids, ids, groups=[Group(name="all", at=(0,))])


# --- attention -------------------------------------------------------------------------------------------------------


def test_cutting_nothing_changes_nothing(inside: Inside) -> None:
    ids = inside.encode(CASE.action.messages)
    assert inside.cut(ids, queries=range(len(ids)), keys=(), layers=(0, 1, 2)) == pytest.approx(
        inside.score(ids), abs=1e-3
    )


def test_what_nothing_later_may_look_at_can_be_any_words(inside: Inside, cause: Group) -> None:
    ids = inside.encode(CASE.action.messages)
    first = sorted(cause.at)
    later = range(max(first) + 1, len(ids) + len(inside.said) - 1)
    rng = np.random.default_rng(0)
    scores: list[float] = []
    for _ in range(3):
        other = list(ids)
        for i in first:
            other[i] = int(rng.integers(10, 200))
        # positions inside the cause read each other, but nothing behind it reads them
        scores.append(inside.cut(other, queries=later, keys=first, layers=(0, 1, 2)))
    assert max(scores) - min(scores) < 1e-3


def test_knocking_out_the_cause_stops_the_act_and_nothing_else_does(inside: Inside, cause: Group) -> None:
    ids = inside.encode(CASE.action.messages)
    tree = partition(CASE.action.messages).at("sentence")
    others = [g for g in groups(inside.actor, CASE.action.messages, tree) if not set(g.at) & set(cause.at)]
    found = {k.group: k.drop for k in knockouts(inside, ids, groups=[cause, *others]) if k.layers == (0, 2)}
    assert found["cause"] > 5
    assert found["cause"] > 2 * max(v for name, v in found.items() if name != "cause")


# --- directions ------------------------------------------------------------------------------------------------------


def test_readings_of_a_direction_are_one_at_one_mean_and_minus_one_at_the_other() -> None:
    # means (3, 0) and (1, 0): vector (2, 0), middle of the projections (6 + 2) / 2 = 4, |v|^2 = 4
    direction = Direction(site="layers.0.resid", vector=torch.tensor([2.0, 0.0]), middle=4.0)
    values = direction.values(torch.tensor([[3.0, 7.0], [1.0, 7.0], [2.0, 0.0]]))
    assert values.tolist() == [1.0, -1.0, 0.0]


def test_random_directions_have_the_same_length_and_repeat() -> None:
    vector = torch.tensor([3.0, 4.0, 0.0, 0.0])
    drawn = random_like(vector, 4, seed=3)
    assert [float(v.norm()) for v in drawn] == pytest.approx([5.0] * 4)
    assert all(torch.equal(a, b) for a, b in zip(drawn, random_like(vector, 4, seed=3), strict=True))
    assert not torch.equal(drawn[0], random_like(vector, 4, seed=4)[0])


def test_a_push_that_adds_nothing_raises(inside: Inside) -> None:
    ids = inside.encode(CASE.action.messages)
    with pytest.raises(InterventionDidNothing):
        inside.score(ids, [Push(site="layers.0.resid", vector=torch.zeros(64), at=(3,))])


def test_steering_acts_in_the_dose_and_controls_do_not(inside: Inside, cause: Group) -> None:
    rest = tuple(m for m in CASE.action.messages if m.role != "tool")
    inside.decide(CASE.action.messages, rest)
    ids = inside.encode(CASE.action.messages)
    calm = _corrupt(ids, cause)
    direction = difference_of_means(inside, [ids], [calm], "layers.2.resid")
    assert readout(inside, ids, direction)[-1] == pytest.approx(1.0, abs=1e-3)
    assert readout(inside, calm, direction)[-1] == pytest.approx(-1.0, abs=1e-3)
    dose = dose_response(inside, direction, [calm], doses=(1.0, 2.0), unrelated={}, randoms=2)
    assert dose.doses == (0.0, 1.0, 2.0)
    # one prompt, one direction: dose 1 puts the clean residual there, so the chance is that of the transcript itself
    assert dose.curve.means[1] == pytest.approx(inside.chance(ids), abs=0.02)
    assert dose.curve.monotone
    assert max(c.means[1] for c in dose.controls) < 0.5
    assert steered(dose) is True
    assert probe_reading(inside, direction, [ids], [calm]).value == 1.0
    assert not probe_reading(inside, direction, [], [calm]).measured


def test_labelled_units_are_ranked_by_how_far_they_rose(inside: Inside, cause: Group) -> None:
    ids = inside.encode(CASE.action.messages)
    calm = _corrupt(ids, cause)
    site = "layers.2.resid"
    there = difference_of_means(inside, [ids], [calm], site)
    risen = Unit(site=site, vector=there.vector.numpy(), name="up")
    fallen = Unit(site=site, vector=-there.vector.numpy(), name="down")
    found = rises(
        inside, [LabelledUnit(unit=fallen, label="falls"), LabelledUnit(unit=risen, label="rises")],
        acting=[ids], resting=[calm, calm],
    )  # fmt: skip
    assert [r.label for r in found] == ["rises", "falls"]
    # the reading rises from a.v to b.v, and b.v - a.v = |v|^2
    assert found[0].acting - found[0].resting == pytest.approx(float(there.vector.square().sum()), rel=1e-3)
    assert found[0].auroc.value == 1.0
    assert found[1].auroc.value == 0.0
