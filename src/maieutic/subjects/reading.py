"""Many stimuli through a subject: batches by length, columns by unit, results in the order given.

What this module does not do: it keeps nothing between calls and summarises nothing (that is the harvest).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.errors import UsageError
from maieutic.subjects.base import Intervention, Subject, Unit, Values, raw

if TYPE_CHECKING:
    import torch

#: a batch holds at most ``batch_size`` stimuli and this many positions for each of them on average: longer texts go
#: through in smaller batches, so memory stays bounded and caches warm
POSITIONS_PER_STIMULUS = 128


def plan_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Indices of the stimuli of each batch, shortest first; ties keep the order given, so the plan is deterministic.

    Args:
        lengths: positions of each stimulus.
        batch_size: most stimuli in a batch; fewer where ``count * longest`` would pass
            ``batch_size * POSITIONS_PER_STIMULUS``.
    """
    batches: list[list[int]] = []
    budget = batch_size * POSITIONS_PER_STIMULUS
    for i in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        # sorted ascending: the newcomer is the longest of its batch
        if not batches or len(batches[-1]) >= batch_size or (len(batches[-1]) + 1) * (lengths[i] + 1) > budget:
            batches.append([])
        batches[-1].append(i)
    return batches


def read_units(
    subject: Subject,
    stimuli: Sequence[Any],
    units: Sequence[Unit],
    *,
    interventions: Sequence[Intervention] = (),
) -> list[Values]:
    """Read several units over many stimuli in one pass each.

    Returns:
        Per stimulus, in the order given, float32 ``[position, unit]``; an image has one position.

    Cost: one forward pass over the stimuli, stopped after the last site needed.

    Raises:
        UsageError: no units were given.
        InterventionDidNothing: an intervention changed no activation of any stimulus.
    """
    if not units:
        raise UsageError("there is no unit to read: give at least one, as in  subject.unit(site, 0)")
    contents = [raw(s) for s in stimuli]
    lengths = [1] * len(contents) if subject.modality == "image" else _lengths(subject, contents)
    sites = list(dict.fromkeys(u.site for u in units))
    moved = np.zeros(len(interventions))
    results: list[Values] = [np.zeros((0, len(units)), np.float32)] * len(contents)
    for batch in plan_batches(lengths, subject.batch_size):
        done = subject.forward([contents[i] for i in batch], sites, interventions=interventions)
        columns = unit_columns(done.values, units)
        if interventions:
            moved = np.maximum(moved, done.moved)
        for row, i in enumerate(batch):
            results[i] = columns[row, : int(done.lengths[row])]
    if interventions and contents:
        from maieutic.subjects.hooks import check_moved

        check_moved(interventions, moved.tolist())
    return results


def _lengths(subject: Subject, contents: Sequence[Any]) -> list[int]:
    wrong = next((c for c in contents if not isinstance(c, str)), None)
    if wrong is not None:
        raise UsageError(f"{subject.name} reads text, not {type(wrong).__name__}: give strings")
    return [len(subject.tokens(c)) for c in contents]


def unit_columns(values: Any, units: Sequence[Unit]) -> Values:
    """Readings of units from the site values of one batch: ``[stimulus, position, unit]`` float32.

    Args:
        values: per site ``[stimulus, position, unit of the site]`` or ``[stimulus, unit of the site]`` tensors.
        units: what to read; the sign and offset of each are applied.
    """
    import torch

    columns: list[torch.Tensor] = []
    for unit in units:
        site: torch.Tensor = values[unit.site]
        if unit.index is not None:
            column = site[..., unit.index]
        else:
            column = site @ torch.as_tensor(unit.vector, dtype=site.dtype) + unit.offset
        columns.append(column if unit.sign > 0 else -column)
    stacked = torch.stack(columns, dim=-1)
    return (stacked if stacked.ndim == 3 else stacked.unsqueeze(1)).float().numpy()


def activation_maps(subject: Subject, images: Sequence[Any], unit: Unit) -> list[Values]:
    """Where in each image the unit fires: float32 ``[height, width]`` at the site's own resolution.

    The reading of an image is the mean of its map.

    Cost: one forward pass over the images.

    Raises:
        UsageError: the subject reads text.
    """
    if subject.modality != "image":
        raise UsageError(f"{subject.name} reads text: maps exist for image subjects; use  subject.measure  instead")
    contents = [raw(s) for s in images]
    maps: list[Values] = []
    for batch in plan_batches([1] * len(contents), subject.batch_size):
        done = subject.forward([contents[i] for i in batch], [unit.site], maps=True)
        value = done.values[unit.site].movedim(1, -1)
        maps.extend(
            np.ascontiguousarray(m)
            for m in unit_columns({unit.site: value.flatten(1, 2)}, [unit])[..., 0].reshape(value.shape[:3])
        )
    return maps
