"""Keep one explanation that somebody made in a lab of their own (a person, an MCP client) in a run.

The run may be open for reading only: it is opened for writing for a moment. What this does not do: explain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maieutic.campaign.explaining import EXPLAIN_VERSION, _write
from maieutic.campaign.run import Run
from maieutic.explain import Explanation
from maieutic.lab import Lab
from maieutic.store import Store, write_image


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
    with Store.open(run.folder, write=True) as store:
        unit = replace(run, store=store).unit_id("main", lab.unit)
        for stimulus in lab.shown.values():
            if stimulus.modality == "image":
                write_image(run.folder / "images", content_id=stimulus.id, image=stimulus.content)
        _write(store, unit, found.explainer, lab.ledger.entries, found, None, dict(kept), found.cost.seconds)
