"""The nearest neighbours of a unit: the units of its site that fire in the same places, and their values on test.

Nearness is the correlation of activation over the harvest's uniform sample of discover positions, which holds every unit
of the site; no label is looked at. Both tails of a text neuron count, the nearer one; of an image unit the upper tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maieutic.harvest import Atlas, harvest
from maieutic.score.evidence import QUANTILES, Evidence, Sample, Threshold, threshold
from maieutic.score.loading import loadable
from maieutic.score.shared import Shared
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.subjects.base import Modality, Subject, Unit, Values

#: neighbours a unit is told from, and how few there may be
NEIGHBOURS, LEAST_NEIGHBOURS = 10, 2
#: test stimuli and positions that are read, at most
STIMULI, POSITIONS = 400, 20_000
#: discover stimuli of a harvest made for this alone
_PILOT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A unit near another; ``r``: correlation of their activations on discover, -1 to 1."""

    unit: Unit
    r: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Field:
    """What all units of a site are compared by: their values in the harvest's sample, and how far they reach.

    Attributes:
        centred: values less their means ``[position, unit]``.
        spread: standard deviations ``[unit]``; ``live``: which units ever change.
        upper, lower: how far each reaches above and below its median.
    """

    centred: NDArray[np.float64]
    spread: NDArray[np.float64]
    live: NDArray[np.bool_]
    upper: NDArray[np.float64]
    lower: NDArray[np.float64]

    @classmethod
    def of(cls, atlas: Atlas, site: str) -> Field:
        """The field of a harvested site. Cost: 8 bytes and some hundred nanoseconds a unit and position."""
        rows = atlas.sites[site].sample_values.astype(np.float64)
        spread = rows.std(axis=0)
        middle = np.median(rows, axis=0)
        return cls(
            centred=rows - rows.mean(axis=0), spread=spread,
            live=spread > 1e-9 * max(float(spread.max(initial=0.0)), 1e-300),
            upper=rows.max(axis=0) - middle, lower=middle - rows.min(axis=0),
        )  # fmt: skip


