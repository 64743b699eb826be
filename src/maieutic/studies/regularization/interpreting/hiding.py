"""Does an extra LayerNorm bring back what a clean activation gave up? The hiding test of SoLU, the same in every arm.

- ``hiding.low.before``, ``hiding.low.after`` (and middle, high): precision by band before and behind the extra LayerNorm, each
  with the predicates that fit best there; ``hiding.low.drop`` is before minus after;
- ``hiding.cut.10``, ``hiding.cut.25``: nats per token that the loss rises by when activations below so many percent of their
  token's largest magnitude are set to 0, before any LayerNorm, in one layer; ``.all``: in all layers at once. A model that
  hides nothing in small activations loses nothing;
- ``hiding.gain``: rank correlation of a token's LayerNorm gain with its largest activation: -1 where the LayerNorm blows up
  tokens at which nothing fires.

What this module does not do: look at other locations (`probing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from maieutic.readings import Reading
from maieutic.studies.regularization.documents import Ids
from maieutic.studies.regularization.interpreting.bands import BANDS, Banded, band_precision, band_readings
from maieutic.studies.regularization.interpreting.material import Material, hooked, mean_of, over_units
from maieutic.studies.regularization.interpreting.predicates import Floats, Labelled, label_directions
from maieutic.studies.regularization.model import Gpt
from maieutic.studies.regularization.rows import Row

#: percent of a token's largest magnitude under which activations are cut
CUTS = (10, 25)
NO_NORM = "this arm has no LayerNorm behind its activation"
_BETTER = {"before": 1, "after": 1, "drop": -1}


def hiding_rows(material: Material, labelled: Sequence[Labelled]) -> list[Row]:
    """All rows of this module.

    Args:
        labelled: the units of each layer before the LayerNorm (`neurons.labelled_layers`).
    """
    found: list[Row] = []
    for act, own in zip(material.acts, labelled, strict=True):
        norm = act.replace(".act", ".norm")
        before = band_precision(material.values[act], material.truths, own)
        after = _behind(material, norm)
        found += _banded(material, before, after, act=act, norm=norm)
        found.append(_hiding(_gain(material.values[act]) if after else Reading.unmeasured("hiding.gain", NO_NORM), act))
    return found + _cuts(material)


def _hiding(reading: Reading, where: str, better: int = 0) -> Row:
    assert better in (-1, 0, 1)
    return Row(about="hiding", measure=reading.name, where=where, reading=reading, better=better)


def _behind(material: Material, norm: str) -> Banded | None:
    if norm not in material.values:
        return None
    values = material.values[norm]
    return band_precision(values, material.truths, label_directions(values, material.truths))


def _banded(material: Material, before: Banded, after: Banded | None, *, act: str, norm: str) -> list[Row]:
    seed, found = material.seed, list[Row]()
    found += [_renamed(r, act, "before") for r in band_readings("hiding", before, seed=seed)]
    if after is None:
        return found + [
            _hiding(Reading.unmeasured(f"hiding.{b}.{end}", NO_NORM), where, _BETTER[end])
            for end, where in (("after", norm), ("drop", act))
            for b in BANDS
        ]
    found += [_renamed(r, norm, "after") for r in band_readings("hiding", after, seed=seed)]
    for band in BANDS:
        sides = [x.precision[band][np.isfinite(x.precision[band])] for x in (before, after)]
        name = f"hiding.{band}.drop"
        if min(map(len, sides)) == 0:
            reading = Reading.unmeasured(name, "no unit fires often enough in this band on one side")
        else:
            reading = (mean_of(sides[0], seed=seed) - mean_of(sides[1], seed=seed + 1)).reading(name, n=len(sides[0]))
        found.append(_hiding(reading, act, _BETTER["drop"]))
    return found


def _renamed(reading: Reading, where: str, end: str) -> Row:
    return _hiding(replace(reading, name=f"{reading.name}.{end}"), where, _BETTER[end])


def _gain(values: Floats) -> Reading:
    """Rank correlation of 1 / (standard deviation over units) with the largest activation, over tokens."""
    from scipy import stats

    gain, top = stats.rankdata(1 / np.maximum(values.std(axis=1), 1e-12)), stats.rankdata(values.max(axis=1))
    value = float(np.corrcoef(gain, top)[0, 1]) if np.ptp(gain) and np.ptp(top) else np.nan
    if not np.isfinite(value):
        return Reading.unmeasured("hiding.gain", "activations are the same at every token", n=len(values))
    return Reading(name="hiding.gain", value=value, n=len(values))


# --- cutting small activations ---------------------------------------------------------------------------------------


def cut_small(values: Tensor, percent: float) -> Tensor:
    """Activations ``[..., unit]`` of which those below ``percent`` of the largest magnitude of their token are 0."""
    size = values.abs()
    return torch.where(size < percent / 100 * size.amax(dim=-1, keepdim=True), torch.zeros_like(values), values)


@torch.no_grad()
def losses_with_cut(model: Gpt, ids: Ids, *, sites: Sequence[str], percent: float) -> NDArray[np.float64]:
    """Mean loss of each document (nats per token) with small activations of some sites cut; percent 0 cuts nothing."""
    rows = torch.as_tensor(ids, device=next(model.parameters()).device)
    with hooked(model, sites, lambda _site, out: cut_small(out, percent)):
        logits = model(rows[:, :-1]).float()
    loss = F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")
    return loss.mean(dim=1).double().cpu().numpy()


def _cuts(material: Material) -> list[Row]:
    ids, acts = material.documents.split("test").ids[: material.plan.cut], material.acts
    before = losses_with_cut(material.model, ids, sites=[], percent=0)
    found: list[Row] = []
    for percent in CUTS:
        places: Mapping[str, list[str]] = {**{a: [a] for a in acts}, "": acts}
        for where, sites in places.items():
            change = losses_with_cut(material.model, ids, sites=sites, percent=percent) - before
            name = f"hiding.cut.{percent}" + ("" if where else ".all")
            reading = over_units(
                name, change, seed=material.seed, loss=float(before.mean()), **_cut_away(material, sites, percent)
            )
            found.append(_hiding(reading, where, -1))
    return found


def _cut_away(material: Material, sites: Sequence[str], percent: float) -> dict[str, Any]:
    """How much is cut: share of the activations that are not 0 anyway, and of the squared norm; means over sites."""
    shares: list[tuple[float, float]] = []
    for site in sites:
        size = np.abs(material.values[site][material.truths.places["test"]])
        small = size < percent / 100 * size.max(axis=1, keepdims=True)
        on = max(int((size > 0).sum()), 1)
        power = max(float(np.square(size).sum()), 1e-12)
        shares.append((float((small & (size > 0)).sum()) / on, float(np.square(size[small]).sum()) / power))
    return {"cut": float(np.mean([a for a, _ in shares])), "power": float(np.mean([b for _, b in shares]))}
