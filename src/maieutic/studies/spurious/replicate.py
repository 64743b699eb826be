"""One replicate of the study: pictures, a trained network, units with their meaning, the decision, and all heads.

Each step's result is a file of the replicate's folder, written whole; a step whose file is there is not repeated:

    network.safetensors   the trained last block and head
    features.safetensors  units' values at training, balanced and test pictures
    harvest/, units/      what explainers saw; a file a unit: label, predicate, ledger
    trials.safetensors    measured and foretold activation on the crossed pictures
    units.json            each unit's decision with its evidence
    pictures/             previews of exemplars and of crossed pictures
    outcome.safetensors   which test pictures each head gets right

What this module does not do: compare replicates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain import Explanation
from maieutic.progress import Report, silent
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.studio import rng
from maieutic.store import read_tensors, write_image, write_tensors
from maieutic.studies.spurious import network, trials
from maieutic.studies.spurious.choices import Choices, choose
from maieutic.studies.spurious.config import SpuriousConfig
from maieutic.studies.spurious.cuts import swapped
from maieutic.studies.spurious.heads import fit_heads
from maieutic.studies.spurious.labelling import Labelled, read_json, write_json
from maieutic.studies.spurious.material import Example, Material, groups_of, instances_of, labels_of
from maieutic.studies.spurious.rule import Decision, decide
from maieutic.studies.spurious.scoring import Table
from maieutic.subjects.base import Subject

Floats = NDArray[np.float64]
#: exemplars and objects of the crossed pictures that a page shows of a unit
EXEMPLARS, SHOWN = 4, 3


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """What is studied: a subject with its last layer's site, and the classes its own head gives (``None``: none fits)."""

    subject: Subject
    site: str
    trained: Any = None
    curve: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A replicate's results.

    Attributes:
        seed: of it. table: the test pictures as cells and clusters.
        correct: by head ``[picture]``; ``random`` ``[draw, picture]``. sizes: units of each head with any weight.
        units: plain values of each unit that was looked at: index, label, decision, evidence. curve: training loss.
    """

    seed: int
    table: Table
    correct: Mapping[str, NDArray[np.bool_]]
    sizes: Mapping[str, float]
    units: Sequence[Mapping[str, Any]]
    curve: tuple[float, ...]

    @property
    def kept(self) -> list[Mapping[str, Any]]:
        """The kept units."""
        return [u for u in self.units if u["decision"]["kept"]]


def run_replicate(
    config: SpuriousConfig,
    seed: int,
    material: Material,
    folder: Path,
    *,
    subject: Subject | None = None,
    site: str | None = None,
    report: Report = silent,
) -> Outcome:
    """Do what is not done yet, and give the results.

    Args:
        config: the study's. seed: of this replicate. material: its pictures. folder: of the replicate.
        subject, site: a user's classifier and its last layer; ``None``: one is trained.
    """
    blind = replace(material, test=(), balanced=())
    studied = _classifier(config, seed, blind, folder, subject, site, report)
    values = _features(studied, material, config, seed, folder, report)
    labels = labels_of(material.train)
    indices = looked_at(values["train"], labels, config, classes=len(material.classes))
    decisions, found, units = judge(studied, blind, config, seed, folder, indices, report)
    choices = choose(
        decisions, found, indices, features=values["train"], labels=labels, blind=blind, draws=config.draws, seed=seed
    )
    correct, sizes = _heads(studied, material, config, values, choices, folder)
    return Outcome(
        seed=seed, table=_table(material), correct=correct, sizes=sizes, units=units, curve=studied.curve
    )  # fmt: skip


def _classifier(
    config: SpuriousConfig,
    seed: int,
    blind: Material,
    folder: Path,
    subject: Subject | None,
    site: str | None,
    report: Report,
) -> Classifier:
    if subject is not None:
        assert site is not None, "a subject comes with its site"
        return Classifier(subject=subject, site=subject.site(site).name)
    file = folder / "network.safetensors"
    if file.is_file():
        model, curve = network.reopen(file, config, seed)
    else:
        with report("train", f"seed {seed}") as step:
            model, curve = network.train(config, seed, blind.train, classes=len(blind.classes), step=step)
        network.keep(model, file, curve=curve)
    return Classifier(
        subject=network.as_subject(model, config), site=network.UNITS, trained=model, curve=tuple(curve)
    )  # fmt: skip


def _features(
    studied: Classifier, material: Material, config: SpuriousConfig, seed: int, folder: Path, report: Report
) -> dict[str, Floats]:
    """Units' values at every picture: of training, swapped training, balanced and test, ``[picture, unit]``."""
    file = folder / "features.safetensors"
    if not file.is_file():
        lists = {
            "train": [e.stimulus for e in material.train],
            "swapped": _swapped(material, seed),
            "balanced": [e.stimulus for e in material.balanced],
            "test": [e.stimulus for e in material.test],
        }
        with report("read", f"seed {seed}") as step:
            arrays = {k: _values(studied, v) for k, v in lists.items() if v and step(0, 1) is None}
            step(1, 1)
        write_tensors(file, arrays)
    arrays, _ = read_tensors(file)
    return {k: v.astype(np.float64) for k, v in arrays.items()}


