"""How far every unit of a sweep has come: read from the store once, then kept as results are written.

A unit's state is derived from the store's rows alone, so that a sweep that was killed and opened again stands where it
stood. It decides nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from maieutic.campaign.cascade import Record, Stage
from maieutic.campaign.explaining import Explained, ExplainJob, null_places, settings_of
from maieutic.campaign.run import Role, Run
from maieutic.campaign.spend import Spend
from maieutic.errors import StoreError
from maieutic.store import experiments, explanations, jobs

#: a unit: its role and key
Place = tuple[Role, str]


@dataclass(kw_only=True)
class Course:
    """Where a sweep stands.

    Attributes:
        stages: of the cascade. grants: what one unit may cost in each.
        records: by unit, main units first: one a stage that ended, in the order of the stages.
        spent: by all units; one that failed counts as all the tokens and dollars it was granted.
        fresh: measurements that were measured anew.
    """

    stages: Sequence[Stage]
    grants: Sequence[Spend]
    records: dict[Place, list[Record]]
    spent: Spend = field(default_factory=Spend)
    fresh: int = 0

    @classmethod
    def of(cls, run: Run, stages: Sequence[Stage], grants: Sequence[Spend]) -> Course:
        """From the store. Cost: one look at every explanation and job, and two counts of experiments a stage.

        Raises:
            StoreError: a unit was explained with other settings before the sweep.
        """
        number = {s.explainer: n for n, s in enumerate(stages)}
        rows = {(r["unit"], r["explainer"]): r for r in run.store.stream(explanations) if r["explainer"] in number}
        ended = {
            (r["unit"], r["explainer"]) for r in run.store.stream(jobs, kind="explain") if r["explainer"] in number
        }
        places: list[Place] = [("main", u.key) for u in run.units]
        course = cls(stages=stages, grants=grants, records={p: [] for p in places + null_places(run)})
        for place, records in course.records.items():
            unit = run.ids.get(place)
            for n, stage in enumerate(stages):
                if (unit, stage.explainer) not in ended:
                    break
                row = rows.get((unit or -1, stage.explainer))
                if row is not None and row["settings"] != settings_of(
                    stage.explainer, stage.budget, stage.options, seed=run.seed
                ):
                    raise StoreError(
                        f"{place[1]} was explained by {stage.explainer} with other settings before: use another --run folder"
                    )
                records.append(_record(row))
                course.spent += _cost(row, grants[n])
        asked = sum(run.store.count(experiments, explainer=name) for name in number)
        course.fresh = sum(run.store.count(experiments, explainer=name, fresh=1) for name in number)
        course.spent = replace(course.spent, measurements=asked)
        return course

    def take(self, job: ExplainJob, stage: int, outcome: Explained) -> None:
        """A stage of a unit ended and was written."""
        self.records[job.role, job.key].append(_record(outcome.explanation))
        cost = _cost(outcome.explanation, self.grants[stage])
        self.spent += replace(cost, measurements=len(outcome.experiments))
        self.fresh += sum(r["fresh"] for r in outcome.experiments)

    @property
    def ended(self) -> int:
        """Stages that ended, of all units."""
        return sum(len(records) for records in self.records.values())

    @property
    def main(self) -> list[Place]:
        """The units under study."""
        return [p for p in self.records if p[0] == "main"]


def _record(row: Mapping[str, object] | None) -> Record:
    if row is None:
        return Record(standing=None, failed=True)
    standing, asked = row["standing"], row["measurements"]
    assert (standing is None or isinstance(standing, float)) and isinstance(asked, int)
    return Record(standing=standing, measurements=asked)


def _cost(row: Mapping[str, object] | None, grant: Spend) -> Spend:
    """Tokens and dollars of a stage; of one that failed, all it was granted, since nobody knows."""
    if row is None:
        return replace(grant, measurements=0)
    tokens, dollars = row["llm_tokens"], row["dollars"]
    return Spend(llm_tokens=int(str(tokens or 0)), dollars=float(str(dollars or 0.0)))
