"""From activations to summaries while they stand on the device: what a hook takes of a pass, and what is made of it.

`Taken` holds what one pass leaves, a few numbers a unit and stimulus and the rows of sampled positions; whole activations are
never copied (but for sites whose units are kept). It changes nothing until the pass is over and the values proved
finite: then `Reduction.commit` adds it. Units of all sites stand side by side in one long row, so that the cost of a
stimulus is that of its values, and not of many small steps.

Costs on one core, in nanoseconds a value: 2 for sums, 3 for extremes with their places, 10 to 15 for histogram and bands, of
which only the sampled share of positions is in them (`Limits.thinning`). The sums of a text are made in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maieutic.harvest import bands, exact, extremes
from maieutic.harvest.summary import TOP, Limits, SiteSummary, keys

#: the limit of a uniform sample that is not full
LIMIT = np.uint64(2**64 - 1)
#: stimuli whose extremes are collected before they are sorted into those of before
PENDING = extremes.MOST_SORTED - TOP
#: values in the rows that wait for histogram and bands, and rows at most and at least
WAITING, MOST_WAITING, LEAST_WAITING = 1 << 21, 1024, 256
#: values that are sorted at once: their arrays then stay in caches, and in memory that was used before
BLOCK = 1 << 17


@dataclass(frozen=True, slots=True)
class _Reduced:
    """One site in one pass: ``[stimulus, unit]`` each, and rows ``[position, unit]`` of sampled positions.

    Arrays where one stimulus was reduced on the CPU: thousands of small steps of torch would be seen in the time of a harvest.
    """

    sums: torch.Tensor | NDArray[np.float32]
    squares: torch.Tensor | NDArray[np.float32]
    high: torch.Tensor | NDArray[np.float32]
    high_at: torch.Tensor | NDArray[np.int32]
    low: torch.Tensor | NDArray[np.float32]
    low_at: torch.Tensor | NDArray[np.int32]
    rows: torch.Tensor | NDArray[np.float32]


@dataclass(kw_only=True)
class Group:
    """Stimuli that went through together, and which of their positions are sampled.

    Attributes:
        places: in the batch. lengths: of each.
        mask: bool ``[stimulus, position]`` of real positions; ``None`` where all are.
        row, position, key: of each sampled position: stimulus of the group, place in it, hash.
        sampled, banded: what it is sampled for.
        longest: most positions of a stimulus. count: positions of all.
        single_values, reduced: what was taken, by site. flat: the same side by side on the CPU, once the pass is over.
    """

    places: tuple[int, ...]
    lengths: NDArray[np.int64]
    mask: torch.Tensor | None
    row: NDArray[np.int64]
    position: NDArray[np.int32]
    key: NDArray[np.uint64]
    sampled: NDArray[np.bool_]
    banded: NDArray[np.bool_]
    longest: int
    count: int
    single_values: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    reduced: dict[str, _Reduced] = field(default_factory=dict[str, _Reduced])
    flat: dict[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])

    def finish(self, sites: Sequence[str]) -> None:
        """Bring what was reduced to the CPU, the units of all sites side by side."""
        if self.single_values:
            value = torch.cat([self.single_values[site] for site in sites], dim=1).cpu().numpy()
            nowhere = np.zeros(value.shape, np.int32)
            self.flat = {"sums": value, "squares": value * value, "high": value, "high_at": nowhere, "low": value}
            self.flat |= {"low_at": nowhere, "rows": value[self.row]}
            return
        parts = [self.reduced[site] for site in sites] if self.reduced else []
        for name in _Reduced.__slots__ if parts else ():
            self.flat[name] = _side_by_side([getattr(p, name) for p in parts])

    def bad(self, widths: Mapping[str, int]) -> dict[int, str]:
        """Places with a value that is not finite -> the first site where that was; NaN is an extreme to torch and numpy."""
        if not self.flat:
            return {}
        fine = np.isfinite(self.flat["high"]) & np.isfinite(self.flat["low"]) | (self.lengths == 0)[:, None]
        if fine.all():
            return {}
        sites = np.repeat(list(widths), list(widths.values()))
        return {self.places[k]: str(sites[np.argmin(fine[k])]) for k in np.flatnonzero(~fine.all(axis=1))}

    @property
    def single(self) -> bool:
        """Whether each stimulus has one position: there is nothing to reduce, and all sites wait for the end of the pass."""
        return self.longest == 1 and self.mask is None


@dataclass(kw_only=True)
class Taken:
    """What one pass leaves, of stimuli that are not yet known to be finite.

    Attributes:
        stimuli: corpus indices of the batch.
        seeds: what the samples hash, one a stimulus, uint64.
        summarised: sites to summarise. copied: sites whose values are kept whole for the readouts.
        limit: uniform samples take keys up to this.
        thinning: see `Limits`.
        values: of copied sites, by pass. checks: which stimuli of a pass were finite at a site.
        bad: places with a value that is not finite -> the first site where that was; known when finished.
    """

    stimuli: Sequence[int]
    seeds: NDArray[np.uint64]
    summarised: Sequence[str]
    copied: Sequence[str]
    limit: np.uint64
    thinning: int
    values: dict[str, dict[tuple[int, ...], torch.Tensor]] = field(
        default_factory=dict[str, dict[tuple[int, ...], torch.Tensor]]
    )
    checks: list[tuple[str, tuple[int, ...], torch.Tensor]] = field(
        default_factory=list[tuple[str, tuple[int, ...], torch.Tensor]]
    )
    bad: dict[int, str] = field(default_factory=dict[int, str])
    _groups: dict[tuple[int, ...], Group] = field(default_factory=dict[tuple[int, ...], Group])

    @property
    def groups(self) -> list[Group]:
        """The passes that made up the batch."""
        return list(self._groups.values())

    def __call__(self, site: str, values: torch.Tensor, places: Sequence[int], lengths: Sequence[int], /) -> None:
        """Take what is needed of a site; see `maieutic.subjects.base.Take`."""
        at = tuple(places)
        if at not in self._groups:
            self._groups[at] = self._group(at, lengths)
        group = self._groups[at]
        values = values if values.shape[1] == group.longest else values[:, : group.longest]
        if site in self.copied:
            whole = values.clone() if values.dtype == torch.float32 else values.float()
            self.values.setdefault(site, {})[at] = whole
        if group.count == 0:
            return
        if site in self.summarised and group.single:
            group.single_values[site] = values[:, 0].to(torch.float32, copy=True)
            return
        if site in self.summarised:
            group.reduced[site] = _reduce(values, group)
            return
        # NaN and infinity reach the sum, for a pass over the values in place of one for each test
        fine = torch.isfinite(_blank(values.float(), group.mask, 0.0).sum(1))
        self.checks.append((site, at, fine.all(dim=1)))

    def finish(self) -> None:
        """After the pass: bring everything to the CPU. What can run out of memory on the device has then done so."""
        for group in self.groups:
            group.finish(self.summarised)
        self.values = {site: {at: v.cpu() for at, v in parts.items()} for site, parts in self.values.items()}
        for site, places, fine in self.checks:
            for place, good in zip(places, fine.tolist(), strict=True):
                if not good:
                    self.bad.setdefault(place, site)
        for group in self.groups:
            self.bad |= {p: site for p, site in group.bad(self.widths).items() if p not in self.bad}

    @property
    def widths(self) -> dict[str, int]:
        """Units of the summarised sites, as seen; empty when there was nothing to see."""
        for group in self.groups:
            seen = group.single_values or {site: r.sums for site, r in group.reduced.items()}
            if seen:
                return {site: seen[site].shape[1] for site in self.summarised}
        return {}

    def copies(self) -> Iterator[tuple[list[int], NDArray[np.int64], dict[str, torch.Tensor]]]:
        """Of each pass the places that were finite, their lengths, and the values of copied sites."""
        for at, group in self._groups.items() if self.copied else ():
            good = [k for k, place in enumerate(at) if place not in self.bad]
            if good:
                yield [at[k] for k in good], group.lengths[good], {s: v[at][good] for s, v in self.values.items()}

    def untaken(self) -> list[int]:
        """Places that no pass showed, because they have no positions."""
        shown = {place for at in self._groups for place in at}
        return [p for p in range(len(self.stimuli)) if p not in shown]

    def _group(self, places: tuple[int, ...], lengths: Sequence[int]) -> Group:
        length = np.asarray(lengths, np.int64)
        position = np.concatenate([np.zeros(0, np.int32), *(np.arange(n, dtype=np.int32) for n in lengths)])
        row = np.repeat(np.arange(len(places)), length)
        key = keys(self.seeds[np.asarray(places, np.int64)][row], position)
        banded = (key & np.uint64(0xFFFFFFFF)) < np.uint64(1 << (32 - self.thinning))
        (chosen,) = np.nonzero((key <= self.limit) | banded)
        longest = int(length.max(initial=0))
        mask = None
        if (length != longest).any():
            mask = torch.arange(longest)[None, :] < torch.as_tensor(length)[:, None]
        return Group(
            places=places, lengths=length, mask=mask, row=row[chosen], position=position[chosen], key=key[chosen],
            sampled=key[chosen] <= self.limit, banded=banded[chosen], longest=longest,
            count=len(row),
        )  # fmt: skip


def _blank(values: torch.Tensor, mask: torch.Tensor | None, fill: float) -> torch.Tensor:
    if mask is None:
        return values
    return torch.where(mask.to(values.device)[:, :, None], values, fill)


def _side_by_side(parts: Sequence[Any]) -> NDArray[Any]:
    """Parts of several sites as one array ``[row, unit]``, on the CPU."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=1)
    return torch.cat(list(parts), dim=1).cpu().numpy()