def _swapped(material: Material, seed: int) -> list[Stimulus]:
    """Each training object once on the background of another training picture: what augmenting by swaps would train on."""
    donors = rng(seed, "augmentation").permutation(len(material.train)).tolist()
    return [swapped(e, material.train[d], material) for e, d in zip(material.train, donors, strict=True)]


def _values(studied: Classifier, stimuli: Sequence[Stimulus]) -> NDArray[np.float32]:
    width = studied.subject.site(studied.site).width
    assert width is not None, "the last layer's width is known"
    units = [studied.subject.unit(studied.site, i) for i in range(width)]
    return np.stack([v[0] for v in studied.subject.read(stimuli, units)])


def looked_at(features: Floats, labels: NDArray[np.int64], config: SpuriousConfig, *, classes: int) -> list[int]:
    """Units that are explained: all, or the ``most`` that a head on all units leans on most."""
    width = features.shape[1]
    if width <= config.most:
        return list(range(width))
    head = fit_heads(features, labels, np.ones((1, width), dtype=bool), penalty=config.penalty, classes=classes)
    strength = np.abs(head.weights[0]).sum(axis=1)
    return sorted(int(u) for u in np.argsort(-strength, kind="stable")[: config.most])


def judge(
    studied: Classifier,
    blind: Material,
    config: SpuriousConfig,
    seed: int,
    folder: Path,
    indices: Sequence[int],
    report: Report = silent,
) -> tuple[list[Decision], list[Explanation], list[dict[str, Any]]]:
    """Explain the units, try them out on the crossed pictures, and decide; everything from training pictures alone."""
    assert not blind.test and not blind.balanced, "no test or balanced picture reaches the selection"
    labelled = Labelled(studied.subject, blind.corpus, studied.site, config, folder)
    found = labelled.explain(indices, seed=seed, report=report)
    file = folder / "trials.safetensors"
    grid = trials.crossed(blind, config, seed)
    if not file.is_file():
        with report("swap", f"{len(grid.stimuli())} crossed pictures") as step:
            labs = labelled.labs(indices, measurements=len(grid.stimuli()), seed=seed)
            tried = trials.measure(labs, found, grid)
            step(1, 1)
        write_tensors(file, trials.as_arrays(tried), note={"pictures": [s.id for s in grid.stimuli()]})
    tried = trials.from_arrays(read_tensors(file)[0])
    decisions = [
        decide(t, config.rule, abstained=e.reason if e.abstained else None)
        for t, e in zip(tried, found, strict=True)
    ]  # fmt: skip
    written = folder / "units.json"
    if not written.is_file():
        rows = [
            _unit(labelled, index, e, t, d, grid, folder)
            for index, e, t, d in zip(indices, found, tried, decisions, strict=True)
        ]
        write_json(written, {"units": rows})
    return decisions, found, read_json(written)["units"]