def nearest(
    atlas: Atlas, unit: Unit, *, n: int = NEIGHBOURS, field: Field | None = None
) -> tuple[Neighbour, ...] | str:
    """The nearest units of the site, nearest first, or why they cannot be told.

    Each unit counts by one tail, the nearer of those that reach at least half as far from the median as the other:
    where a unit only ever rests or fires, "does not fire" is no unit. Units that never change are no neighbours.
    Whoever asks for many units of a site gives its ``field``.
    """
    own = atlas.sample(unit).astype(np.float64)
    if len(own) < 2 or np.ptp(own) == 0:
        return "the unit never changes in the sample of discover positions by which neighbours are found"
    own = (own - own.mean()) / own.std()
    f = field or Field.of(atlas, unit.site)
    r = np.where(f.live, own @ f.centred / (len(own) * np.where(f.live, f.spread, 1.0)), 0.0)
    tails = np.stack([np.where(f.upper >= 0.5 * f.lower, r, -np.inf), np.where(f.lower >= 0.5 * f.upper, -r, -np.inf)])
    near = tails.max(axis=0)
    order = [int(i) for i in np.argsort(-near, kind="stable") if f.live[i] and i != unit.index][:n]
    return tuple(
        Neighbour(unit=Unit(site=unit.site, index=i, sign=1 if tails[0, i] >= tails[1, i] else -1), r=float(near[i]))
        for i in order
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Company:
    """A unit and its neighbours at the same test positions.

    Attributes:
        sample: the positions.
        evidence: measured values and who is active: the unit first, then its neighbours.
        neighbours: those that can be scored.
    """

    sample: Sample
    evidence: tuple[Evidence, ...]
    neighbours: tuple[Neighbour, ...]


def company(
    subject: Subject, unit: Unit, atlas: Atlas | None, corpus: Corpus, shared: Shared, *, seed: int
) -> Company | str:
    """The unit among its neighbours, or why they cannot be compared.

    Cost: one pass over at most 400 test stimuli for all units that are scored together, whatever their number.
    """
    try:
        atlas = atlas or shared.once(
            ("pilot", id(subject), unit.site, id(corpus)), lambda: _pilot(subject, unit.site, corpus),
            holding=(subject, corpus),
        )  # fmt: skip
    except ValueError as error:
        return str(error)
    near = nearest(atlas, unit)
    if isinstance(near, str):
        return near
    if len(near) < LEAST_NEIGHBOURS:
        return f"the site has {len(near)} other units that ever change: at least {LEAST_NEIGHBOURS} are needed"
    stimuli = _shown(corpus, subject, shared, seed)
    if not stimuli:
        return "the test split is empty"
    everyone = shared.once(
        (
            "everyone",
            id(subject),
            id(atlas),
            unit.site,
            unit.key in {u.key for u in shared.company(subject)} or unit.key,
        ),
        lambda: _everyone(shared, subject, atlas, unit),
        holding=(subject, atlas),
    )
    columns = {u.key: shared.values(subject, u, stimuli, besides=everyone) for u in (unit, *(k.unit for k in near))}
    sample = _sample(stimuli, columns[unit.key])
    own = _evidence(atlas, unit, sample, columns[unit.key], subject.modality)
    reason = own if isinstance(own, str) else own.unusable()
    if isinstance(own, str) or reason is not None:
        return reason or ""
    found = [(k, _evidence(atlas, k.unit, sample, columns[k.unit.key], subject.modality)) for k in near]
    kept = [(k, e) for k, e in found if isinstance(e, Evidence) and e.unusable() is None]
    if len(kept) < LEAST_NEIGHBOURS:
        return f"{len(kept)} of {len(near)} neighbours are active often enough: at least {LEAST_NEIGHBOURS} are needed"
    return Company(sample=sample, evidence=(own, *(e for _, e in kept)), neighbours=tuple(k for k, _ in kept))


def _everyone(shared: Shared, subject: Subject, atlas: Atlas, unit: Unit) -> list[Unit]:
    """Every unit that will be scored at this site, with its neighbours: read in one pass."""
    found: dict[str, Unit] = {}
    for one in (unit, *shared.company(subject)):
        if one.site == unit.site:
            near = nearest(atlas, one)
            found |= {u.key: u for u in (one, *(() if isinstance(near, str) else (k.unit for k in near)))}
    return list(found.values())


def _pilot(subject: Subject, site: str, corpus: Corpus) -> Atlas:
    """A small harvest of the site, for scoring without one."""
    some = sorted(corpus.split("discover"), key=lambda s: s.id)[: 2 * _PILOT]
    kept, _ = loadable(some)
    name = f"{corpus.name} (neighbours)"
    return harvest(subject, replace(corpus, name=name, stimuli=kept[:_PILOT]), [site], keep=())


def _shown(corpus: Corpus, subject: Subject, shared: Shared, seed: int) -> list[Stimulus]:
    """A seeded sample of test stimuli in corpus order."""

    def chosen() -> list[Stimulus]:
        every = corpus.split("test")
        order = np.random.default_rng(seed).permutation(len(every))[:STIMULI]
        kept, _ = loadable([every[int(i)] for i in order])
        if subject.modality == "image":
            return sorted(kept, key=lambda s: s.id)
        total, some = 0, list[Stimulus]()
        for stimulus in kept:
            total += len(subject.tokens(str(stimulus.content))) if _by_token(subject) else 1
            if total > POSITIONS and some:
                break
            some.append(stimulus)
        return sorted(some, key=lambda s: s.id)

    return shared.once(("shown", id(corpus), subject.name, seed), chosen, holding=corpus)


def _by_token(subject: Subject) -> bool:
    return any(s.positions == "token" for s in subject.sites())


def _sample(stimuli: Sequence[Stimulus], rows: Sequence[Values]) -> Sample:
    lengths = tuple(len(r) for r in rows)
    names = [s.group or s.id for s in stimuli]
    groups = tuple(sorted(set(names)))
    number = {g: i for i, g in enumerate(groups)}
    clusters = np.repeat([number[n] for n in names], lengths).astype(np.int64)
    return Sample(stimuli=tuple(stimuli), lengths=lengths, groups=groups, clusters=clusters, kept=None)


def _evidence(atlas: Atlas, unit: Unit, sample: Sample, rows: Sequence[Values], modality: Modality) -> Evidence | str:
    limit: Threshold | str = threshold(atlas.sample(unit).astype(np.float64), quantile=QUANTILES[modality])
    return limit if isinstance(limit, str) else Evidence.of(sample, rows, limit)
