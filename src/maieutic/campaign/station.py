"""What a worker has at hand to explain and score units: the models, the corpus, their harvests, and what units share.

Made from an open run, or in another process from the run folder's harvest files. It reads; the driver alone writes to
the run's store, and a station never opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from maieutic.campaign.nulls import lensed, read_directions
from maieutic.campaign.run import Role, Run, RunPlan, harvest_folder
from maieutic.errors import StoreError
from maieutic.executors import Executor, Work
from maieutic.explain import Explanation, Viewer, viewer_of
from maieutic.explain.predicates import from_json
from maieutic.harvest import Atlas, load_atlas
from maieutic.lab import Bank
from maieutic.readings import Cost
from maieutic.score.shared import Shared
from maieutic.stimuli import Corpus, load_corpus
from maieutic.subjects import Subject, Unit, load_subject


@dataclass(frozen=True, slots=True)
class Place:
    """A unit where it is measured."""

    unit: Unit
    subject: Subject
    atlas: Atlas
    bank: Bank


@dataclass(kw_only=True)
class Station:
    """Everything that is worked out once for all units of a run.

    Attributes:
        subject, corpus, atlas: what was harvested.
        folder: the run folder. plan: what was harvested into it.
        untrained: the untrained copy with its harvest, once it is needed; ``None`` when the run has none.
        shared: predictions and sources that units share while they are scored.
    """

    subject: Subject
    corpus: Corpus
    atlas: Atlas
    folder: Path
    plan: RunPlan
    nulls: tuple[Subject, Atlas] | None = None
    shared: Shared = field(default_factory=Shared)

    @classmethod
    def of(cls, run: Run) -> Station:
        """The station of an open run."""
        nulls = run.nulls
        pair = (nulls.subject, nulls.atlas) if nulls.subject is not None and nulls.atlas is not None else None
        return cls(
            subject=run.subject, corpus=run.corpus, atlas=run.atlas, folder=run.folder, plan=run.plan, nulls=pair
        )

    @property
    def seed(self) -> int:
        return self.plan.seed

    @cached_property
    def bank(self) -> Bank:
        """What any unit of the run measured in experiments."""
        return Bank(self.subject, sites=self.plan.sites)

    @cached_property
    def untrained(self) -> tuple[Subject, Atlas, Bank]:
        """The untrained copy."""
        if self.nulls is None:
            subject = self.subject.untrained(self.seed)
            self.nulls = subject, load_atlas(subject, self.corpus, harvest_folder(self.folder, subject))
        return *self.nulls, Bank(self.nulls[0], sites=self.plan.sites)

    @cached_property
    def directions(self) -> Mapping[str, Unit]:
        return {u.key: u for u in read_directions(self.folder, self.plan.sites)}

    @property
    def has_nulls(self) -> bool:
        """Whether the run has an untrained copy, and random directions where a site has units to mix."""
        return bool(self.directions) or (bool(self.plan.nulls) and lensed(self.subject, self.plan.sites))

    @property
    def no_nulls(self) -> str:
        """Why there are none."""
        return (
            "nulls were switched off"
            if not self.plan.nulls
            else f"{self.subject.name} has no other units and no weights"
        )

    @cached_property
    def viewer(self) -> Viewer:
        return viewer_of(self.subject, self.corpus)

    def place(self, role: Role, key: str) -> Place:
        """The unit of that role and key, with what it is measured by.

        Raises:
            StoreError: the run has no such direction.
        """
        if role == "untrained":
            subject, atlas, bank = self.untrained
            return Place(subject.parse_unit(key), subject, atlas, bank)
        if role == "main":
            return Place(self.subject.parse_unit(key), self.subject, self.atlas, self.bank)
        if key not in self.directions:
            raise StoreError(f"{self.folder} has no direction {key}: its files were changed; harvest again")
        return Place(self.directions[key], self.subject, self.atlas, self.bank)

    def explanation(self, row: Mapping[str, Any], role: Role = "main") -> Explanation:
        """A stored explanation, able to predict."""
        viewer = self.viewer if role != "untrained" else viewer_of(self.untrained[0], self.corpus)
        return explanation_of(row, viewer=viewer)


def prepare(*, folder: str, plan: RunPlan) -> Station:
    """A worker's station, from names and the harvest files of the run folder.

    Raises:
        StoreError: subject or corpus is not the one that was harvested.
    """
    subject, corpus = load_subject(plan.subject), load_corpus(plan.corpus, size=plan.size)
    atlas = load_atlas(subject, corpus, harvest_folder(Path(folder), subject))
    return Station(subject=subject, corpus=corpus, atlas=atlas, folder=Path(folder), plan=plan)


def work_of(run: Run, executor: Executor, perform: str) -> Work:
    """Work on a run: this process uses the run as it is open, workers elsewhere prepare themselves from the folder."""
    if executor.name == "in-process":
        run.station = run.station or Station.of(run)
        return Work(prepare="", perform=perform, state=run.station)
    arguments = {"folder": str(run.folder), "plan": run.plan}
    return Work(prepare="maieutic.campaign.station:prepare", perform=perform, arguments=arguments)


def explanation_of(row: Mapping[str, Any], *, viewer: Viewer | None = None) -> Explanation:
    """An explanation from its row of the store (with the unit's key under ``key``)."""
    return Explanation(
        unit=row["key"],
        label=row["label"],
        predicate=from_json(row["predicate"]),
        explainer=row["explainer"],
        confidence=row["confidence"],
        reason=row["reason"],
        evidence=tuple(row["evidence"]),
        considered=tuple((label, why) for label, why in row["considered"]),
        cost=Cost(
            measurements=row["measurements"],
            llm_tokens=row["llm_tokens"],
            dollars=row["dollars"],
            seconds=row["seconds"],
        ),
        viewer=viewer,
    )
