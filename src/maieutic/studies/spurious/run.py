"""The study: replicates over seeds, their results side by side, and whether the target set before was met.

    RUN/study.json         configuration, rule, target and fingerprints: written first, another one is refused
    RUN/seed-N/            a replicate (see `replicate`)
    RUN/results.json       everything that the page says

The same command goes on where it stopped. What this module does not do: draw pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.errors import StoreError
from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.stimuli.library import Library, open_library
from maieutic.studies.spurious.choices import ARMS
from maieutic.studies.spurious.composites import composites
from maieutic.studies.spurious.config import TARGET, SpuriousConfig
from maieutic.studies.spurious.labelling import read_json, write_json
from maieutic.studies.spurious.material import Material
from maieutic.studies.spurious.replicate import Outcome, run_replicate
from maieutic.studies.spurious.rule import plain
from maieutic.studies.spurious.scoring import margins, met, readings_of
from maieutic.subjects.base import Subject

STUDY, RESULTS = "study.json", "results.json"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A finished study.

    Attributes:
        config, folder: of it. subject: what was studied, in words. material: of the first seed.
        outcomes: by seed. accuracies: by head, ``worst`` and ``balanced``. margins: kept minus each other head, likewise.
        draws: of random units, by measure: the 2.5, 50 and 97.5 % points over draws and seeds.
    """

    config: SpuriousConfig
    folder: Path
    subject: str
    material: Material
    outcomes: tuple[Outcome, ...]
    accuracies: Mapping[str, Mapping[str, Reading]]
    margins: Mapping[str, Mapping[str, Reading]]
    draws: Mapping[str, tuple[float, float, float]]

    @property
    def met(self) -> bool:
        """Whether the target was met."""
        return met(self.margins["all"])

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "target": TARGET, "met": self.met, "rule": plain(self.config.rule), "config": self.config.to_json(),
            "subject": self.subject, "material": self.material.name, "classes": list(self.material.classes),
            "groups": list(self.material.groups), "cut": self.material.cut, "notes": list(self.material.notes),
            "accuracies": {n: {k: r.to_json() for k, r in m.items()} for n, m in self.accuracies.items()},
            "margins": {n: {k: r.to_json() for k, r in m.items()} for n, m in self.margins.items()},
            "random_draws": {k: list(v) for k, v in self.draws.items()},
            "seeds": [_seed_json(o) for o in self.outcomes],
        }  # fmt: skip


def _seed_json(outcome: Outcome) -> dict[str, Any]:
    groups = {
        name: {f"{c} on {g}": round(float(a), 6) for (c, g), a in zip(outcome.table.names, cells, strict=True)}
        for name, cells in ((n, cells_of(outcome, n)) for n in outcome.correct)
    }
    return {
        "seed": outcome.seed, "loss": list(outcome.curve), "sizes": dict(outcome.sizes), "accuracy_by_group": groups,
        "kept": [u["index"] for u in outcome.kept], "units": list(outcome.units),
    }  # fmt: skip


def cells_of(outcome: Outcome, name: str) -> list[float]:
    """Accuracy of a head in each cell; of random units the mean over draws."""
    rows = np.atleast_2d(outcome.correct[name])
    return np.mean([outcome.table.accuracies(r) for r in rows], axis=0).tolist()


def run_study(
    config: SpuriousConfig,
    folder: Path,
    *,
    data: Callable[[int], Material] | None = None,
    subject: Subject | None = None,
    site: str | None = None,
    report: Report = silent,
) -> Study:
    """Run what is not there yet, and put it together.

    Args:
        config: the study's. folder: of the run; made when missing.
        data: gives the pictures of a seed; the packaged composites by default.
        subject, site: a user's classifier with its last layer; one is trained by default.
        report: called with progress.

    Raises:
        StoreError: the folder holds another study, or cannot be written.
    """
    library = open_library() if data is None else None
    make = data or (lambda seed: composites(config, seed, _there(library)))
    first = make(config.seeds[0])
    _claim(config, folder, first, subject, site)
    outcomes: list[Outcome] = []
    for n, seed in enumerate(config.seeds):
        material = first if n == 0 else make(seed)
        place = folder / f"seed-{seed}"
        outcomes.append(
            run_replicate(config, seed, material, place, subject=subject, site=site, report=report)
        )  # fmt: skip
    named = "a classifier trained here" if subject is None else f"{subject.name} at {site}"
    study = concluded(config, folder, first, outcomes, subject=named)
    write_json(folder / RESULTS, study.to_json())
    return study


def concluded(
    config: SpuriousConfig, folder: Path, material: Material, outcomes: Sequence[Outcome], *, subject: str
) -> Study:
    """Accuracies, margins and the spread of random draws over the replicates."""
    names = [n for n in ARMS if all(n in o.correct for o in outcomes)]
    kept = [(o.table, o.correct["kept"]) for o in outcomes]
    accuracies: dict[str, Mapping[str, Reading]] = {}
    against: dict[str, Mapping[str, Reading]] = {}
    for name in names:
        rows = [(o.table, list(np.atleast_2d(o.correct[name]))) for o in outcomes]
        if name != "random":
            accuracies[name] = readings_of(name, [(t, r[0]) for t, r in rows])
        if name != "kept":
            against[name] = margins(kept, rows, name)
    return Study(
        config=config, folder=folder, subject=subject, material=material, outcomes=tuple(outcomes),
        accuracies=accuracies, margins=against, draws=_draws(outcomes),
    )  # fmt: skip


def _draws(outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float, float]]:
    """Points of the distribution of random selections."""
    cells = np.array([[o.table.accuracies(r) for r in o.correct["random"]] for o in outcomes])
    rows = {"worst": cells.min(axis=2), "balanced": cells.mean(axis=2)}
    low, middle, high = 0.025, 0.5, 0.975
    return {
        k: (float(np.quantile(v, low)), float(np.quantile(v, middle)), float(np.quantile(v, high)))
        for k, v in rows.items()
    }


def _there(library: Library | None) -> Library:
    assert library is not None
    return library


def _claim(config: SpuriousConfig, folder: Path, material: Material, subject: Subject | None, site: str | None) -> None:
    """Write down what is run before it runs; go on only with the same. Seeds may be added."""
    digest = hashlib.sha256()
    for examples in (material.train, material.balanced, material.test):
        for e in examples:
            digest.update(f"{e.stimulus.id}\t{e.label}\t{e.group}\t{e.stimulus.group}\n".encode())
        digest.update(b"--")
    wanted = {
        "config": {k: v for k, v in config.to_json().items() if k != "seeds"},
        "rule": plain(config.rule), "target": TARGET, "first_seed": config.seeds[0],
        "pictures": digest.hexdigest()[:16],
        "subject": "trained" if subject is None else f"{subject.name}/{site}/{subject.fingerprint}",
    }  # fmt: skip
    file = folder / STUDY
    if file.is_file():
        there = read_json(file)
        other = next((k for k in wanted if there.get(k) != wanted[k]), None)
        if other is not None:
            raise StoreError(f"{folder} holds a study with another {other}: give a new folder with --run")
        return
    write_json(file, wanted)
