"""Attribution of an output to units: gradient times activation less its mean, one backward pass a stimulus.

For small changes that is what ablating the unit to its mean takes from the output (attribution patching with the mean as the
patch; Nanda 2023, Syed et al., arXiv 2310.10348). It is a first-order guess, so what it ranks high is ablated before anything
is said (`drivers`). *Direct*: the same with the gradient at the last site of the residual stream and what the unit writes
there, so without the layers between.

What this module does not do: rank, verify, or attribute to pairs of units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maieutic.errors import UsageError, UserError
from maieutic.lab.outputs import Target
from maieutic.progress import Step, nothing
from maieutic.readings import FloatArray
from maieutic.subjects.base import Intervention, Subject, Unit
from maieutic.subjects.gradients import Slope, differentiate

#: units that a lens may have at most where each has to be changed by itself
_ONE_BY_ONE = 64


@dataclass(frozen=True, kw_only=True)
class Attributed:
    """One site, attributed.

    Attributes:
        effects: what ablating each unit to its mean is foretold to take from the target, ``[stimulus, unit]``.
        means: mean value of each unit over all positions, ``[unit]``.
        spread: root mean square of its values less the mean, ``[unit]``: how far ablation moves it.
        last: its values at the last position of each stimulus, ``[stimulus, unit]`` (images: mean over the map).
    """

    effects: FloatArray
    means: FloatArray
    spread: FloatArray
    last: FloatArray


@dataclass(frozen=True, kw_only=True)
class Attributions:
    """All sites, with the value of the target on each stimulus.

    Attributes:
        sites: by name, in the order of the forward pass.
        target: value of the target, ``[stimulus]``.
        stream: gradient of the target at the last position of the last residual site, ``[stimulus, hidden]``; ``None``
            without such a site.
    """

    sites: Mapping[str, Attributed]
    target: FloatArray
    stream: FloatArray | None


def attribute_output(
    subject: Subject, stimuli: Sequence[Any], sites: Sequence[str], target: Target, *, step: Step = nothing
) -> Attributions:
    """Attribute an output to every unit of some sites.

    Args:
        subject: a network.
        stimuli: texts or images.
        sites: whose units.
        target: the output.
        step: told of progress.

    Cost: one forward and one backward pass a stimulus, whatever the number of units.

    Raises:
        UserError: no network, or a site whose units no gradient says anything of.
    """
    stream = last_stream(subject)
    wanted: list[str] = list(dict.fromkeys([*sites, stream] if stream else sites))
    lenses = {s: getattr(subject.site(s), "lens", None) for s in sites}
    writes = {s: _writes(subject, s, lens) for s, lens in lenses.items() if lens is not None}
    rows: dict[str, list[tuple[FloatArray, ...]]] = {s: [] for s in sites}
    values: list[float] = []
    ends: list[FloatArray] = []
    for number, stimulus in enumerate(stimuli):
        slope = differentiate(subject, stimulus, wanted, target.metric)
        values.append(slope.metric)
        if stream:
            ends.append(slope.gradients[stream][-1].double().numpy())
        for s in sites:
            rows[s].append(_sums(slope, s, lenses[s], writes.get(s), text=subject.modality == "text"))
        step(number + 1, len(stimuli))
    return Attributions(
        sites={s: _joined(rows[s]) for s in sites}, target=np.array(values), stream=np.stack(ends) if ends else None
    )


def last_stream(subject: Subject) -> str | None:
    """The last residual site of a language model."""
    if subject.modality != "text":
        return None
    found = [s.name for s in subject.sites() if s.name.endswith(".resid")]
    return found[-1] if found else None


def _sums(slope: Slope, site: str, lens: Any, writes: Tensor | None, *, text: bool) -> tuple[FloatArray, ...]:
    """Of one stimulus: sum of gradient times value, sum of gradients, sums of values and squares, positions, last values."""
    raw, gradient = slope.values[site], slope.gradients[site]
    values = raw if lens is None else lens.read(raw).float().cpu()
    if writes is not None:
        gradient = gradient @ writes.T
    elif lens is not None:
        return _by_change(raw, gradient, values, lens, site)
    last = values[-1] if text else values.mean(dim=0)
    parts = ((gradient * values).sum(0), gradient.sum(0), values.sum(0), values.square().sum(0))
    return (*(p.double().numpy() for p in parts), np.array(float(len(values))), last.double().numpy())


def _by_change(raw: Tensor, gradient: Tensor, values: Tensor, lens: Any, site: str) -> tuple[FloatArray, ...]:
    """Units whose write depends on the input: what taking each away changes, times the gradient.

    A head is ablated to zero and not to its mean, so its gradient counts for nothing and its product for everything.
    """
    where = torch.ones(raw.shape[0], dtype=torch.bool)
    products = torch.zeros(values.shape[1])
    for i in range(values.shape[1]):
        without = lens.change(raw, Intervention(unit=Unit(site=site, index=i), kind="ablate_zero"), where)
        products[i] = ((raw - without.float().cpu()) * gradient).sum()
    parts = (products, torch.zeros_like(products), values.sum(0), values.square().sum(0))
    return (*(p.double().numpy() for p in parts), np.array(float(len(values))), values[-1].double().numpy())


def _writes(subject: Subject, site: str, lens: Any) -> Tensor | None:
    """What each unit of a lens adds to what stands at its module, ``[unit, hidden]``; ``None`` where that depends on it."""
    if lens.along(Unit(site=site, index=0)) is None:
        if lens.width > _ONE_BY_ONE:
            raise UsageError(f"{site} has {lens.width} units whose writes depend on the input: choose another site")
        return None
    try:
        return torch.stack([lens.along(Unit(site=site, index=i)).float().cpu() for i in range(lens.width)])
    except UserError as error:
        raise UsageError(f"units of {site} cannot be changed ({error}): choose another site") from error


def _joined(rows: Sequence[tuple[FloatArray, ...]]) -> Attributed:
    products, slopes, sums, squares, counts, last = (np.stack(column) for column in zip(*rows, strict=True))
    n = max(float(counts.sum()), 1.0)
    means = sums.sum(axis=0) / n
    spread = np.sqrt(np.maximum(squares.sum(axis=0) / n - means**2, 0.0))
    return Attributed(effects=products - slopes * means, means=means, spread=spread, last=last)


def at_zero(subject: Subject, site: str) -> bool:
    """Whether units of a site are taken away altogether (heads), rather than set to their mean."""
    lens: Any = getattr(subject.site(site), "lens", None)
    return lens is not None and lens.along(Unit(site=site, index=0)) is None


def ordered(found: Attributions) -> tuple[list[tuple[str, int]], NDArray[np.float64]]:
    """All units as (site, index) with their mean attribution, the strongest driver first."""
    names = [(s, i) for s, a in found.sites.items() for i in range(a.effects.shape[1])]
    values = np.concatenate([a.effects.mean(axis=0) for a in found.sites.values()])
    order = np.argsort(-values, kind="stable")
    return [names[i] for i in order], values[order]
