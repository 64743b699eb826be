"""Many edits, one after another, into one matrix of one model: what is left of the first ones, and of everything else.

Values are found on the model as the edits so far have left it, a block of edits at a time; rank-one edits of a block are then
made one by one, each against the matrix as it then is, MEMIT's as one batch.

What this module does not do: undo edits, or edit one fact twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from maieutic.readings import FloatArray
from maieutic.studies.regularization.editing.cases import Case, Question
from maieutic.studies.regularization.editing.evaluate import Drift, Marks, Text, drift_changed, mark_changed
from maieutic.studies.regularization.editing.keys import Spread
from maieutic.studies.regularization.editing.memit import STIFFNESS, memit
from maieutic.studies.regularization.editing.rank_one import rank_one
from maieutic.studies.regularization.editing.scores import by_case
from maieutic.studies.regularization.editing.sites import Site, down, patched
from maieutic.studies.regularization.editing.values import Values, find_values
from maieutic.studies.regularization.model import Gpt

Way = Literal["rank-one", "memit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """A model after so many edits.

    Attributes:
        count: edits made. weight: the matrix, ``[d_model, d_mlp]``.
        efficacy, paraphrase: of every edit so far, ``[case]`` (``nan``: not asked).
        locality: of facts that were not edited: whether each is still right, ``[question]``.
        drift: of text. change: norm of the change over that of the matrix.
    """

    count: int
    weight: Tensor
    efficacy: FloatArray
    paraphrase: FloatArray
    locality: FloatArray
    drift: Drift
    change: float


def edit_in_a_row(
    model: Gpt,
    cases: Sequence[Case],
    *,
    site: Site,
    spread: Spread,
    way: Way,
    counts: Sequence[int],
    block: int,
    untouched: Sequence[Question],
    text: Text,
    strength: float = 1.0,
    stiffness: float = STIFFNESS,
) -> list[After]:
    """Edit and measure after each of ``counts`` edits. The model is put back. Inside `frozen`.

    Args:
        cases: in this order. site, spread: of the keys. way: of editing.
        counts: ascending; those above the number of cases are left out.
        block: edits whose values are found together.
        untouched: questions about facts that are not edited.
        text: to measure drift on.
        strength: of rank-one edits. stiffness: of batches.
    """
    wanted = [n for n in counts if n <= len(cases)]
    if not wanted:
        return []
    name = f"{site.where}.weight"
    start = down(model, site.layer).weight.detach().clone()
    weight = start.clone()
    found: list[After] = []
    bounds = sorted({*range(0, wanted[-1], block), *wanted})
    for begin, end in zip([0, *bounds], bounds, strict=False):
        part = cases[begin:end]
        if part:
            with patched(model, {name: weight}):
                values = find_values(model, [c.asked for c in part], [c.kept for c in part], site=site)
            weight = weight + _change(weight, values, spread, way=way, strength=strength, stiffness=stiffness)
        if end in wanted:
            size = float((weight - start).norm() / start.norm())
            found.append(_after(model, {name: weight}, cases[:end], untouched, text, size))
    return found


def _change(weight: Tensor, values: Values, spread: Spread, *, way: Way, strength: float, stiffness: float) -> Tensor:
    if way == "memit":
        return memit(weight, values.keys, values.values, spread, stiffness=stiffness)
    changed = weight.clone()
    for n in range(len(values.keys)):
        one = values.at([n])
        changed += rank_one(changed, one.keys, one.values, spread).change(0, strength=strength)
    return changed - weight


def _after(
    model: Gpt,
    changes: dict[str, Tensor],
    cases: Sequence[Case],
    untouched: Sequence[Question],
    text: Text,
    size: float,
) -> After:
    (weight,) = changes.values()
    mine = [q for c in cases for q in c.questions if q.group.startswith(("edit", "paraphrase"))]
    marks: Marks = mark_changed(model, changes, [*mine, *untouched])
    right = marks.right[: len(mine)]
    groups = [by_case(right, mine, g, cases=len(cases)) for g in ("paraphrase.seen", "paraphrase.held-out")]
    return After(
        count=len(cases),
        weight=weight,
        efficacy=by_case(right, mine, "edit", cases=len(cases)),
        paraphrase=np.where(np.isfinite(groups[0]), groups[0], groups[1]),
        locality=marks.right[len(mine) :],
        drift=drift_changed(model, changes, text),
        change=size,
    )
