"""What all measures of one model read: its activations at every location, once, beside the labels of the same tokens.

What this module does not do: measure.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights
from maieutic.studies.regularization.documents import Documents, StudyCorpus
from maieutic.studies.regularization.interpreting.plan import InterpretPlan
from maieutic.studies.regularization.interpreting.predicates import Floats
from maieutic.studies.regularization.interpreting.truths import Truths, truths_of
from maieutic.studies.regularization.model import Gpt, site_names

_BATCH = 256
#: digits of scores that are kept unit by unit; units beyond so many are left out of the details
_DIGITS, _KEPT = 3, 1024


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """One model, its corpus, and what it computes on labelled documents.

    Attributes:
        model: in evaluation mode. corpus: that it was trained on. seed: of everything random. plan: how much.
        documents: labelled text, all splits. truths: its predicates.
        values: activations by hook point, float32 ``[token, unit]``, tokens of all documents in a row.
        facts: indices of facts that every compared model knows; ``None``: those that this one knows.
    """

    model: Gpt
    corpus: StudyCorpus
    seed: int
    plan: InterpretPlan
    documents: Documents
    truths: Truths
    values: Mapping[str, Floats]
    facts: frozenset[int] | None = None

    @property
    def acts(self) -> list[str]:
        """The hidden activations, first layer first."""
        return site_names(self.model.config)["act"]


def read_material(
    model: Gpt,
    corpus: StudyCorpus,
    *,
    seed: int,
    plan: InterpretPlan,
    documents: Documents | None = None,
    facts: frozenset[int] | None = None,
) -> Material:
    """Run the model once over labelled documents.

    Args:
        documents: to read; by default as many of the corpus as the plan says.

    Raises:
        UserError: the documents are too few for their labels to be tested.
    """
    read = documents or corpus.documents(plan.documents)
    sites = [s for names in site_names(model.config).values() for s in names]
    return Material(
        model=model, corpus=corpus, seed=seed, plan=plan, documents=read, truths=truths_of(read),
        values=activations_of(model, read, sites), facts=facts,
    )  # fmt: skip


@torch.no_grad()
def activations_of(model: Gpt, documents: Documents, sites: Sequence[str]) -> dict[str, Floats]:
    """Activations at hook points over all documents, float32 ``[token, unit]``."""
    rows = torch.as_tensor(documents.ids[:, :-1], device=next(model.parameters()).device)
    found: dict[str, list[Tensor]] = {s: [] for s in sites}
    with hooked(model, sites, lambda site, out: found[site].append(out.float().flatten(0, 1).cpu())):
        for start in range(0, len(rows), _BATCH):
            model(rows[start : start + _BATCH])
    return {s: torch.cat(parts).numpy() for s, parts in found.items()}


@contextmanager
def hooked(model: Gpt, sites: Sequence[str], seen: Any) -> Generator[None]:
    """Call ``seen(site, output)`` at each hook point of every pass; what it gives, when not ``None``, takes the output's place."""
    modules = dict(model.named_modules())
    handles: list[Any] = []
    try:
        for site in sites:
            handles.append(modules[site].register_forward_hook(lambda _m, _i, out, site=site: seen(site, out)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        yield
    finally:
        for handle in handles:
            handle.remove()


# --- readings over units ---------------------------------------------------------------------------------------------


def mean_of(values: FloatArray, *, seed: int) -> Estimate:
    """Mean over units, with its bootstrap over them."""
    values = np.asarray(values, np.float64)
    return Estimate(
        value=float(values.mean()) if len(values) else float("nan"),
        replicates=cluster_weights(len(values), seed=seed).astype(np.float64) @ values / len(values)
        if len(values)
        else np.zeros(0),
    )


def over_units(
    name: str, values: FloatArray, *, seed: int, undefined: str = "no unit is live", keep: bool = False, **details: Any
) -> Reading:
    """Mean over units, labels or documents, with a bootstrap over them: it says nothing about other seeds of training.

    Args:
        values: ``[unit]``. undefined: why there is none when it is empty.
        keep: whether the values themselves are kept in the details (``units``).
    """
    if not len(values):
        return Reading.unmeasured(name, undefined, details=details)
    kept: dict[str, Any] = {"units": np.round(values[:_KEPT], _DIGITS).tolist()} if keep else {}
    return mean_of(values, seed=seed).reading(name, n=len(values), undefined=undefined, details={**details, **kept})
