"""Weak, middle and strong firings of a unit: how often its predicate holds in each.

A unit's label is its predicate (`predicates`); a token belongs to a band by its activation as a share of the unit's largest on
discover. Precision is the share of the band's tokens, on select and test, at which the predicate holds. What a reader of top
examples sees is the high band; the low one is where mess hides (Elhage et al. 2022, section 6.4).

What this module does not do: count firings below a tenth of the maximum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.readings import Reading
from maieutic.studies.regularization.interpreting.material import Material, over_units
from maieutic.studies.regularization.interpreting.predicates import Floats, Labelled
from maieutic.studies.regularization.interpreting.truths import Truths
from maieutic.studies.regularization.rows import Row

#: shares of the unit's largest activation: from, up to but not with
BANDS: Mapping[str, tuple[float, float]] = {"low": (0.1, 0.3), "middle": (0.3, 0.6), "high": (0.6, np.inf)}
#: tokens in a band without which nothing is said about a unit in it
LEAST = 5
#: a unit is clean at the top from this precision on, as in Elhage et al. 2022
CLEAN = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Banded:
    """Precision of units by band, ``[live unit]``; ``nan`` where the band has too few tokens."""

    precision: Mapping[str, NDArray[np.float64]]


def band_precision(values: Floats, truths: Truths, labelled: Labelled) -> Banded:
    """Precision of each live unit's predicate in each band.

    Args:
        values: activations ``[token, unit]``. labelled: of these units.
    """
    kept = values[:, labelled.live]
    top = kept[truths.places["discover"]].max(axis=0)
    seen = np.concatenate([kept[truths.places[s]] for s in ("select", "test")]).T
    truth = np.concatenate([truths.at(labelled.predicate, s) for s in ("select", "test")], axis=1)
    # a unit that is never above 0 fires nowhere
    share = np.divide(seen, top[:, None], out=np.full(seen.shape, -1.0, np.float32), where=top[:, None] > 0)
    found: dict[str, NDArray[np.float64]] = {}
    for name, (low, high) in BANDS.items():
        inside = (share >= np.float32(low)) & (share < np.float32(high))
        counts = inside.sum(axis=1)
        held = (inside & truth).sum(axis=1)
        found[name] = np.where(counts >= LEAST, held / np.maximum(counts, 1), np.nan)
    return Banded(precision=found)


def band_readings(name: str, banded: Banded, *, seed: int, keep: bool = False) -> list[Reading]:
    """Mean precision of each band, named ``<name>.low`` and so on."""
    found: list[Reading] = []
    for band, values in banded.precision.items():
        known = values[np.isfinite(values)]
        found.append(
            over_units(
                f"{name}.{band}",
                known,
                seed=seed,
                keep=keep,
                of=len(values),
                undefined=f"no unit fires at {LEAST} tokens in this band",
            )  # fmt: skip
        )
    return found


def band_rows(material: Material, labelled: list[Labelled]) -> list[Row]:
    """``bands.low``, ``.middle``, ``.high`` and ``bands.clean`` (share of live units clean at the top) of each layer.

    Args:
        labelled: the units of each layer (`neurons.labelled_layers`).
    """
    found: list[Row] = []
    for site, own in zip(material.acts, labelled, strict=True):
        banded = band_precision(material.values[site], material.truths, own)
        readings = band_readings("bands", banded, seed=material.seed, keep=True)
        top = banded.precision["high"]
        clean = (np.nan_to_num(top, nan=0.0) >= CLEAN).astype(np.float64)
        readings.append(over_units("bands.clean", clean, seed=material.seed, precision=CLEAN))
        found += [Row(about="interpretability", measure=r.name, where=site, reading=r) for r in readings]
    return found
