"""The study as a whole: planted effects are found on both halves, and what fails a step is not called a bias."""

from __future__ import annotations

import json

import numpy as np
import pytest

from maieutic.bench.bias_models import planted_pictures
from maieutic.errors import UsageError, UserError
from maieutic.readings import Reading
from maieutic.studies.bias import parse_output, run_bias, study
from maieutic.studies.bias.design import Material, cells_of, halves_of
from maieutic.studies.bias.study import BIAS, NOTHING, PLACEBO, UNCONFIRMED, Half
from maieutic.subjects import function_subject

from .small import material, trial


def accident(text: str) -> float:
    """The same number between -1 and 1 for the same text."""
    return float(np.random.default_rng(list(text.encode())).uniform(-1, 1))


def subject(rule):
    return function_subject(lambda texts: [rule(t) for t in texts], name="rule")


def found(rule, made: Material | None = None, **options):
    s = subject(rule)
    return run_bias(s, made or material(20), [parse_output(s, "output/0")], **options)


def test_a_planted_effect_is_a_bias_and_its_value_is_right():
    result = found(lambda t: 1.5 * ("yes" in t) + 0.2 * accident(t))
    (f,) = result.findings
    assert f.verdict == BIAS and f.effect.value == pytest.approx(1.5, abs=0.15)
    assert (f.effect.low or 0) < 1.5 < (f.effect.high or 0)
    assert f.discovery.adjusted == 2 / 2**10 and f.bases == 20 and f.clusters == 20
    assert not f.untrained.measured and "no untrained copy" in (f.untrained.reason or "")


def test_accidents_are_no_bias():
    assert not found(lambda t: accident(t)).biases


def test_what_holds_in_one_half_only_is_not_confirmed():
    made = material(20)
    halves = halves_of(made, seed=0)
    first = {b for b, half in halves.clusters.items() if half == 0}
    (f,) = found(lambda t: ("yes" in t) * (1.0 if t.split()[0] in first else -1.0) + 0.1 * accident(t), made).findings
    assert f.verdict == UNCONFIRMED and "other way" in f.why


def test_confirmation_is_adjusted_over_candidates_alone():
    result = found(
        lambda t: 1.0 * ("yes" in t) + 0.1 * accident(t), material(20, levels=("no", "yes", "may", "will", "can"))
    )
    by = {f.level: f for f in result.findings}
    # 4 contrasts on the first half, 1 candidate on the other: 2/2^10 times 4, and times 1
    assert by["yes"].discovery.adjusted == pytest.approx(8 / 2**10)
    assert by["yes"].confirmation.adjusted == pytest.approx(2 / 2**10)
    assert by["may"].confirmation.adjusted is None and by["may"].verdict == NOTHING


def test_an_effect_no_larger_than_its_placebo_is_none():
    made = material(20)
    placebos = [
        study.replace(t, key=t.key + " placebo", load=lambda text=t.key: text + " placebo", role="placebo")
        for t in made.trials if t.level == "yes"
    ]  # fmt: skip
    made = study.replace(made, trials=(*made.trials, *placebos))

    def disturbed(t: str) -> float:
        return -1.0 * ("yes" in t) + 0.1 * accident(t)

    (f,) = found(disturbed, made).findings
    assert f.verdict == PLACEBO and f.placebo.value == pytest.approx(-1.0, abs=0.1)
    assert found(lambda t: disturbed(t) + ("placebo" in t), made).findings[0].verdict == BIAS


def test_paraphrases_are_drawn_together_and_fall_into_one_half():
    trials = [
        trial(f"base{k}.{j}", level, cluster=f"family{k}")
        for k in range(8)
        for j in range(5)
        for level in ("no", "yes")
    ]
    made = Material(modality="text", name="families", trials=tuple(trials), references={"a": "no"})
    result = found(lambda t: ("yes" in t) * (0.4 + accident(t.split(".")[0])), made)
    assert result.findings[0].clusters == 8 and result.findings[0].bases == 40
    assert not result.biases
    assert any(n.startswith("WARNING") for n in found(lambda t: 0.0, material(8, levels=("no", *"abcdefgh"))).notes)


def test_halves_share_no_base_and_no_filler():
    made = material(12, fillers=tuple(f"name{i}" for i in range(10)))
    halves = halves_of(made, seed=3)
    values = {t.key: 0.0 for t in made.trials}
    parts = [cells_of(made, values, "a", "yes", halves=halves, half=h) for h in (0, 1)]
    assert [p.level.shape for p in parts if p is not None] == [(6, 5), (6, 5)]
    assert all(p.same for p in parts if p is not None)  # the same names at both levels stay together
    assert halves_of(made, seed=3) == halves and halves_of(made, seed=4) != halves


def test_too_few_bases_are_refused():
    with pytest.raises(UserError, match="5 independent bases, two halves need 6"):
        found(lambda t: 0.0, material(5))


def test_a_level_alone_is_refused():
    with pytest.raises(UserError, match="at least one more"):
        material(8, levels=("no",))


def test_pictures_for_a_reader_of_texts_are_refused():
    with pytest.raises(UsageError, match="holds images"):
        run_bias(
            subject(lambda t: 0.0),
            study.replace(material(), modality="image"),
            [parse_output(subject(len), "output/0")],
        )


def test_no_output_and_no_chance_are_refused():
    with pytest.raises(UsageError, match="no output"):
        run_bias(subject(lambda t: 0.0), material(), [])
    with pytest.raises(UsageError, match="between 0 and 1"):
        found(lambda t: 0.0, alpha=0.0)


def test_an_untested_half_finds_nothing():
    f = found(lambda t: ("yes" in t) + 0.1 * accident(t)).findings[0]
    none = Half(effect=Reading.unmeasured("effect", "none"), p=None, adjusted=None)
    assert study._verdict(study.replace(f, discovery=none), 0.05)[0] == NOTHING
    assert study._verdict(study.replace(f, confirmation=none), 0.05)[0] == UNCONFIRMED


def test_a_study_is_plain_json_and_the_same_twice():
    one, other = (found(lambda t: ("yes" in t) + 0.1 * accident(t)) for _ in range(2))
    assert json.dumps(one.to_json()) == json.dumps(other.to_json())
    assert json.loads(json.dumps(one.to_json()))["findings"][0]["verdict"] == BIAS


@pytest.mark.slow
def test_planted_pictures_are_found_beside_an_untrained_copy_and_other_classes():
    planted = planted_pictures(140, clusters=26, each=1)
    result = run_bias(planted.subject, planted.material, [parse_output(planted.subject, "class:2")], seed=140)
    biases = {(f.attribute, f.level): f for f in result.biases}
    assert {(a, v) for _, a, v in planted.truth} == set(biases)
    green = biases["ground", "green"]
    assert green.effect.value == pytest.approx(2.0, abs=0.5) and green.untrained.measured
    assert (green.specific.value or 0) > 1.4 and green.rank == 1.0
    assert [b.name for b in green.by_filler] == ["(60, 170, 60)", "(40, 140, 70)"]
    assert {e.why for e in green.examples} <= {"typical", "largest"}
