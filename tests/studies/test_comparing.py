"""Comparisons of arms on hand-made tables: paired differences, correction, matching, and what stays unmeasured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.readings import Reading
from maieutic.studies.regularization.comparing import compare, corrected, hierarchical, null_contrast, t_reading
from maieutic.studies.regularization.matching import along_its_sweep, interpolated, stopped_early
from maieutic.studies.regularization.measured import Measured, Table
from maieutic.studies.regularization.rows import Row
from maieutic.studies.regularization.variants import Purpose, Variant


def model(
    arm: str,
    seed: int,
    values: Mapping[str, float | None],
    *,
    loss: float = 1.6,
    strength: float | None = None,
    purpose: Purpose = "main",
    step: int | None = None,
) -> Measured:
    """A model whose measure ``m`` has these values by place."""
    rows = tuple(
        Row(
            about="interpretability", measure="m", where=where,
            reading=Reading.unmeasured("m", "broken") if v is None else Reading(name="m", value=v, n=9),
        )
        for where, v in values.items()
    )  # fmt: skip
    variant = Variant(purpose=purpose, arm=arm, strength=strength, seed=seed)
    return Measured(variant=variant, loss=loss, rows=rows, step=step)


def test_a_t_interval_by_hand() -> None:
    reading, p = t_reading("d", [1.0, 2.0, 3.0])
    # sd 1, standard error 1 / sqrt(3) = 0.57735, t(2, 0.975) = 4.30265: 2 +- 2.48414
    assert reading.value == 2.0 and reading.low == pytest.approx(-0.48414, abs=1e-4)
    # t = 2 / 0.57735 = 3.4641; with two degrees of freedom p = 1 - t / sqrt(t^2 + 2) = 1 - 3.4641 / sqrt(14) = 0.07418
    assert p == pytest.approx(1 - 3.4641016 / np.sqrt(14), abs=1e-6)


def test_one_seed_has_no_interval_and_none_is_unmeasured() -> None:
    alone, p = t_reading("d", [0.4])
    assert alone.value == 0.4 and alone.low is None and p is None
    assert not t_reading("d", [])[0].measured


def test_arms_are_paired_by_seed_over_the_mean_of_places() -> None:
    table = Table(models=(
        model("gelu", 0, {"a": 0.1, "b": 0.3}), model("gelu", 1, {"a": 0.3, "b": 0.5}),
        model("topk", 0, {"a": 0.3, "b": 0.5}), model("topk", 1, {"a": 0.4, "b": 0.6}), model("topk", 2, {"a": 9.0, "b": 9.0}),
    ))  # fmt: skip
    found = compare(table, "topk", "m")
    # means 0.2, 0.4 against 0.4, 0.5: differences 0.2 and 0.1; seed 2 has no partner
    assert found.reading.value == pytest.approx(0.15) and found.reading.n == 2
    assert [s for s, _, _ in found.pairs] == [0, 1]
    assert compare(table, "topk", "m", where="a").reading.value == pytest.approx(0.15)


def test_a_place_that_failed_makes_the_mean_unmeasured_and_says_where() -> None:
    table = Table(models=(model("gelu", 0, {"a": 0.1, "b": 0.2}), model("solu", 0, {"a": 0.5, "b": None})))
    found = compare(table, "solu", "m")
    assert found.verdict == "unmeasured" and "main/solu@1/seed-0: broken" in str(found.reading.reason)
    assert compare(table, "solu", "m", where="a").reading.measured


def test_holm_by_hand() -> None:
    table = Table(models=tuple(
        model(arm, s, {"a": v + 0.001 * s}) for arm, v in (("gelu", 0.1), ("topk", 0.5), ("relu", 0.1)) for s in range(3)
    ))  # fmt: skip
    top, same = corrected([compare(table, "topk", "m"), compare(table, "relu", "m")])
    # differences are alike on every seed: no spread at all, p 0 and 1, which Holm leaves alone
    assert top.p == pytest.approx(0.0, abs=1e-9) and top.verdict == "better"
    assert same.corrected == 1.0 and same.verdict == "no difference seen"


def test_two_groups_of_one_arm_differ_in_nothing() -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        values = rng.normal(0.5, 0.1, size=10)
        models = [model("gelu", s, {"a": float(values[s])}) for s in range(5)]
        models += [model("gelu", s, {"a": float(values[s])}, purpose="null") for s in range(5, 10)]
        hits += null_contrast(Table(models=tuple(models)), "m").verdict != "no difference seen"
    # 5 % of 200 is 10, standard deviation 3.1
    assert hits <= 20


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(-9, 9)), min_size=1, max_size=8), st.floats(-1, 6))
def test_interpolation_stays_between_its_points(points: list[tuple[float, float]], at: float) -> None:
    found = interpolated(points, at)
    places = [p for p, _ in points]
    assert (found is None) == (not min(places) <= at <= max(places))
    if found is not None:
        assert min(v for _, v in points) - 1e-9 <= found <= max(v for _, v in points) + 1e-9


def test_interpolation_by_hand() -> None:
    assert interpolated([(3, 20), (1, 10)], 2) == 15
    assert interpolated([(1, 10), (3, 20)], 3.5) is None and interpolated([(1, 10), (3, 20)], 3.5, near=0.5) == 20
    assert interpolated([(1, 10), (1, 20)], 1) == 15


def test_an_arm_that_learnt_less_is_compared_with_the_baseline_stopped_early() -> None:
    models: list[Measured] = []
    for seed in (0, 1):
        # on its way down the baseline's loss the measure falls from 0.5 to 0.1
        models += [model("gelu", seed, {"a": 0.5}, loss=2.0, step=100), model("gelu", seed, {"a": 0.1}, loss=1.6)]
        models.append(model("pruning", seed, {"a": 0.35 + 0.01 * seed}, loss=1.9))
    table = Table(models=tuple(models))
    assert compare(table, "pruning", "m").reading.value == pytest.approx(0.255), "at equal tokens it looks better"
    found = stopped_early(table, "pruning", "m")
    # at loss 1.9 the baseline has 0.1 + 0.4 * 0.3 / 0.4 = 0.4: the arm is 0.045 below it
    assert found.reading.value == pytest.approx(-0.045) and found.matched == "loss"


def test_beyond_the_curve_nothing_is_matched() -> None:
    table = Table(models=(model("gelu", 0, {"a": 0.1}, loss=1.6), model("relu", 0, {"a": 0.2}, loss=1.4)))
    found = stopped_early(table, "relu", "m")
    assert found.verdict == "unmeasured" and "lies outside 1.600 to 1.600" in str(found.reading.reason)


def test_a_sweep_is_read_at_the_baselines_loss_and_a_slack() -> None:
    table = Table(models=(
        model("gelu", 0, {"a": 0.1}, loss=1.60),
        model("relu-l1", 0, {"a": 0.2}, loss=1.60),
        model("relu-l1", 0, {"a": 0.4}, loss=1.64, strength=0.01, purpose="sweep"),
    ))  # fmt: skip
    found = along_its_sweep(table, "relu-l1", "m")
    # at 1.62, half way: 0.3
    assert found.reading.value == pytest.approx(0.2) and found.matched == "loss of its sweep"
    assert not along_its_sweep(table, "gelu", "m").reading.measured


def test_a_hierarchical_interval_covers_what_seeds_do() -> None:
    rng = np.random.default_rng(1)
    # seeds differ by 0.1, units of a seed hardly at all: taking 256 units for samples would give an interval near 0.001
    values = {s: {"a": float(m) + 0.001 * rng.standard_normal(256)} for s, m in enumerate(rng.normal(0.5, 0.1, 5))}
    mean, low, high = hierarchical(values)
    spread = np.std([v["a"].mean() for v in values.values()])
    assert low < mean < high and high - low > spread
