"""The page of the study: every arm on it, also those that failed, hostile text escaped, and a loud null."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from maieutic.readings import Reading
from maieutic.report.study import study_html, write_study
from maieutic.report.study_charts import axis, band_charts, family_of, forest, frontier
from maieutic.studies.regularization.arms import ARMS
from maieutic.studies.regularization.config import StudyConfig, load_config
from maieutic.studies.regularization.derived import derived_rows
from maieutic.studies.regularization.headlines import GAP, LOCALITY, LOSS, find
from maieutic.studies.regularization.hypotheses import answer_all
from maieutic.studies.regularization.measured import Measured, Table
from maieutic.studies.regularization.rows import About, Row
from maieutic.studies.regularization.run import Study
from maieutic.studies.regularization.variants import Variant, variants_of

HOSTILE = "<script>document.title='hacked'</script>\u202e{{7*7}}"


def made_up(variant: Variant, *, step: int | None = None) -> Measured:
    """A model with numbers that look like those of a run; no part of it is a measurement."""
    rng = np.random.default_rng(
        [list(ARMS).index(variant.arm), variant.seed, step or 0, int(100 * abs(variant.strength or 0))]
    )
    arm = ARMS[variant.arm]
    level = 0.1 + 0.25 * (not arm.control) * float(rng.uniform(0.5, 1)) if arm.trained else 0.0
    found: list[Row] = []

    def add(about: About, measure: str, value: float, where: str = "", better: int = 1, **details: object) -> None:
        reading = Reading(name=measure, value=float(value), n=50, details=details)
        found.append(Row(about=about, measure=measure, where=where, reading=reading, better=better))  # pyright: ignore[reportArgumentType]

    loss = 1.6 + 0.08 * level + 0.02 * float(rng.normal()) + (0.3 if step == 200 else 0.1 if step else 0)
    add("performance", "loss", loss if arm.trained else 5.2, better=-1)
    add("performance", "recall.seen", 0.9 + 0.02 * float(rng.normal()))
    for layer in range(3):
        where = f"blocks.{layer}.mlp.act"
        add("interpretability", "neurons.gap", level + 0.03 * float(rng.normal()), where)
        curve = [max(0.0, 1 - t / (0.3 + level)) for t in np.linspace(0, 1, 21)]
        add("interpretability", "neurons.score", 0.3 + level, where, curve=curve)
        add(
            "interpretability",
            "rotated.score",
            0.15,
            where,
            curve=[max(0.0, 1 - t / 0.3) for t in np.linspace(0, 1, 21)],
        )
        for band, height in (("low", 0.15), ("middle", 0.35), ("high", 0.7)):
            add("interpretability", f"bands.{band}", height + 0.5 * level, where)
            if arm.mlp_norm:
                add("hiding", f"hiding.{band}.after", height, where)
        add("sparsity", "sparsity.active", 1 - level, where, 0)
        down = f"blocks.{layer}.mlp.down"
        rms = float(rng.uniform(0.05, 0.3))
        add("editability", "interference.rms", rms, down, -1)
        for part in ("near", "same-subject"):
            add("editability", f"rank-one.es95.locality.{part}", 0.8 - rms + 0.03 * float(rng.normal()), down)
    for part in ("near", "same-subject"):
        add("editability", f"rank-one.es95.locality.{part}", 0.7 - 0.8 * level + 0.03 * float(rng.normal()))
    found += derived_rows(found)
    return Measured(variant=variant, loss=found[0].reading.value or 0.0, rows=tuple(found), recall=0.9, step=step)


def study_of(settings: StudyConfig, *, failed: str = "pruning") -> Study:
    variants = [v for v in variants_of(settings) if v.purpose != "gold"]
    models = [made_up(v) for v in variants if v.arm != failed]
    models += [made_up(v, step=s) for v in variants if v.arm == "gelu" and v.purpose == "main" for s in (200, 400)]
    missing = tuple((v.name, f"the weights of {v.name} are not finite {HOSTILE}") for v in variants if v.arm == failed)
    table = Table(models=tuple(models), missing=missing)
    return Study(
        config=settings, table=table, findings=find(table, settings), answers=answer_all(table, settings), seconds=512.0,
        machine="test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Study:
    return study_of(load_config("quick", null_seeds=[3, 4, 5]))


@pytest.fixture(scope="module")
def page(study: Study) -> str:
    return study_html(study)


def test_every_arm_is_on_the_page_and_a_failed_one_with_its_reason(page: str, study: Study) -> None:
    body = re.sub(r"<[^>]+>", " ", page)
    for arm in study.config.arms:
        assert re.search(rf"\b{re.escape(arm)}\b", body), arm
    assert "are not finite" in body and "0 of 3" in body


def test_the_page_is_self_contained_and_hostile_text_is_text(page: str) -> None:
    assert "<script" not in page and "{{7*7}}" in page and "\u202e" not in page
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    assert "default-src 'none'" in page


def test_the_page_is_written_with_a_summary_in_words(study: Study, tmp_path: Path) -> None:
    written = write_study(study, tmp_path)
    assert written.name == "report.html" and not list(tmp_path.glob("*.part"))
    summary = (tmp_path / "summary.txt").read_text()
    assert all(f"{a.id} {a.verdict.upper()}" in summary for a in study.answers)
    assert written.read_bytes() == write_study(study, tmp_path).read_bytes()


def test_a_failed_null_is_the_first_thing_said(study: Study, page: str) -> None:
    assert 'class="calm" id="null-said"' in page
    from dataclasses import replace

    loud = tuple(replace(c, corrected=0.001) for c in study.findings.null)
    failed = replace(study, findings=replace(study.findings, null=loud))
    assert 'class="alarm" id="null-said"' in study_html(failed) and "THE NULL FAILED" in study_html(failed)


def test_a_frontier_has_a_point_for_each_model_and_says_who_is_left_out(study: Study) -> None:
    found = frontier(study.table, study.config.arms, LOSS, GAP)
    models = [m for m in study.table.models if m.variant.purpose in ("main", "sweep") and m.variant.arm != "untrained"]
    assert len(found.points) == len(models)
    assert [a for a, _ in found.left_out] == ["pruning", "untrained"]
    assert "not finite" in found.left_out[0][1] and "loss 5.2" in found.left_out[1][1]
    assert {m.arm for m in found.means} == set(study.config.arms) - {"pruning", "untrained"}
    for m in found.means:
        assert 0 <= m.x <= 100 and 0 <= m.y <= 100


def test_a_forest_stands_on_both_sides_of_zero(study: Study) -> None:
    found = forest(study.findings, LOCALITY)
    assert 0 < found.zero < 100 and {r.matching for r in found.rows} == {"equal tokens", "equal loss", "equal recall"}
    for row in found.rows:
        value = row.contrast.reading.value
        assert (row.bar is None) == (value is None)
        if row.bar is not None and value is not None and abs(value) > 1e-3:
            assert (row.bar.at > found.zero) == (value > 0)


def test_bands_behind_the_norm_only_where_there_is_one(study: Study) -> None:
    series = (("bands.{}", "before", "own"), ("hiding.{}.after", "behind", "after"))
    found = {c.arm: [x.name for x in c.lines] for c in band_charts(study.table, study.config.arms, series)}
    assert found["solu-ln"] == ["before", "behind"] and found["solu"] == ["before"] and found["pruning"] == []


def test_an_axis_has_round_marks() -> None:
    found = axis([], low=0.0, high=1.0)
    assert [t for _, t in found.ticks] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [at for at, _ in found.ticks] == pytest.approx([0, 20, 40, 60, 80, 100])
    wide = axis([-0.03, 0.05])
    assert wide.low < -0.03 and wide.high > 0.05 and 4 <= len(wide.ticks) <= 9 and "0.00" in [t for _, t in wide.ticks]
    assert axis([2.0]).at(2.0) == pytest.approx(50.0)


def test_families_of_arms() -> None:
    assert {family_of(a) for a in ARMS} == {"control", "activation", "solu", "weights", "other"}
    assert (
        family_of("gelu-ln") == "control" and family_of("solu-ln") == "solu" and family_of("bias-init") == "activation"
    )
