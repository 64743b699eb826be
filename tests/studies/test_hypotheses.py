"""Each claim can come out supported, against or undecided, and the null can hold or fail: hand-made tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.stats import spearmanr

from maieutic.readings import Reading
from maieutic.studies.regularization.config import HYPOTHESES, StudyConfig, load_config
from maieutic.studies.regularization.derived import derived_rows
from maieutic.studies.regularization.headlines import GAP, HEADLINES, PRIMARY, family, find
from maieutic.studies.regularization.hypotheses import (
    Answer,
    answer_all,
    clustered_spearman,
    interference_points,
    spearman,
)
from maieutic.studies.regularization.measured import Measured, Table
from maieutic.studies.regularization.rows import About, Row
from maieutic.studies.regularization.summary import null_words
from maieutic.studies.regularization.variants import Purpose, Variant

SEEDS = range(5)
#: what a measure does from seed to seed, the same in every arm but for a little
JITTER = (0.0, 0.01, -0.01, 0.02, -0.02)
Values = Mapping[tuple[str, str], float | None]


def rows(values: Values) -> tuple[Row, ...]:
    def row(measure: str, where: str, value: float | None) -> Row:
        about: About = "performance" if measure == "loss" else "interpretability"
        found = Reading.unmeasured(measure, "it broke") if value is None else Reading(name=measure, value=value, n=1)
        return Row(about=about, measure=measure, where=where, reading=found, better=-1 if measure == "loss" else 1)

    return tuple(row(m, w, v) for (m, w), v in values.items())


def model(
    arm: str, seed: int, values: Values, *, loss: float = 1.6, purpose: Purpose = "main", step: int | None = None,
    d_mlp: int | None = None,
) -> Measured:  # fmt: skip
    own = dict(values) | {("loss", ""): loss}
    variant = Variant(purpose=purpose, arm=arm, strength=None, seed=seed, d_mlp=d_mlp)
    return Measured(variant=variant, loss=loss, rows=rows(own), recall=0.9, step=step)


def of_arms(measures: Callable[[str, int], Values], arms: tuple[str, ...], **more: float) -> list[Measured]:
    """Models of some arms at the same loss, and the baseline on its way, as good half-way as at the end."""
    found = [
        model(a, s, measures(a, s), loss=more.get(a.replace("-", "_"), 1.6)) for a in ("gelu", *arms) for s in SEEDS
    ]
    return found + [model("gelu", s, measures("gelu", s), loss=2.0, step=100) for s in SEEDS]


def config(*arms: str, **more: object) -> StudyConfig:
    return load_config("quick", arms=("gelu", *arms), seeds=list(SEEDS), gold_arms=[], null_seeds=[5, 6, 7], **more)


def answers(models: list[Measured], settings: StudyConfig) -> dict[str, Answer]:
    return {a.id: a for a in answer_all(Table(models=tuple(models)), settings)}


def wobble(arm: str, seed: int, amount: float = 0.005) -> float:
    return JITTER[seed] + amount * ((seed * 7 + len(arm)) % 3 - 1)


def gaps(**shift: float) -> Callable[[str, int], Values]:
    return lambda a, s: {("neurons.gap", "blocks.0.mlp.act"): 0.1 + shift.get(a.replace("-", "_"), 0.0) + wobble(a, s)}


# --- H1 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topk", "solu", "verdict"), [(0.2, 0.1, "supported"), (0.2, -0.1, "against"), (0.2, 0.0, "undecided")]
)
def test_h1_needs_every_treatment_and_falls_with_one(topk: float, solu: float, verdict: str) -> None:
    found = answers(of_arms(gaps(topk=topk, solu=solu), ("topk", "solu")), config("topk", "solu"))["H1"]
    assert found.verdict == verdict and found.claim == HYPOTHESES["H1"]
    assert {c.arm for c in found.contrasts} == {"topk", "solu"}


def test_h1_is_not_supported_by_an_arm_that_was_not_measured_and_names_it() -> None:
    def broken(arm: str, seed: int) -> Values:
        values = gaps(topk=0.2)(arm, seed)
        return dict.fromkeys(values) if arm == "solu" else values

    found = answers(of_arms(broken, ("topk", "solu")), config("topk", "solu"))["H1"]
    assert found.verdict == "undecided"
    assert any("solu" in b and "it broke" in b for b in found.because)


def test_controls_are_no_treatments() -> None:
    found = answers(of_arms(gaps(topk=0.2, relu=-0.3), ("topk", "relu")), config("topk", "relu"))["H1"]
    assert found.verdict == "supported" and {c.arm for c in found.contrasts} == {"topk"}


def test_h1_compares_at_equal_loss_and_not_at_equal_tokens() -> None:
    # the arm is worse (1.8) and as clean as GELU was when it was as bad: no gain, whatever GELU became later
    def on_the_way(arm: str, seed: int) -> Values:
        return {("neurons.gap", "blocks.0.mlp.act"): (0.1 if arm == "gelu" else 0.3) + wobble(arm, seed)}

    early = [
        model("gelu", s, {("neurons.gap", "blocks.0.mlp.act"): 0.5 + wobble("gelu", s)}, loss=2.0, step=10)
        for s in SEEDS
    ]
    final = [model(a, s, on_the_way(a, s), loss=1.8 if a == "topk" else 1.6) for a in ("gelu", "topk") for s in SEEDS]
    table = Table(models=(*early, *final))
    settings = config("topk")
    assert find(table, settings).of(GAP, "tokens")[0].verdict == "better"
    # at 1.8 GELU lies half-way between 0.5 and 0.1
    at_loss = answers(list(table.models), settings)["H1"]
    assert at_loss.verdict == "undecided" and at_loss.contrasts[0].reading.value == pytest.approx(0.0, abs=0.02)


# --- H2 ---------------------------------------------------------------------------------------------------------------


def solu_models(loss: float, low: float, *, small: float | None = None) -> list[Measured]:
    """SoLU and SoLU with LayerNorm; SoLU differs by so much."""
    found: list[Measured] = []
    for s in SEEDS:
        for arm, extra in (("solu", 1.0), ("solu-ln", 0.0)):
            values: Values = {("bands.low", "blocks.0.mlp.act"): 0.3 + extra * low + wobble(arm, s)}
            found.append(model(arm, s, values, loss=1.6 + extra * loss + 0.1 * wobble(arm, s)))
            if small is not None:
                sized = 2.0 + extra * small + 0.1 * wobble(arm, s)
                found.append(model(arm, s, {}, loss=sized, purpose="capacity", d_mlp=32))
    return found


@pytest.mark.parametrize(
    ("loss", "low", "verdict"),
    [
        (0.1, 0.2, "supported"),
        (0.1, -0.2, "against"),
        (-0.1, 0.2, "against"),
        (0.0, 0.2, "undecided"),
        (0.1, 0.0, "undecided"),
    ],
)
def test_h2_needs_both_halves(loss: float, low: float, verdict: str) -> None:
    assert answers(solu_models(loss, low), config("solu", "solu-ln"))["H2"].verdict == verdict


def test_h2_looks_at_every_width() -> None:
    settings = config("solu", "solu-ln", capacity=[32], capacity_arms=["solu", "solu-ln"], capacity_seeds=list(SEEDS))
    found = answers(solu_models(0.0, 0.2, small=0.1), settings)["H2"]
    assert found.verdict == "supported" and any("MLPs of 32" in b for b in found.because)
    assert answers(solu_models(0.1, 0.2, small=-0.1), settings)["H2"].verdict == "undecided"


# --- H3 ---------------------------------------------------------------------------------------------------------------


def circuits(units: float, edges: float, gap: float) -> Callable[[str, int], Values]:
    def values(arm: str, seed: int) -> Values:
        on = float(arm != "gelu")
        return {
            ("circuit.units", ""): 100 + on * units + 100 * wobble(arm, seed),
            ("circuit.edges", ""): 1000 + on * edges + 1000 * wobble(arm, seed),
            ("neurons.gap", "blocks.0.mlp.act"): 0.1 + on * gap + wobble(arm, seed),
        }

    return values


@pytest.mark.parametrize(
    ("units", "edges", "gap", "verdict"),
    [
        (-50, -500, 0.0, "supported"), (-50, -500, -0.2, "supported"), (-50, -500, 0.2, "against"), (50, -500, 0.0, "against"),
        (0, -500, 0.0, "undecided"),
    ],
)  # fmt: skip
def test_h3_needs_smaller_circuits_without_cleaner_neurons(
    units: float, edges: float, gap: float, verdict: str
) -> None:
    arms = ("pruning", "weight-sparse")
    assert answers(of_arms(circuits(units, edges, gap), arms), config(*arms))["H3"].verdict == verdict


def test_h3_without_sparse_weights_says_so() -> None:
    found = answers(of_arms(gaps(topk=0.2), ("topk",)), config("topk"))["H3"]
    assert found.verdict == "undecided" and "no arm" in found.because[0]


# --- H4 ---------------------------------------------------------------------------------------------------------------


def interfering(slope: float, *, noise: float = 0.02) -> Callable[[str, int], Values]:
    def values(arm: str, seed: int) -> Values:
        rng = np.random.default_rng([seed, len(arm)])
        found: dict[tuple[str, str], float | None] = {}
        for layer in range(3):
            where, x = f"blocks.{layer}.mlp.down", float(rng.uniform(0, 1))
            found["interference.rms", where] = x
            found["edit.locality", where] = 0.5 - slope * (x - 0.5) + noise * float(rng.normal())
        return found

    return values


@pytest.mark.parametrize(("slope", "verdict"), [(0.5, "supported"), (-0.5, "against"), (0.0, "undecided")])
def test_h4_follows_the_correlation(slope: float, verdict: str) -> None:
    arms = ("topk", "solu-ln", "pruning")
    found = answers(of_arms(interfering(slope), arms), config(*arms))["H4"]
    assert found.verdict == verdict and found.readings[0].n == 4 * 5 * 3


def test_h4_needs_arms_and_seeds() -> None:
    found = answers(of_arms(interfering(0.5), ("topk",)), config("topk"))["H4"]
    assert found.verdict == "undecided" and not found.readings[0].measured


def test_spearman_is_that_of_scipy_and_leaves_holes_out() -> None:
    rng = np.random.default_rng(3)
    both = rng.integers(0, 6, (40, 2)).astype(np.float64)
    assert spearman(both) == pytest.approx(float(spearmanr(both[:, 0], both[:, 1]).statistic))
    holed = np.concatenate([both, [[np.nan, 1.0], [2.0, np.nan]]])
    assert spearman(holed) == pytest.approx(spearman(both))
    assert np.isnan(spearman(np.ones((9, 2))))


def test_the_interval_of_a_correlation_knows_that_arms_hang_together() -> None:
    # each arm is one point, its layers copies of it: more layers must not make the interval narrower
    rng = np.random.default_rng(4)
    places = {s: {a: rng.normal(size=(1, 2)) for a in "abcd"} for s in range(3)}
    once = clustered_spearman("x", places)
    often = clustered_spearman(
        "x", {s: {a: np.repeat(r, 10, axis=0) for a, r in by.items()} for s, by in places.items()}
    )
    assert once.low is not None and once.high is not None and often.low is not None and often.high is not None
    assert often.high - often.low > 0.9 * (once.high - once.low)


def test_a_layer_without_locality_is_a_hole_and_the_others_stay() -> None:
    values: Values = {
        ("interference.rms", "blocks.0.mlp.down"): 0.2, ("edit.locality", "blocks.0.mlp.down"): 0.7,
        ("interference.rms", "blocks.1.mlp.down"): 0.3, ("edit.locality", "blocks.1.mlp.down"): None,
    }  # fmt: skip
    points = interference_points(Table(models=(model("gelu", 0, values),)))
    assert points[0]["gelu"][0] == pytest.approx([0.2, 0.3]) and np.isnan(points[0]["gelu"][1]).all()


# --- H5 ---------------------------------------------------------------------------------------------------------------


def traded(gap: float, locality: float, score: float) -> Callable[[str, int], Values]:
    def values(arm: str, seed: int) -> Values:
        on = float(arm != "gelu")
        return {
            ("neurons.gap", "blocks.0.mlp.act"): 0.1 + on * gap + wobble(arm, seed),
            ("edit.locality", ""): 0.5 + on * locality + wobble(arm, seed),
            ("edit.score", ""): 0.6 + on * score + wobble(arm, seed),
        }

    return values


@pytest.mark.parametrize(
    ("gap", "locality", "score", "verdict"),
    [
        (0.2, -0.2, 0.0, "supported"), (0.2, -0.2, 0.2, "supported"), (0.2, 0.2, 0.0, "against"), (0.2, 0.0, 0.0, "undecided"),
        (0.0, -0.2, -0.2, "undecided"),
    ],
)  # fmt: skip
def test_h5_asks_only_arms_that_gained(gap: float, locality: float, score: float, verdict: str) -> None:
    assert answers(of_arms(traded(gap, locality, score), ("topk",)), config("topk"))["H5"].verdict == verdict


# --- the null, and what holds for all ---------------------------------------------------------------------------------


def null_table(shift: float, *, seeds: int = 5) -> Table:
    rng = np.random.default_rng(11)

    def values(shifted: float) -> Values:
        return {
            (h.measure, h.where if h.where is not None else "blocks.0.mlp.act"): 0.5
            + shifted
            + 0.05 * float(rng.normal())
            for h in HEADLINES
            if h.measure != "loss"
        }

    main = [model("gelu", s, values(0.0), loss=1.6 + 0.01 * float(rng.normal())) for s in range(seeds)]
    again = [
        model("gelu", 5 + s, values(shift), loss=1.6 + 0.01 * float(rng.normal()), purpose="null") for s in range(seeds)
    ]
    return Table(models=(*main, *again))


def test_the_null_holds_for_models_that_differ_in_nothing() -> None:
    findings = find(null_table(0.0), config())
    assert findings.null_ran and not findings.null_differs


def test_the_null_fails_loudly_when_two_groups_differ() -> None:
    from maieutic.studies.regularization.run import Study

    table, settings = null_table(0.6), config()
    findings = find(table, settings)
    assert len(findings.null_differs) > 5
    study = Study(config=settings, table=table, findings=findings, answers=(), seconds=0, machine="")
    assert null_words(study).startswith("THE NULL FAILED")


def test_the_null_over_many_draws_seldom_fails() -> None:
    # Holm keeps the chance of any false alarm among all headlines at 5 %; over 60 tables more than 9 are as good as impossible
    failed = 0
    for draw in range(60):
        rng = np.random.default_rng([12, draw])

        def values(rng: np.random.Generator = rng) -> Values:
            return {
                (h.measure, h.where if h.where is not None else "p"): float(rng.normal())
                for h in HEADLINES
                if h.measure != "loss"
            }

        main = [model("gelu", s, values(), loss=1.6 + 0.01 * float(rng.normal())) for s in range(4)]
        again = [
            model("gelu", 5 + s, values(), loss=1.6 + 0.01 * float(rng.normal()), purpose="null") for s in range(4)
        ]
        failed += bool(find(Table(models=(*main, *again)), config()).null_differs)
    assert failed <= 9


def test_an_empty_study_decides_nothing() -> None:
    assert {a.verdict for a in answer_all(Table(models=()), config("topk", "solu"))} == {"undecided"}


def test_primary_measures_are_one_family_and_others_their_own() -> None:
    findings = find(Table(models=tuple(of_arms(gaps(topk=0.2), ("topk", "solu")))), config("topk", "solu"))
    assert len(findings.families["primary at equal tokens"]) == 2 * len(PRIMARY)
    assert family(GAP, "loss") == "primary at equal loss"
    assert all(c.measure != "loss" for c in findings.families["primary at equal loss"])


def test_derived_rows_by_hand_and_unmeasured_where_a_part_is() -> None:
    def edited(measure: str, value: float | None, where: str = "") -> Row:
        found = Reading.unmeasured(measure, "too few") if value is None else Reading(name=measure, value=value, n=20)
        return Row(about="editability", measure=f"rank-one.{measure}", where=where, reading=found)

    whole = [
        edited("efficacy", 1.0), edited("paraphrase.seen", 0.9), edited("paraphrase.held-out", 0.7),
        edited("locality.near", 0.6), edited("locality.same-subject", 0.2), edited("es95.locality.near", 0.8),
        edited("es95.locality.same-subject", 0.4),
    ]  # fmt: skip
    found = {r.measure: r.reading.value for r in derived_rows(whole)}
    # paraphrases 0.8, locality 0.4, so 3 / (1 / 1 + 1 / 0.8 + 1 / 0.4) = 3 / 4.75
    assert found["edit.score"] == pytest.approx(3 / 4.75) and found["edit.locality"] == pytest.approx(0.6)
    holed = {r.measure: r.reading for r in derived_rows([*whole[:-1], edited("es95.locality.same-subject", None)])}
    assert holed["edit.locality"].reason == "too few" and holed["edit.score"].measured
