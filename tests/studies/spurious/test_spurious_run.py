"""A whole study on planted detectors: results, resume, leaks, the page; and the packaged pictures behind the default one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maieutic.errors import StoreError
from maieutic.report.spurious import spurious_html, write_spurious
from maieutic.stimuli.base import Stimulus
from maieutic.studies.spurious.composites import composites
from maieutic.studies.spurious.config import SpuriousConfig
from maieutic.studies.spurious.material import Material, groups_of, instances_of, labels_of
from maieutic.studies.spurious.run import RESULTS, Study, run_study
from maieutic.studies.spurious.summary import summary_lines

from .spurious_world import BLUE, RED, detectors, settings, world


def ran(folder: Path, data: Callable[[int], Material] = world, **changes: object) -> Study:
    return run_study(settings(**changes), folder, data=data, subject=detectors(), site="units")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return ran(tmp_path_factory.mktemp("spurious"))


def test_object_units_make_the_better_head(study: Study) -> None:
    outcome = study.outcomes[0]
    assert [u["index"] for u in outcome.kept] == [RED, BLUE]
    # units that see the square's colour alone answer right wherever it stands
    assert study.accuracies["kept"]["worst"].value == 1.0
    # the same number of units, picked for surviving swaps without any meaning: here the very same ones
    assert (outcome.correct["invariant"] == outcome.correct["kept"]).all()
    assert outcome.correct["random"].shape == (20, len(outcome.correct["kept"]))
    assert "trained" not in outcome.correct  # a user's head is not read


def test_results_are_written_with_the_rule_and_the_target(study: Study) -> None:
    written = json.loads((study.folder / RESULTS).read_text(encoding="utf-8"))
    assert written["rule"]["words"] == list(study.config.rule.lines())
    assert written["seeds"][0]["kept"] == [RED, BLUE]
    assert set(written["seeds"][0]["accuracy_by_group"]["kept"]) == {
        "ruby on lawn", "ruby on sand", "sapphire on lawn", "sapphire on sand",
    }  # fmt: skip
    unit = json.loads((study.folder / "seed-0" / "units" / "0000.json").read_text(encoding="utf-8"))
    assert unit["label"] and "ledger" in unit
    assert any("Kept minus all units" in line for line in summary_lines(study))


def test_a_study_that_was_stopped_goes_on_to_the_same_results(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.folder, tmp_path / "run")
    place = tmp_path / "run" / "seed-0"
    for name in ("outcome.safetensors", "units.json", "trials.safetensors", "units/0001.json"):
        (place / name).unlink()
    again = ran(tmp_path / "run")
    assert again.to_json() == study.to_json()
    for name in ("units.json", "trials.safetensors", "outcome.safetensors", "units/0001.json"):
        assert (place / name).read_bytes() == (study.folder / "seed-0" / name).read_bytes(), name


def test_another_rule_or_other_pictures_are_refused(study: Study) -> None:
    with pytest.raises(StoreError, match="another"):
        ran(study.folder, rule={"survival": 0.1})
    with pytest.raises(StoreError, match="another pictures"):
        ran(study.folder, data=lambda seed: world(seed + 1))


def test_no_test_or_balanced_label_reaches_the_selection(study: Study, tmp_path: Path) -> None:
    """Other test and balanced pictures with shuffled labels: the same units with the same evidence."""

    def other(seed: int) -> Material:
        mine, theirs = world(seed), world(seed + 50)
        flipped = tuple(replace(e, label=1 - e.label) for e in theirs.balanced)
        test = tuple(replace(e, label=1 - e.label, group=1 - e.group) for e in theirs.test)
        return replace(mine, test=test, balanced=flipped)

    found = ran(tmp_path / "run", data=other)
    assert found.outcomes[0].units == study.outcomes[0].units
    assert found.accuracies["kept"]["worst"].value == 0.0  # the labels of the test did change


def test_the_page_shows_units_rule_and_margins_and_escapes_them(study: Study, tmp_path: Path) -> None:
    page = spurious_html(study)
    for words in ("Kept units (seed 0): 2", "Dropped units (seed 0): 3", *study.config.rule.lines()):
        assert words.replace("&", "&amp;") in page, words
    assert page.count("data:image/webp;base64,") > 20
    unit = {**study.outcomes[0].units[0], "label": "<script>alert(1)</script>"}
    outcome = replace(study.outcomes[0], units=(unit,))
    attacked = spurious_html(replace(study, outcomes=(outcome,)))
    assert "<script>alert" not in attacked and "&lt;script&gt;" in attacked
    assert write_spurious(study, tmp_path).read_text(encoding="utf-8") == page


SMALL = SpuriousConfig(seeds=(100,), per_class=20, repeats=1, side=64)


@pytest.mark.packaged
def test_packaged_pictures_carry_the_correlation_and_share_nothing() -> None:
    from maieutic.stimuli.library import open_library

    made = composites(SMALL, 100, open_library(fetch=False))
    labels, groups = labels_of(made.train), groups_of(made.train)
    # 95 % of 20: 19 of each class on its own ground
    assert [int((groups[labels == c] == c).sum()) for c in range(4)] == [19] * 4
    assert np.bincount(groups_of(made.balanced)).tolist() == [20] * 4
    cells = set(zip(labels_of(made.test).tolist(), groups_of(made.test).tolist(), strict=True))
    assert len(cells) == 16
    assert not set(instances_of(made.train)) & set(instances_of(made.test))
    grounds = [{e.stimulus.scene.background.key for e in part} for part in (made.train, made.test)]
    assert not grounds[0] & grounds[1]
    again = composites(SMALL, 100, open_library(fetch=False))
    assert [e.stimulus.id for e in again.train] == [e.stimulus.id for e in made.train]


@pytest.mark.slow
@pytest.mark.packaged
def test_the_packaged_network_is_fine_tuned_and_reopened(tmp_path: Path) -> None:
    from maieutic.stimuli.library import open_library
    from maieutic.studies.spurious import network

    config = SMALL.model_copy(update={"units": 8, "epochs": 2})
    made = composites(config, 100, open_library(fetch=False))
    model, curve = network.train(config, 100, made.train, classes=4)
    assert curve[1] < curve[0] and model.block.out_channels == 8
    network.keep(model, tmp_path / "network.safetensors", curve=curve)
    again, _ = network.reopen(tmp_path / "network.safetensors", config, 100)
    shown: list[Stimulus] = [e.stimulus for e in made.test[:2]]
    mine, theirs = network.as_subject(model, config), network.as_subject(again, config)
    assert (mine.outputs(shown) == theirs.outputs(shown)).all()
    # the head is linear in the units: logits = units x weights + bias
    units = mine.forward([s.content for s in shown], [network.UNITS]).values[network.UNITS].numpy()
    by_hand = units @ model.head.weight.numpy().T + model.head.bias.numpy()
    assert mine.outputs(shown) == pytest.approx(by_hand, abs=1e-4)
    assert isinstance(shown[0].content, Image.Image)
