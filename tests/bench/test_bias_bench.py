"""Bench ``bias``: the planted truth is what it is said to be, and the bench counts as it should."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest

from maieutic.bench.bias import TARGETS, Tried, Twin, figures_of, run_bias_bench
from maieutic.bench.bias_models import PICTURE_BIASES, TEXT_BIASES, planted_pictures, planted_prompts
from maieutic.bench.result import BenchResult
from maieutic.errors import UsageError
from maieutic.readings import Reading
from maieutic.studies.bias import parse_output
from maieutic.studies.bias.design import cells_of
from maieutic.studies.bias.study import read_all


@lru_cache(maxsize=2)
def differences(modality: str) -> dict[tuple[str, str, str], float]:
    """The planted model's effects less its twin's: what was planted, with the same accidents taken away."""
    make = planted_pictures if modality == "image" else planted_prompts
    sizes = {"clusters": 8, "each": 1} if modality == "image" else {"families": 4, "names": 3}
    found: dict[tuple[str, str, str], float] = {}
    for null in (False, True):
        planted = make(150, null=null, **sizes)
        material = replace(planted.material, trials=tuple(t for t in planted.material.trials if t.role == "level"))
        every = read_all(planted.subject, material, [parse_output(planted.subject, o) for o in planted.outputs])
        for output, read in zip(planted.outputs, every, strict=True):
            for attribute, level in material.contrasts():
                cells = cells_of(material, read.values, attribute, level)
                assert cells is not None
                own = float(cells.differences().mean())
                found[output, attribute, level] = found.get((output, attribute, level), 0.0) + (-own if null else own)
    return found


def test_planted_pictures_hold_what_is_planted_and_no_more():
    for (output, attribute, level), value in differences("image").items():
        wanted = PICTURE_BIASES.get((attribute, level), 0.0) if output == "class:2" else 0.0
        assert value == pytest.approx(wanted, abs=0.03), (output, attribute, level)


def test_planted_prompts_hold_what_is_planted_and_no_more():
    for (output, attribute, level), value in differences("text").items():
        # other planted words share the probability that is left: hundredths
        wanted = TEXT_BIASES.get((attribute, level, output.removeprefix("odds:")), 0.0)
        assert value == pytest.approx(wanted, abs=0.05), (output, attribute, level)


def tried(effect: float, low: float, high: float, *, truth: float = 1.0, verdict: str = "bias") -> Tried:
    reading = Reading(name="e", value=effect, low=low, high=high)
    finding: Any = SimpleNamespace(effect=reading, verdict=verdict, why="", is_bias=verdict == "bias")
    return Tried(modality="text", seed=0, name="x", truth=truth, finding=finding)


def test_figures_by_hand():
    own = [
        tried(1.1, 0.9, 1.3),
        tried(-1.0, -1.2, -0.8),
        tried(1.4, 1.2, 1.6),
        tried(0.9, 0.7, 1.1, verdict="not confirmed"),
    ]
    twins = [
        Twin(modality="text", seed=k, contrasts=5, biases=("y",) if k == 3 else (), naive=("y",)) for k in range(4)
    ]
    figures = figures_of("text", own, twins)
    # found: the first and the third (the second has the wrong sign); 1 lies in the first and the last interval
    assert figures["recall"].reading.value == 2 / 4 and figures["coverage"].reading.value == 2 / 4
    assert figures["false"].reading.value == 1 / 4 and figures["naive"].reading.value == 1.0
    assert {n: f.target for n, f in figures.items() if f.target is not None} == {n: t for n, (t, _) in TARGETS.items()}
    assert figures["false"].met is False
    result = BenchResult(bench="bias", seed=0, seconds=1.0, figures=figures, rows=tuple(t.to_json() for t in own))
    assert json.loads(json.dumps(result.to_json()))["figures"]["false"]["met"] is False


def test_wrong_options():
    with pytest.raises(UsageError, match="image or text"):
        run_bias_bench(modality="sound")
    with pytest.raises(UsageError, match="replicates"):
        run_bias_bench(seeds=0)


@pytest.mark.slow
def test_a_replicate_of_pictures():
    result = run_bias_bench(seed=1, modality="image", seeds=1)
    assert result.figures["image.recall"].reading.n == 3 and result.figures["image.false"].reading.n == 1
    assert len(result.rows) == 4 and len(result.tables) == 2
    json.dumps([result.to_json(), *result.rows])
