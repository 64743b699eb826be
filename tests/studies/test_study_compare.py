"""Two runs side by side: hand-made units with known means, and two small trained models end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maieutic.campaign import RunPlan, create_run, explain_units, score_units
from maieutic.errors import UserError
from maieutic.lab import Budget
from maieutic.readings import RESAMPLES
from maieutic.studies.compare import Comparison, Side, UnitScore, compare_runs, compared_sides
from maieutic.studies.regularization.arms import ARMS, Shape
from maieutic.studies.regularization.config import TrainingConfig
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.subject import study_subject
from maieutic.studies.regularization.train import train


def unit(key: str, value: float | None, *, noise: float = 0.02, base: float = 0.1, seed: int = 0) -> UnitScore:
    """A unit whose resamples lie around its value; all units share the documents' part of the noise."""
    if value is None:
        return UnitScore(key=key, value=None, reason="the unit never changes")
    documents = np.random.default_rng(seed).normal(0, noise, RESAMPLES)
    return UnitScore(
        key=key,
        value=value,
        label="a label",
        replicates=value + documents,
        constant=np.full(RESAMPLES, base),
        base_rate=base,
    )


def side(values: list[float | None], *, directions: list[float], groups: tuple[str, ...] = ("d0", "d1")) -> Side:
    return Side(
        name="model", folder="run", corpus="texts", sites=("mlp",), explainer="search",
        units=tuple(unit(f"mlp/{n}", v) for n, v in enumerate(values)), of=len(values),
        directions=tuple(unit(f"mlp/~{n}", v) for n, v in enumerate(directions)),
        no_directions="" if directions else "run has no explained random directions", stored=(), groups=groups,
    )  # fmt: skip


def row(found: Comparison, what: str):
    return next((a, b, d) for w, a, b, d in found.rows if w == what)


def test_means_and_differences_by_hand() -> None:
    # live means 0.6 and 0.4; directions 0.2 and 0.1; over directions 0.4 and 0.3
    found = compared_sides(side([0.5, 0.7, None], directions=[0.1, 0.3]), side([0.3, 0.5], directions=[0.1, 0.1]))
    score, over = row(found, "AP of live units"), row(found, "AP of live units over random directions")
    assert [r.value for r in score] == pytest.approx([0.6, 0.4, 0.2])
    assert [r.value for r in over] == pytest.approx([0.4, 0.3, 0.1])
    assert row(found, "AP of live units over a constant")[0].value == pytest.approx(0.5)
    # 2 of 2 live ones reach 0.5, but 2 of 3 of all; on the other side 1 of 2 either way
    assert [r.value for r in row(found, "live units with AP 0.5 or more")] == pytest.approx([1.0, 0.5, 0.5])
    assert row(found, "all units with AP 0.5 or more")[0].value == pytest.approx(2 / 3)
    assert found.paired and score[0].n == 2


def test_a_difference_without_a_control_is_unmeasured() -> None:
    found = compared_sides(side([0.9] * 5, directions=[]), side([0.1] * 5, directions=[0.1]))
    for what, _a, _b, d in found.rows:
        assert not d.measured, what
    assert row(found, "AP of live units")[0].measured
    assert "without its control" in str(row(found, "AP of live units")[2].reason)


def test_no_live_unit_is_unmeasured_and_not_zero() -> None:
    found = compared_sides(side([None, None], directions=[0.1]), side([0.4], directions=[0.1]))
    assert not row(found, "AP of live units")[0].measured and not row(found, "AP of live units")[2].measured
    assert row(found, "all units with AP 0.5 or more")[0].value == 0.0


def test_shared_documents_make_intervals_narrower() -> None:
    # the same noise of documents on both sides cancels where they are paired; units that are all alike add none
    left, right = side([0.5] * 4, directions=[0.1] * 4), side([0.5] * 4, directions=[0.1] * 4)
    apart = side([0.5] * 4, directions=[0.1] * 4, groups=("other",))
    paired, unpaired = compared_sides(left, right), compared_sides(left, apart)
    widths = [
        (d.high or 0) - (d.low or 0) for d in (row(f, "AP of live units")[2] for f in (paired, unpaired))
    ]  # fmt: skip
    assert paired.paired and not unpaired.paired
    # each side has sd 0.02, so apart the difference has sd 0.028 and a 95 % interval of 0.111
    assert widths[0] == pytest.approx(0.0, abs=1e-9) and widths[1] == pytest.approx(0.111, abs=0.02)


def test_the_same_run_on_both_sides_differs_in_nothing() -> None:
    rng = np.random.default_rng(5)
    one = side([float(v) for v in rng.uniform(0, 1, 40)], directions=[0.1, 0.2])
    d = row(compared_sides(one, one), "AP of live units")[2]
    assert d.value == 0.0 and d.low is not None and d.high is not None and d.low < 0 < d.high


@pytest.mark.slow
def test_two_small_models_end_to_end(tmp_path: Path) -> None:
    corpus = FactsCorpus(FactsShape(subjects=12, first_names=6, last_names=4, towns=8, jobs=6), seed=1)
    documents = corpus.documents(60)
    texts = documents.corpus("facts")
    runs = []
    for name in ("gelu", "topk"):
        model = train(
            ARMS[name], seed=100, shape=Shape(layers=1, d_model=16, d_mlp=24, heads=2), vocabulary=len(corpus.words),
            training=corpus.training(80), validation=documents.ids,
            settings=TrainingConfig(steps=40, batch=8),  # pyright: ignore[reportCallIssue]
        ).model  # fmt: skip
        plan = RunPlan(subject=name, corpus="facts", sites=("blocks.0.mlp.act",), sample=3, nulls=2)
        run = create_run(tmp_path / name, plan, subject=study_subject(model, corpus, name=name), corpus=texts)
        explain_units(run, budget=Budget(measurements=10))
        score_units(run)
        runs.append(run)
    found = compare_runs(runs[0], runs[1])
    assert found.paired and found.a.name == "gelu" and len(found.a.units) == 3
    assert found.to_json()["runs"][1]["units"] == 3 and len(found.lines()) >= 8
    for u in found.a.live:  # the same numbers as the run's own scores have
        readings = score_units(runs[0], [next(x for x in runs[0].units if x.key == u.key)])
        assert u.value == pytest.approx(readings[u.key]["predictive"].value or u.base_rate)
    with pytest.raises(UserError, match="no explanations by agent"):
        compare_runs(runs[0], runs[1], explainer="agent")
    for run in runs:
        run.close()