def _unit(
    labelled: Labelled,
    index: int,
    found: Explanation,
    tried: trials.Trials,
    decision: Decision,
    grid: trials.Grid,
    folder: Path,
) -> dict[str, Any]:
    """A unit's evidence as plain values, with previews of the pictures that a page shows."""
    exemplars = labelled.exemplars(index, EXEMPLARS)
    order = np.argsort(-tried.measured.mean(axis=1), kind="stable")
    rows = [int(order[0]), int(order[len(order) // 2]), int(order[-1])][:SHOWN]
    shown = [*(s for s, _ in exemplars), *(s for r in rows for s in grid.pictures[r]), *grid.empty]
    for stimulus in shown:
        write_image(folder / "pictures", content_id=stimulus.id, image=stimulus.content)
    return {
        "index": index, "label": found.label, "confidence": found.confidence, "abstained": found.reason,
        "decision": decision.to_json(),
        "exemplars": [{"picture": s.id, "value": v, "what": _said(s)} for s, v in exemplars],
        "crossed": [
            {
                "what": _said(grid.objects[r].stimulus),
                "pictures": [s.id for s in grid.pictures[r]],
                "measured": tried.measured[r].tolist(), "foretold": tried.foretold[r].tolist(),
            }
            for r in rows
        ],
        "empty": {
            "pictures": [s.id for s in grid.empty],
            "measured": tried.bare.tolist(), "foretold": tried.bare_foretold.tolist(),
        },
    }  # fmt: skip


def _said(stimulus: Stimulus) -> str:
    """What a picture shows, in a few words."""
    things = ", ".join(t.name for t in stimulus.things)
    ground = next((t.partition(":")[2] for t in reversed(stimulus.tags) if t.startswith("background:")), "")
    tags = ", ".join(t for t in stimulus.tags if ":" not in t and t != "scene")
    return f"{things or tags} on {ground}" if ground else things or tags


def _heads(
    studied: Classifier,
    material: Material,
    config: SpuriousConfig,
    values: Mapping[str, Floats],
    choices: Choices,
    folder: Path,
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, float]]:
    """Fit every head and see which test pictures it gets right."""
    file = folder / "outcome.safetensors"
    if not file.is_file():
        correct, sizes = _fitted(studied, material, config, values, choices)
        arrays = {k: v.astype(np.uint8) for k, v in correct.items()}
        write_tensors(file, arrays, note={"sizes": sizes})
    arrays, note = read_tensors(file)
    return {k: v.astype(bool) for k, v in arrays.items()}, note["sizes"]


def _fitted(
    studied: Classifier, material: Material, config: SpuriousConfig, values: Mapping[str, Floats], choices: Choices
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, float]]:
    labels, truth, classes = labels_of(material.train), labels_of(material.test), len(material.classes)
    test, penalty = values["test"], config.penalty
    names = list(choices.named)
    masks = np.stack([*choices.named.values(), *choices.random])
    heads = fit_heads(values["train"], labels, masks, penalty=penalty, classes=classes)
    right, used = heads.says(test) == truth, heads.used()
    correct = {n: right[i] for i, n in enumerate(names)}
    sizes = {n: float(used[i]) for i, n in enumerate(names)}
    correct["random"], sizes["random"] = right[len(names) :], float(used[len(names) :].mean())
    if studied.trained is not None:
        correct["trained"] = network.head_says(studied.trained, test) == truth
        sizes["trained"] = float(test.shape[1])
    everything = np.ones((1, test.shape[1]), dtype=bool)
    both = (np.concatenate([values["train"], values["swapped"]]), np.concatenate([labels, labels]))
    more = {"swapped": both}
    if "balanced" in values:
        more["oracle"] = (values["balanced"], labels_of(material.balanced))
    for name, (features, target) in more.items():
        head = fit_heads(features, target, everything, penalty=penalty, classes=classes)
        correct[name], sizes[name] = head.says(test)[0] == truth, float(head.used()[0])
    return correct, sizes


def _table(material: Material) -> Table:
    test: Sequence[Example] = material.test
    return Table.of(
        labels_of(test), groups_of(test), instances_of(test), classes=material.classes, kinds=material.groups
    )  # fmt: skip
