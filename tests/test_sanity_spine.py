"""The sanity suite through the whole spine: real predicates on real (small) subjects, scored by ``mt.score``.

``test_sanity.py`` damages predictions; this damages labels. Beside the primary metrics stand those that forgive: shown to fail,
they never stand alone.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maieutic as mt
from maieutic.bench.result import BenchResult, Figure, print_result
from maieutic.campaign import RunPlan, create_run, explain_units, score_units
from maieutic.cli.tables import summarise
from maieutic.explain import Explanation, viewer_of
from maieutic.explain.predicates.base import Constant, Not, Predicate
from maieutic.explain.predicates.text import TokenIn
from maieutic.harvest import Atlas
from maieutic.readings import Estimate, Reading, mean_estimate, mean_reading, share_reading
from maieutic.report import write_report
from maieutic.report.gather import gather
from maieutic.score import Controls, shuffled, verdict
from maieutic.stimuli.base import SPLITS, Corpus

WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnr"]  # 100 invented words
#: sixteen words that the unit fires at, and as many that it does not
FIRES, OTHERS = tuple(WORDS[3:99:6]), tuple(WORDS[1:97:6])


def texts(n: int = 150, length: int = 40, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=length)) for _ in range(n)]


def fires_at(words: tuple[str, ...], name: str) -> mt.Subject:
    return mt.function_subject(lambda batch: [[float(w in words) for w in t.split()] for t in batch], name=name)


@pytest.fixture(scope="module")
def spine() -> tuple[mt.Subject, Corpus, Atlas]:
    subject, corpus = fires_at(FIRES[:2], "two words"), Corpus.from_texts(texts())
    return subject, corpus, mt.harvest(subject, corpus, ["output"])


def label(predicate: Predicate) -> Explanation:
    return Explanation(unit="output/0", label="l", predicate=predicate, explainer="test", confidence=0.9)


def scores(predicate: Predicate, spine: tuple[mt.Subject, Corpus, Atlas], **more: object) -> dict[str, Reading]:
    subject, corpus, atlas = spine
    found = label(predicate).bound(viewer_of(subject, corpus))
    return mt.score(found, subject, subject.unit(), corpus, atlas=atlas, controls=more.get("controls", Controls()))  # pyright: ignore[reportArgumentType]


def value(readings: dict[str, Reading], name: str) -> float:
    found = readings[name].value
    assert found is not None, readings[name].reason
    return found


# --- labels that are right, empty, wrong, short, long ---------------------------------------------------------------


def test_an_oracle_predicate_scores_one(spine: tuple[mt.Subject, Corpus, Atlas]) -> None:
    found = scores(TokenIn(words=FIRES[:2]), spine)
    for name in (
        "predictive",
        "predictive.pearson",
        "predictive.auroc",
        "predictive.f1",
        "predictive.balanced_accuracy",
    ):
        assert value(found, name) == pytest.approx(1.0), name
    assert found["predictive.beats.constant"].low > 0.9  # pyright: ignore[reportOptionalOperand]


def test_constants_are_at_chance_and_beat_nothing(spine: tuple[mt.Subject, Corpus, Atlas]) -> None:
    for constant in (0.0, 0.5, 1.0):
        found = scores(Constant(value=constant), spine)
        assert value(found, "predictive") == pytest.approx(found["predictive"].details["base_rate"])
        assert not found["predictive.pearson"].measured  # it has no correlation, rather than one of 0
        assert value(found, "predictive.auroc") == pytest.approx(0.5)
        assert value(found, "predictive.beats.constant") == 0.0


def test_the_negation_of_the_truth_is_below_chance(spine: tuple[mt.Subject, Corpus, Atlas]) -> None:
    found = scores(Not(part=TokenIn(words=FIRES[:2])), spine)
    assert value(found, "predictive") <= found["predictive"].details["base_rate"]
    assert value(found, "predictive.pearson") == pytest.approx(-1.0)
    assert value(found, "predictive.auroc") == pytest.approx(0.0)


def test_shuffled_labels_are_at_chance() -> None:
    """Eight units that fire at two words each: lent to another unit, an exact label is worth nothing."""
    corpus = Corpus.from_texts(texts(n=120, seed=3))
    pairs = [FIRES[i : i + 2] for i in range(0, 16, 2)]
    found = [
        Explanation(unit=f"output/{i}", label=str(p), predicate=TokenIn(words=p), explainer="t", confidence=0.9)
        for i, p in enumerate(pairs)
    ]
    lent = shuffled(found)
    for i, pair in enumerate(pairs):
        subject = fires_at(pair, f"unit {i}")
        controls = Controls(shuffled=lent[f"output/{i}"])
        readings = mt.score(found[i], subject, subject.unit(), corpus, controls=controls)
        base = readings["predictive"].details["base_rate"]
        assert value(readings, "predictive") == pytest.approx(1.0)
        assert value(readings, "predictive.control.shuffled") <= base + 0.01
        assert readings["predictive.beats.shuffled"].low > 0.9  # pyright: ignore[reportOptionalOperand]


@settings(max_examples=12, deadline=None)
@given(kept=st.integers(1, 7), extra=st.integers(1, 8))
def test_missing_and_extra_labels_move_the_primary_metrics_the_right_way(kept: int, extra: int) -> None:
    """A unit of eight words: dropping words from the label, or adding false ones, always costs AP and r, by the amount."""
    subject, corpus = fires_at(FIRES[:8], "eight words"), _CORPUS
    atlas = mt.harvest(subject, corpus, ["output"])
    spine = (subject, corpus, atlas)
    whole = scores(TokenIn(words=FIRES[:8]), spine)
    missing = scores(TokenIn(words=FIRES[:kept]), spine)
    more = scores(TokenIn(words=(*FIRES[:8], *OTHERS[:extra])), spine)
    base = whole["predictive"].details["base_rate"]
    for damaged in (missing, more):
        assert value(damaged, "predictive") < value(whole, "predictive")
        assert value(damaged, "predictive.pearson") < value(whole, "predictive.pearson")
    # by hand: words are equally frequent, so recall is kept/8 and precision 8/(8 + extra)
    assert value(missing, "predictive") == pytest.approx(kept / 8 + (1 - kept / 8) * base, abs=0.1)
    assert value(more, "predictive") == pytest.approx(8 / (8 + extra), abs=0.1)


_CORPUS = Corpus.from_texts(texts(n=60, seed=5))


def test_the_comparison_columns_miss_what_the_primary_metrics_see(spine: tuple[mt.Subject, Corpus, Atlas]) -> None:
    """Documented comparison at 2 % active positions: AUROC and balanced accuracy forgive extra labels, the mean gap missing ones.

    MAIA's score is such a gap; delphi's are balanced accuracies.
    """
    whole, half = TokenIn(words=FIRES[:2]), TokenIn(words=FIRES[:1])
    double = TokenIn(words=(*FIRES[:2], *OTHERS[:2]))
    right, missing, extra = (scores(p, spine) for p in (whole, half, double))
    # the primary metrics halve
    assert value(extra, "predictive") < 0.6
    assert value(missing, "predictive") < 0.65
    for damaged in (missing, extra):
        assert value(damaged, "predictive.pearson") < 0.8
    # extra labels: AUROC and balanced accuracy hardly notice
    for column in ("auroc", "balanced_accuracy"):
        assert value(extra, f"predictive.{column}") > value(right, f"predictive.{column}") - 0.02
    # missing labels: the gap hardly notices
    assert value(missing, "predictive.mean_gap") > 0.95 * value(right, "predictive.mean_gap")


# --- splits --------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 12))
def test_near_duplicates_never_stand_on_two_sides(seed: int, cut: int) -> None:
    """Copies with a changed beginning, another case and other marks lie in the split of their original."""
    originals = texts(n=25, length=60, seed=seed)
    copies = [f"Once more, {' '.join(t.split()[cut:]).upper()}!!" for t in originals]
    corpus = Corpus.from_texts([*originals, *copies])
    assert len(corpus) == 50
    sides = {str(s.content): s.split for s in corpus}
    assert all(sides[a] == sides[b] for a, b in zip(originals, copies, strict=True))
    assert {s.split for s in corpus} == set(SPLITS)
    by_group = [{s.group for s in corpus.split(split)} for split in SPLITS]
    assert not by_group[0] & by_group[1]
    assert not by_group[0] & by_group[2]
    assert not by_group[1] & by_group[2]


def test_pictures_that_look_alike_never_stand_on_two_sides() -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    originals = [
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
        for _ in range(20)
    ]
    altered = [im.resize((80, 80)).point(lambda v: min(255, v + 6)) for im in originals]
    mirrored = [im.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for im in originals]
    corpus = Corpus.from_images([*originals, *altered, *mirrored])
    sides = [s.split for s in corpus]
    for i in range(20):
        assert sides[i] == sides[20 + i] == sides[40 + i]
    assert set(sides) == set(SPLITS)


def test_no_explainer_is_given_a_test_stimulus(spine: tuple[mt.Subject, Corpus, Atlas]) -> None:
    subject, corpus, atlas = spine
    lab = mt.Lab(subject, subject.unit(), atlas, budget=mt.Budget(measurements=40))
    mt.explain(lab)
    held_out = {s.id for s in corpus.split("test")}
    looked_at = {e.stimulus.id for e in lab.exemplars(500, where="spectrum")}
    looked_at |= {o.stimulus.id for o in (*lab.discover, *lab.select)} | set(lab.shown)
    assert looked_at
    assert not looked_at & held_out


# --- unmeasured stays unmeasured -----------------------------------------------------------------------------------

readings = st.lists(
    st.one_of(
        st.floats(-10, 10).map(lambda v: Reading(name="r", value=v)),
        st.sampled_from(["abstained", "crashed", "refused"]).map(lambda why: Reading.unmeasured("r", why)),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(readings)
def test_means_count_the_unmeasured_and_never_average_them(rows: list[Reading]) -> None:
    mean = mean_reading("mean", rows)
    known = [r.value for r in rows if r.value is not None]
    lost = [r.reason for r in rows if r.reason is not None]
    assert mean.details["of"] == len(rows)
    assert sum(mean.details["unmeasured"].values()) == len(lost)
    if known:
        assert mean.value == pytest.approx(float(np.mean(known)))
        assert mean.n == len(known)
    else:
        assert mean.value is None
        assert all(why in str(mean) for why in lost if why)
    # a mean of means keeps the reasons, and JSON keeps both
    above = mean_reading("above", [mean, Reading.unmeasured("other", "no network")])
    assert above.details["unmeasured"]["no network"] == 1
    assert (above.value is None) == (not known)
    for reading in (mean, above, *rows):
        again = Reading.from_json(json.loads(json.dumps(reading.to_json())))
        assert again == reading
        assert (again.value is None) == (again.reason is not None)


def test_undefined_estimates_become_unmeasured_not_numbers() -> None:
    good = Estimate(value=0.5, replicates=np.full(10, 0.5))
    undefined = Estimate(value=math.nan, replicates=np.full(10, math.nan))
    for estimate in (undefined, good - undefined, undefined - good, mean_estimate([good, undefined])):
        reading = estimate.reading("e", n=3, undefined="never active")
        assert (reading.value, reading.reason, reading.n) == (None, "never active", 3)
    half = Estimate(value=0.5, replicates=np.array([0.5] * 4 + [math.nan] * 6))
    assert half.interval() is None  # fewer than half defined: a value without an interval
    assert half.reading("e", n=3).value == 0.5
    assert share_reading("s", []).value is None
    with pytest.raises(AssertionError):
        Reading(name="r", value=math.nan)
    with pytest.raises(AssertionError):
        Reading(name="r", value=0.5, reason="both")


def test_benches_show_unmeasured_figures_and_miss_their_targets(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = Figure(reading=Reading.unmeasured("f", "the model refused"), target=0.0)
    result = BenchResult(
        bench="b", seed=0, seconds=1.0, figures={"f": unknown, "g": Figure(reading=share_reading("s", []))}
    )
    printed = json.loads(json.dumps(result.to_json()))
    assert printed["figures"]["f"]["value"] is None
    assert printed["figures"]["f"]["met"] is False
    assert printed["met"] is False
    print_result(result)
    shown = " ".join(capsys.readouterr().out.split())
    assert "unmeasured" in shown
    assert "refused" in shown


def test_unmeasured_controls_are_not_beaten() -> None:
    own = Reading(name="predictive", value=0.9)
    better = {f"predictive.beats.{c}": Reading(name="b", value=0.5, low=0.4, high=0.6) for c in (
        "constant", "shuffled", "one_shot", "untrained", "random_direction")}  # fmt: skip
    assert verdict({"predictive": own, **better}).beats is True
    lacking = {**better, "predictive.beats.untrained": Reading.unmeasured("b", "a black box has no untrained copy")}
    stands = verdict({"predictive": own, **lacking})
    assert stands.beats is None
    assert stands.unmeasured == {"untrained": "a black box has no untrained copy"}
    lost = {**lacking, "predictive.beats.constant": Reading(name="b", value=0.0, low=-0.1, high=0.1)}
    assert verdict({"predictive": own, **lost}).beats is False
    assert verdict({"predictive": Reading.unmeasured("predictive", "abstained"), **better}).beats is None


def test_reports_say_unmeasured_with_its_reason(tmp_path: Path) -> None:
    """A unit that the explainer declined, through store, tables and pages: the word stands there, and no 0."""
    subject = mt.function_subject(lambda batch: [[1.0] * len(t.split()) for t in batch], name="always on")
    plan = RunPlan(subject="always on", corpus="texts", sites=("output",), sample=1, nulls=0)
    with create_run(tmp_path / "run", plan, subject=subject, corpus=Corpus.from_texts(texts(n=30))) as run:
        explain_units(run)
        (readings,) = score_units(run).values()
        assert all(not r.measured for r in readings.values())
        summary = summarise(run)
        index = write_report(gather([run]), tmp_path / "report")
    assert summary.beating == 0
    assert summary.rows[0].ap.value is None
    assert summary.to_json()["rows"][0]["ap"]["value"] is None
    pages = [p.read_text(encoding="utf-8") for p in index.parent.rglob("*.html")]
    assert any("unmeasured" in page for page in pages)
    assert any("never changes" in page for page in pages)
