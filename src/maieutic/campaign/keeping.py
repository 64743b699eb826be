"""Keep one explanation that somebody made in a lab of their own (a person, an MCP client) in a run.

The run may be open for reading only: it is opened for writing for a moment. What this does not do: explain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maieutic.campaign.explaining import (
    EXPLAIN_VERSION,
    Explained,
    ExplainJob,
    _experiment_row,
    _explanation_row,
    write_explained,
)
from maieutic.campaign.run import Run
from maieutic.explain import Explanation
from maieutic.lab import Lab
from maieutic.store import Store, picture_bytes


def keep_explanation(run: Run, lab: Lab, found: Explanation, **settings: Any) -> None:
    """Write an explanation with its ledger and pictures, in one transaction; an earlier one of the explainer is replaced.

    Args:
        run: of the lab's unit; open for reading.
        lab: the ledger.
        found: what is kept, under its explainer's name.
        settings: more plain JSON about how it was made (the jail, say).

    Raises:
        StoreError: somebody else is writing to the run, or it cannot be written.
    """
    kept: Mapping[str, Any] = {
        "budget": lab.budget.measurements, "seed": lab.seed, "version": EXPLAIN_VERSION, **settings,
    }  # fmt: skip
    outcome = Explained(
        explanation=_explanation_row(found, found.explainer, None, found.cost.seconds),
        experiments=tuple(_experiment_row(e, found.explainer, n) for n, e in enumerate(lab.ledger.entries, start=1)),
        pictures=tuple((s.id, picture_bytes(s.content)) for s in lab.shown.values() if s.modality == "image"),
        failure=None,
        seconds=found.cost.seconds,
    )
    job = ExplainJob(
        role="main", key=lab.unit.key, explainer=found.explainer, budget=lab.budget.measurements, options={}
    )
    with Store.open(run.folder, write=True) as store:
        write_explained(replace(run, store=store), job, outcome, kept)
