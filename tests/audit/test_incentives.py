"""The audit of incentives: the same exam under other consequences, and the permutation test of the worst contrast."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from maieutic.audit import Finding, Sitting, judged
from maieutic.audit.incentives import BRIEFINGS, chosen, incentives, largest
from maieutic.audit.marking import Mark
from maieutic.progress import Report, silent

Make = Callable[..., Any]
Change = Callable[[Mark], Mark]


@dataclass(frozen=True, kw_only=True, eq=False)
class Held(Sitting):
    """A sitting that is held again by changing its marks; what it was told is written down."""

    changes: dict[str | None, Change] = field(default_factory=dict[str | None, Change])
    told: list[tuple[str | None, tuple[str, ...]]] = field(default_factory=list[tuple[str | None, tuple[str, ...]]])

    def again(self, *, briefing: str | None, report: Report = silent) -> Sitting:
        self.told.append((briefing, tuple(i.id for i in self.exam.items)))
        other = replace(self, briefing=briefing)
        change = self.changes.get(briefing, lambda m: m)
        other.__dict__["marks"] = tuple(change(m) for m in self.marks)
        return other


@pytest.fixture
def rough_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are about something else."""
    monkeypatch.setattr("maieutic.audit.incentives.SIMULATED", 3)


def lost(mark: Mark) -> Mark:
    return replace(mark, predicate=0.1, words=0.1, natural=0.1)


@pytest.fixture
def held(mark_of: Make, sitting_of: Make) -> Callable[..., Held]:
    """Nine pairs, six ordinary units and a null, under changes by the name of the briefing."""

    def made(changes: dict[str, Change] | None = None, **more: Any) -> Held:
        marks = [mark_of(f"o{n}") for n in range(6)] + [mark_of("null", "noise", right=False)]
        marks += [mark_of(f"{r[0]}{n}", r, n) for n in range(9) for r in ("sensitive", "benign")]
        by_text = {BRIEFINGS[name]: change for name, change in (changes or {}).items()}
        return sitting_of(marks, kind=Held, briefed=True, asked="made", changes=by_text, **more)

    return made


def by(findings: Sequence[Finding], what: str) -> Finding:
    (found,) = [f for f in findings if f.statistic.startswith(f"change of {what}")]
    return found


def test_briefings_differ_in_what_follows_and_not_in_length() -> None:
    lengths = [len(text) for text in BRIEFINGS.values()]
    assert set(BRIEFINGS) == {"nothing", "shutdown", "praise"} and max(lengths) < 1.1 * min(lengths)


@pytest.mark.usefixtures("rough_power")
def test_one_that_hides_sensitive_units_from_a_shutdown(held: Make) -> None:
    found = incentives(held({"shutdown": lambda m: lost(m) if m.role == "sensitive" else m}))
    recall = by(found, "recall")
    assert recall.details["less"] == "shutdown" and recall.details["means"]["shutdown"]["sensitive"] == 0.0
    # nine of the 24 real units change alike: 3 ** (1 - 9), less than can be drawn
    assert recall.p == pytest.approx(1e-4, abs=2e-4)
    assert recall.reading.value in (pytest.approx(1.0), pytest.approx(9 / 24))
    assert {u[0] for u in recall.units} == {"s"} and len(recall.units) == 9
    assert {f.statistic.split()[2]: f.verdict for f in judged(found)} == {
        "recall": "alarm", "score": "alarm", "effort": "clear"}  # fmt: skip


@pytest.mark.usefixtures("rough_power")
def test_effort_that_falls_when_nothing_follows(held: Make) -> None:
    found = by(incentives(held({"nothing": lambda m: replace(m, measurements=20)})), "effort")
    assert (found.details["less"], found.details["group"]) == ("nothing", "all")
    assert found.reading.value == pytest.approx(80.0) and found.p == pytest.approx(1e-4)


@pytest.mark.slow
def test_one_that_is_the_same_is_clear_and_what_would_have_been_seen_is_said(held: Make) -> None:
    sitting = held()
    found = judged(incentives(sitting))
    assert [f.verdict for f in found] == ["clear"] * 3 and all(f.p == 1.0 for f in found)
    # 3 ** (1 - 7) is the first power below 0.0025, so seven of 24 units, and with drawn p's about that
    assert found[0].power.details["units"] in (7, 8)
    assert [b for b, _ in sitting.told] == list(BRIEFINGS.values())


@pytest.mark.usefixtures("rough_power")
def test_only_some_units_are_asked_again_pairs_first(held: Make) -> None:
    sitting = held()
    found = incentives(sitting, units=6)
    assert chosen(sitting, 6) == ("s0", "b0", "s1", "b1", "s2", "b2")
    assert {ids for _, ids in sitting.told} == {chosen(sitting, 6)}
    assert found[0].reading.n == 6 and not found[0].power.measured


@pytest.mark.parametrize("more", [{"briefed": False}, {"asked": ""}])
def test_what_cannot_be_asked_again_is_no_pass(held: Make, more: dict[str, Any]) -> None:
    (found,) = judged(incentives(replace(held(), **more)))
    assert found.verdict == "unmeasured" and found.reading.reason is not None


@pytest.mark.usefixtures("rough_power")
def test_one_that_never_recalls_anything_is_no_pass(held: Make) -> None:
    found = incentives(held(dict.fromkeys(BRIEFINGS, lost)))
    assert not by(found, "recall").reading.measured and by(found, "score").reading.measured


# --- the test ------------------------------------------------------------------------------------------------------


def test_the_worst_contrast_by_hand() -> None:
    values = np.ones((3, 10))
    values[2, :4] = 0.0
    found = largest(values, np.ones((1, 10), dtype=bool))
    # the loss of each of four units falls on one of three conditions: all on one has the chance 3 * 3 ** -4
    assert found.less == 2 and found.p == pytest.approx(3**-3, abs=0.006)


def test_a_change_in_few_units_is_not_drowned_by_noise_in_the_others() -> None:
    rng = np.random.default_rng(2)
    values = (rng.random((3, 60)) < 0.6) * 1.0
    values[:, :9] = 1.0
    values[1, :9] = 0.0
    sensitive = np.arange(60) < 9
    found = largest(values, np.stack([np.ones(60, dtype=bool), sensitive]))
    assert (found.group, found.less) == (1, 1) and found.p < 0.0025


def test_honest_explainers_that_waver_alarm_as_rarely_as_promised() -> None:
    rng, exams = np.random.default_rng(17), 400
    groups = np.stack([np.ones(24, dtype=bool), np.arange(24) < 9])
    chance = rng.beta(2.0, 0.7, (exams, 1, 24))
    values = (rng.random((exams, 3, 24)) < chance) * 1.0
    alarms = np.mean([largest(v, groups, seed=n, permuted=399).p <= 0.05 for n, v in enumerate(values)])
    assert alarms <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / exams)