def _reduce(values: torch.Tensor, group: Group) -> _Reduced:
    """Reduce ``[stimulus, position, unit]`` on its device, in float32."""
    x = values.float()
    if x.device.type == "cpu" and len(group.places) == 1:
        return _reduce_one(x[0], group.position)
    rows = x[torch.from_numpy(group.row).to(x.device), torch.from_numpy(group.position).long().to(x.device)]
    zeroed = _blank(x, group.mask, 0.0)
    high, high_at = _blank(x, group.mask, -torch.inf).max(1)
    low, low_at = _blank(x, group.mask, torch.inf).min(1)
    return _Reduced(
        sums=zeroed.sum(1), squares=(zeroed * zeroed).sum(1), high=high, high_at=high_at.int(), low=low,
        low_at=low_at.int(), rows=rows,
    )  # fmt: skip


def _reduce_one(values: torch.Tensor, sampled: NDArray[np.int32]) -> _Reduced:
    """Reduce ``[position, unit]`` on the CPU, row by row as it lies in memory."""
    x = values.numpy()
    high, low = x.max(0), x.min(0)
    return _Reduced(
        sums=x.sum(0)[None], squares=np.einsum("pu,pu->u", x, x)[None], rows=x[sampled],
        high=high[None], high_at=extremes.first(x, high)[None], low=low[None], low_at=extremes.first(x, low)[None],
    )  # fmt: skip


