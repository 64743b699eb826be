"""Give the last layer's units their meaning: harvest them on the training pictures, then ask an explainer about each.

Any explainer that `maieutic explain` takes will do, with its options. A unit is explained once: its answer and ledger are
written to a file of its own, and read when the study goes on. What this module does not do: see a test or balanced picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maieutic.errors import StoreError
from maieutic.explain import Explanation, explain, viewer_of
from maieutic.explain.predicates.base import from_json
from maieutic.harvest import harvest
from maieutic.lab import Budget, Lab
from maieutic.lab.bank import Bank
from maieutic.progress import Report, silent
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.store import writing
from maieutic.studies.spurious.config import SpuriousConfig
from maieutic.subjects.base import Subject, Unit


class Labelled:
    """Units of a site with their explanations, ready to be tried out."""

    def __init__(self, subject: Subject, corpus: Corpus, site: str, config: SpuriousConfig, folder: Path) -> None:
        """Harvest the corpus (or read the harvest that is there). Cost: one pass over it.

        Args:
            subject, site: whose units. corpus: the training pictures, discover and select.
            config: explainer, its options, budget. folder: of the replicate.
        """
        self.subject, self.corpus, self.config, self.folder = subject, corpus, config, folder
        self.atlas = harvest(subject, corpus, [site], run=folder)
        self.bank = Bank(subject, sites=[site])
        self.site = site

    def explain(self, indices: Sequence[int], *, seed: int, report: Report = silent) -> list[Explanation]:
        """Explanations of the units, in order; those in the folder are read."""
        found: list[Explanation] = []
        with report("explain", f"{len(indices)} units") as step:
            for done, index in enumerate(indices, start=1):
                found.append(self._explained(self.subject.unit(self.site, index), seed))
                step(done, len(indices))
        return found

    def labs(self, indices: Sequence[int], *, measurements: int, seed: int) -> list[Lab]:
        """A lab with an empty ledger for each unit."""
        budget = Budget(measurements=measurements)
        units = [self.subject.unit(self.site, i) for i in indices]
        return [Lab(self.subject, u, self.atlas, budget=budget, seed=seed, bank=self.bank) for u in units]

    def exemplars(self, index: int, n: int) -> list[tuple[Stimulus, float]]:
        """The strongest discover pictures of a unit with its raw activation."""
        return [(e.stimulus, e.value) for e in self.atlas.exemplars(self.subject.unit(self.site, index), n)]

    def _explained(self, unit: Unit, seed: int) -> Explanation:
        file = self.folder / "units" / f"{unit.index:04d}.json"
        if file.is_file():
            return _read(file).bound(viewer_of(self.subject, self.corpus))
        budget = Budget(measurements=self.config.measurements)
        lab = Lab(self.subject, unit, self.atlas, budget=budget, seed=seed, bank=self.bank)
        found = explain(lab, self.config.explainer, **self.config.options)
        write_json(file, {**_plain(found), "ledger": [_entry(lab, i) for i in range(len(lab.ledger))]})
        return found


def _plain(found: Explanation) -> dict[str, Any]:
    return {
        "unit": found.unit, "label": found.label, "predicate": found.predicate.to_json(), "explainer": found.explainer,
        "confidence": found.confidence, "reason": found.reason, "evidence": list(found.evidence),
        "considered": [list(c) for c in found.considered],
    }  # fmt: skip


def _entry(lab: Lab, at: int) -> dict[str, Any]:
    """An experiment: what was shown (as a recipe where it is a scene), what was expected, what came."""
    entry = lab.ledger.entries[at]
    scene = lab.shown[entry.stimulus].scene
    return {
        "id": entry.id, "kind": entry.kind, "hypothesis": entry.hypothesis, "expect": entry.expect, "value": entry.value,
        "scaled": entry.scaled, "stimulus": entry.stimulus, "pair": entry.pair, "detail": dict(entry.detail),
        "scene": None if scene is None else scene.to_json(),
    }  # fmt: skip


def _read(file: Path) -> Explanation:
    data = read_json(file)
    return Explanation(
        unit=data["unit"], label=data["label"], predicate=from_json(data["predicate"]), explainer=data["explainer"],
        confidence=data["confidence"], reason=data["reason"], evidence=tuple(data["evidence"]),
        considered=tuple((c[0], c[1]) for c in data["considered"]),
    )  # fmt: skip


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Write plain values, whole or not at all; the same values are the same bytes."""
    with writing(file) as temporary:
        temporary.write_text(json.dumps(data, indent=1, sort_keys=True, default=str) + "\n", encoding="utf-8")


def read_json(file: Path) -> dict[str, Any]:
    """Plain values of a file.

    Raises:
        StoreError: it is damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{file} is missing or damaged ({error}): delete it and run the same command again") from error
