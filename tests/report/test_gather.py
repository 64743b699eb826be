"""From a run to pages: the explanation that a sweep chose, and what it says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from maieutic.campaign import RunPlan, create_run, explain_units
from maieutic.lab import Budget
from maieutic.report.gather import gather
from maieutic.store import choices, experiments


@pytest.mark.slow
def test_the_chosen_explanation_is_shown_with_its_standing(tmp_path: Path, model_folder: Path, jsonl: Path) -> None:
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), sample=2, nulls=1)
    with create_run(tmp_path / "r", plan) as run:
        explain_units(run, explainer="search", budget=Budget(measurements=8), nulls=False)
        first, second = run.units
        row = {"explainer": "search", "standing": 0.5, "importance": 3.0, "why": "it stands well"}
        with run.store.transaction() as connection:
            chosen = {"unit": run.ids["main", first.key], **row}
            run.store.put(choices, [chosen], connection=connection)
            known = experiments.c.unit == run.ids["main", first.key]
            connection.execute(update(experiments).where(known).values(fresh=0))
        section = gather([run], explainer="chosen").sections[0]
        shown = {u.key: u for u in section.units}
        mine, other = shown[first.key], shown[second.key]
        assert (mine.explainer, mine.standing, mine.importance, mine.why) == ("search", 0.5, 3.0, "it stands well")
        assert (other.standing, other.why, other.abstained) == (None, "", "not explained yet")
        assert not mine.exemplars, "evidence is gathered with the page"
        assert section.full is not None
        whole = section.full(mine)
        assert whole.exemplars
        assert whole.histogram is not None
        assert len(whole.experiments) == mine.measurements
        assert not any(e.fresh for e in whole.experiments)
        by_search = {u.key: u for u in gather([run], explainer="search").sections[0].units}
        assert by_search[second.key].abstained != "not explained yet"
        made = [e for e in whole.experiments if e.expect is not None]
        assert mine.predictions == (len(made), sum(e.verdict == "as predicted" for e in made))