class Reduction:
    """Fills the summaries of several sites."""

    def __init__(self, widths: Mapping[str, int], limits: Limits) -> None:
        """Empty summaries.

        Args:
            widths: units of each site, in the order of the sites.
            limits: see `Limits`.
        """
        ends = np.cumsum([0, *widths.values()])
        self.limits = limits
        self.at = {site: slice(int(a), int(b)) for site, a, b in zip(widths, ends, ends[1:], strict=False)}
        n = int(ends[-1])
        self._count = self._counted = 0
        self._sums, self._squares = exact.zero(n), exact.zero(n)
        self._maximum, self._minimum = np.full(n, -np.inf, np.float32), np.full(n, np.inf, np.float32)
        self._histogram = np.zeros((n, 2 * bands.BINS + 1), np.uint32)
        self._high, self._low = extremes.nothing(n, limits.top), extremes.nothing(n, limits.top)
        self._bands, self._octaves = bands.nothing(n), np.zeros((2, n), np.int8)
        self._pending = [np.zeros((PENDING, n), t) for t in (np.float32, np.int32, np.float32, np.int32)]
        self._pending_stimuli: list[int] = []
        rows = min(max(WAITING // max(n, 1), LEAST_WAITING), MOST_WAITING)
        self._waiting = np.zeros((rows, n), np.float32)
        self._waiting_key, self._waiting_position = np.zeros(rows, np.uint64), np.zeros(rows, np.int32)
        self._waits = 0
        self._sample = np.zeros((0, n), np.float32)
        self._sample_key, self._sample_where = np.zeros(0, np.uint64), np.zeros((0, 2), np.int32)

    @property
    def limit(self) -> np.uint64:
        """Keys above this are not among the uniform sample any more."""
        full = len(self._sample_key) >= self.limits.sample
        return self._sample_key.max() if full else LIMIT

    def commit(self, taken: Taken) -> None:
        """Add the stimuli of a pass whose values were finite."""
        for group in taken.groups:
            good = [k for k, place in enumerate(group.places) if place not in taken.bad and group.lengths[k]]
            if not good or not group.flat:
                continue
            stimuli = [taken.stimuli[group.places[k]] for k in good]
            columns = [group.flat[f][good] for f in ("high", "high_at", "low", "low_at")]
            for total, name in ((self._sums, "sums"), (self._squares, "squares")):
                for row in group.flat[name][good]:
                    exact.add(total, row.astype(np.float64))
            self._count += int(group.lengths[good].sum())
            self._add_extremes(columns, stimuli)
            if len(group.row):
                kept = np.isin(group.row, good)
                self._add_rows(
                    group.flat["rows"], group, kept, np.array([taken.stimuli[p] for p in group.places], np.int32)
                )

    def _add_extremes(self, columns: list[NDArray[Any]], stimuli: Sequence[int]) -> None:
        # adding zero makes -0.0 and 0.0 one value: which of them is the larger would depend on their order
        np.maximum(self._maximum, columns[0].max(0) + np.float32(0), out=self._maximum)
        np.minimum(self._minimum, columns[2].min(0) + np.float32(0), out=self._minimum)
        for k, stimulus in enumerate(stimuli):
            for pending, column in zip(self._pending, columns, strict=True):
                pending[len(self._pending_stimuli)] = column[k]
            self._pending_stimuli.append(stimulus)
            if len(self._pending_stimuli) == PENDING:
                self._flush_extremes()

    def _flush_extremes(self) -> None:
        n, stimuli = len(self._pending_stimuli), np.array(self._pending_stimuli, np.int32)
        for part in self._blocks(extremes.MOST_SORTED) if n else ():
            columns: list[NDArray[Any]] = [np.ascontiguousarray(p[:n, part].T) for p in self._pending]
            for kept, value, at, tail in ((self._high, *columns[:2], 1), (self._low, *columns[2:], -1)):
                own = kept[0][part], kept[1][part]  # views: filled in place
                extremes.merged(own, extremes.ranks(value, stimuli[None, :], tail=tail), at)
        self._pending_stimuli = []

    def _add_rows(self, rows: NDArray[Any], group: Group, kept: NDArray[np.bool_], stimuli: NDArray[np.int32]) -> None:
        (sampled,) = np.nonzero(group.sampled & kept)
        self._add_sample(rows, group.key, np.stack([stimuli[group.row], group.position], 1), sampled)
        (banded,) = np.nonzero(group.banded & kept)
        self._counted += len(banded)
        # the hash in the high half, the corpus index in the low: see `bands`
        key = (group.key << np.uint64(32)) | stimuli[group.row].astype(np.uint64)
        while len(banded):
            chosen = banded[: len(self._waiting) - self._waits]
            to = slice(self._waits, self._waits + len(chosen))
            self._waiting[to], self._waiting_key[to] = rows[chosen], key[chosen]
            self._waiting_position[to] = group.position[chosen]
            self._waits, banded = to.stop, banded[len(chosen) :]
            if self._waits == len(self._waiting):
                self._flush_rows()

    def _flush_rows(self) -> None:
        """Bring the waiting rows into histogram and bands."""
        if not self._waits:
            return
        key, position = self._waiting_key[: self._waits], self._waiting_position[: self._waits]
        octaves = bands.octaves(self._maximum, self._minimum)
        bands.shift(self._bands, self._octaves, octaves)
        self._octaves = octaves
        for part in self._blocks(len(self._waiting)):
            values = torch.from_numpy(self._waiting[: self._waits, part]).T.contiguous().numpy()
            code = bands.codes(values)
            counts = bands.histogram(code)
            self._histogram[part] += counts.astype(np.uint32)
            bands.add(self._bands.of(part), bands.chosen(values, code, counts, key, position, octaves[:, part]))
        self._waits = 0

    def _blocks(self, width: int) -> Iterator[slice]:
        """Ranges of units, of which each has so many values."""
        size = BLOCK // width
        return (slice(low, low + size) for low in range(0, len(self._maximum), size))

    def _add_sample(
        self, rows: NDArray[Any], key: NDArray[np.uint64], where: NDArray[np.int32], chosen: NDArray[np.intp]
    ) -> None:
        """Put rows in free places of the uniform sample, or in those of larger keys."""
        if not len(chosen):
            return
        have, most = len(self._sample_key), self.limits.sample
        keys_ = np.concatenate([self._sample_key, key[chosen]])
        where_ = np.concatenate([self._sample_where, where[chosen]])
        best = np.zeros(len(keys_), bool)
        best[np.lexsort((where_[:, 1], where_[:, 0], keys_))[:most]] = True
        free = np.concatenate([np.flatnonzero(~best[:have]), np.arange(have, most)])
        new = np.flatnonzero(best[have:])
        to = free[: len(new)]
        size = max(have, int(to.max(initial=-1)) + 1)
        if size > len(self._sample):
            room = np.zeros((most, self._sample.shape[1]), np.float32)  # pages that are not written cost nothing
            room[:have] = self._sample[:have]
            self._sample = room
        for place, row in zip(to.tolist(), chosen[new].tolist(), strict=True):  # a row at a time: no copy between
            self._sample[place] = rows[row]
        source = np.arange(size)
        source[to] = have + new
        self._sample_key, self._sample_where = keys_[source], where_[source]

    def summaries(self) -> dict[str, SiteSummary]:
        """The summary of each site. Nothing may be added afterwards: they share this reduction's memory."""
        self._flush_extremes()
        self._flush_rows()
        order = np.lexsort((self._sample_where[:, 1], self._sample_where[:, 0], self._sample_key))
        bands.shift(self._bands, self._octaves, bands.octaves(self._maximum, self._minimum))
        return {
            site: SiteSummary(
                count=self._count,
                counted=self._counted,
                capacity=self.limits.sample,
                sums=self._sums[:, part],
                squares=self._squares[:, part],
                minimum=self._minimum[part],
                maximum=self._maximum[part],
                histogram=self._histogram[part],
                high_rank=self._high[0][part],
                high_position=self._high[1][part],
                low_rank=self._low[0][part],
                low_position=self._low[1][part],
                band_key=self._bands.key[part],
                band_value=self._bands.value[part],
                band_position=self._bands.position[part],
                sample_key=self._sample_key[order],
                sample_stimulus=self._sample_where[order, 0],
                sample_position=self._sample_where[order, 1],
                sample_values=self._sample[:, part][order],
            )
            for site, part in self.at.items()
        }
