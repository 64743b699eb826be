"""What a score stands on: measured values of one unit over a split, the clusters they fall in, and who is "active".

The "active" threshold comes from the discover split, operating points from select, and every score from test. Nothing
here knows of metrics.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.explanation import Explanation
from maieutic.harvest.atlas import Observed
from maieutic.readings import FloatArray
from maieutic.score.recent import Recent
from maieutic.stimuli.base import Split

#: share of discover positions below the "active" threshold
QUANTILES = {"text": 0.99, "image": 0.95}
#: a larger split is scored on a seeded uniform subsample of this many positions
MAX_POSITIONS = 50_000
#: fewer active test positions than this cannot carry a score
MIN_ACTIVE = 5
MIN_ACTIVE_CLUSTERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """When a unit counts as active.

    Attributes:
        value: raw model units.
        inclusive: active is ``>= value`` (a unit whose values pile up at the quantile) or ``> value``.
        quantile: the discover quantile it stands for, 0 to 1.
    """

    value: float
    inclusive: bool
    quantile: float

    def active(self, measured: FloatArray) -> NDArray[np.bool_]:
        return measured >= self.value if self.inclusive else measured > self.value


def threshold(discover: FloatArray, *, quantile: float) -> Threshold | str:
    """The threshold of a unit from its discover values, or the reason why there is none.

    Active is ``> q`` as a rule. When ties leave less than half of the wanted share above ``q``, it is ``>= q``, if
    that comes nearer to the wanted share and ``q`` is not the lowest value: so a unit of two values works, and one
    that rests at ``q`` is not "active" everywhere.
    """
    if not len(discover):
        return "the discover split is empty"
    if not np.isfinite(discover).all():
        return "the unit gave values that are not finite"
    if discover.min() == discover.max():
        return "the unit never changes"
    q = float(np.quantile(discover, quantile, method="higher"))
    wanted, above, at = 1 - quantile, float((discover > q).mean()), float((discover >= q).mean())
    nearer = above == 0 or abs(np.log(at / wanted)) < abs(np.log(above / wanted))
    inclusive = bool(above < wanted / 2 and nearer and q > discover.min())
    return Threshold(value=q, inclusive=inclusive, quantile=quantile)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The positions of one split that are scored, without values: the same for every unit of a site.

    Attributes:
        stimuli: in corpus order.
        lengths: positions of each.
        groups: names of the clusters (document, image group), sorted.
        clusters: cluster of each kept position, ``[position]``.
        kept: which flat positions are kept, ascending; ``None`` for all of them.
    """

    stimuli: tuple[Any, ...]
    lengths: tuple[int, ...]
    groups: tuple[str, ...]
    clusters: NDArray[np.int64]
    kept: NDArray[np.int64] | None

    @classmethod
    def of(cls, observed: Sequence[Observed], *, seed: int = 0, limit: int = MAX_POSITIONS) -> Sample:
        """All positions, or a uniform subsample of ``limit`` of them drawn with ``seed``."""
        lengths = tuple(len(o.values) for o in observed)
        groups = tuple(sorted({o.stimulus.group or o.stimulus.id for o in observed}))
        number = {g: i for i, g in enumerate(groups)}
        clusters = np.repeat([number[o.stimulus.group or o.stimulus.id] for o in observed], lengths).astype(np.int64)
        kept = None
        if len(clusters) > limit:
            kept = np.sort(np.random.default_rng(seed).choice(len(clusters), size=limit, replace=False))
            clusters = clusters[kept]
        return cls(
            stimuli=tuple(o.stimulus for o in observed), lengths=lengths, groups=groups, clusters=clusters, kept=kept
        )

    def flat(self, rows: Sequence[Any]) -> FloatArray:
        """One array per stimulus (or one number, for images) as one value per kept position."""
        if isinstance(rows, np.ndarray) and rows.ndim == 1:
            values = rows.astype(np.float64)
        else:
            whole = [r if isinstance(r, np.ndarray) and r.ndim == 1 else np.atleast_1d(np.asarray(r)) for r in rows]
            values = np.concatenate([np.zeros(0), *whole])
        return values if self.kept is None else values[self.kept]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Measured values of one unit at scored positions.

    Attributes:
        measured: raw model units, ``[position]``.
        clusters: cluster of each position, ``[position]``, indices into ``groups``.
        groups: names of the clusters.
        threshold: when the unit counts as active.
    """

    measured: FloatArray
    clusters: NDArray[np.int64]
    groups: tuple[str, ...]
    threshold: Threshold
    active: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        assert len(self.measured) == len(self.clusters), "one cluster per position"
        object.__setattr__(self, "active", self.threshold.active(self.measured))

    @classmethod
    def of(cls, sample: Sample, rows: Sequence[Any], threshold: Threshold) -> Evidence:
        return cls(measured=sample.flat(rows), clusters=sample.clusters, groups=sample.groups, threshold=threshold)

    @property
    def base_rate(self) -> float:
        """Share of active positions: the average precision of a constant."""
        return float(self.active.mean()) if len(self.active) else 0.0

    def unusable(self) -> str | None:
        """Why no score can stand on this, or ``None``."""
        active, clusters = int(self.active.sum()), len(np.unique(self.clusters[self.active]))
        if not np.isfinite(self.measured).all():
            return "the unit gave values that are not finite"
        if active < MIN_ACTIVE:
            return f"active at {active} of {len(self.active)} test positions: at least {MIN_ACTIVE} are needed"
        if clusters < MIN_ACTIVE_CLUSTERS:
            return f"active in {clusters} test group only: at least {MIN_ACTIVE_CLUSTERS} are needed"
        if active == len(self.active):
            return "active at every test position"
        return None

    def details(self) -> dict[str, Any]:
        """What belongs beside every reading on this evidence."""
        return {
            "split": "test",
            "clusters": len(self.groups),
            "active": int(self.active.sum()),
            "base_rate": self.base_rate,
            "threshold": self.threshold.value,
            "inclusive": self.threshold.inclusive,
            "quantile": self.threshold.quantile,
        }


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A unit's evidence on the two splits a scorer reads."""

    test: Evidence
    test_sample: Sample
    select: Evidence
    select_sample: Sample


def trial(
    observe: Callable[[Split], Sequence[Observed]], *, modality: Literal["text", "image"], seed: int = 0
) -> Trial | str:
    """Gather a unit's evidence, or the reason why it cannot be scored.

    Args:
        observe: the unit's measured values over a split.
        modality: decides the quantile of "active".
        seed: of the subsample of very large splits.
    """
    discover = [o.values for o in observe("discover")]
    values = np.concatenate(discover).astype(np.float64) if discover else np.zeros(0)
    limit = threshold(values, quantile=QUANTILES[modality])
    if isinstance(limit, str):
        return limit
    parts: list[tuple[Sample, Evidence]] = []
    for split in ("test", "select"):
        observed = observe(split)
        sample = _sample(observed, seed)
        parts.append((sample, Evidence.of(sample, [o.values for o in observed], limit)))
    (test_sample, test), (select_sample, select) = parts
    return Trial(test=test, test_sample=test_sample, select=select, select_sample=select_sample)


_samples: Recent[Sample] = Recent(12)


def _sample(observed: Sequence[Observed], seed: int) -> Sample:
    """The sample of these stimuli, the same object for every unit; those of the last few splits are kept."""
    key = (tuple(id(o.stimulus) for o in observed), tuple(len(o.values) for o in observed), seed)
    return _samples.once(key, lambda: Sample.of(observed, seed=seed), holding=[o.stimulus for o in observed])


class Predictions:
    """Predictions of explanations at scored positions, computed once however many units are compared with them.

    Args:
        limit: bytes of arrays kept (8 a position); those used longest ago go first, and are made again when needed.
    """

    def __init__(self, *, limit: int = 256 << 20) -> None:
        self._limit, self._bytes = limit, 0
        # viewer and sample are kept so that their ids stay their own
        self._kept: OrderedDict[tuple[str, int, int], tuple[Any, Sample, FloatArray | str]] = OrderedDict()

    def of(self, found: Explanation, sample: Sample) -> FloatArray | str:
        """Predicted activation ``[position]``, or the reason why there is no prediction. Not to be written to."""
        key = (json.dumps(found.predicate.to_json(), sort_keys=True), id(found.viewer), id(sample))
        if key not in self._kept:
            made = predictions(found, sample)
            self._kept[key] = (found.viewer, sample, made)
            self._bytes += _size(made)
            while self._bytes > self._limit and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1][2])
        self._kept.move_to_end(key)
        return self._kept[key][2]


def _size(made: FloatArray | str) -> int:
    return made.nbytes if isinstance(made, np.ndarray) else len(made)


def predictions(found: Explanation, sample: Sample) -> FloatArray | str:
    """What the explanation predicts at the scored positions, or why it predicts nothing there.

    An explanation that raises or gives no number is a failed measurement with its reason, not a low score.
    """
    try:
        rows = found.predict(sample.stimuli)
        lengths = tuple([r.size if isinstance(r, np.ndarray) else np.asarray(r).size for r in rows])
    except Exception as error:  # predicates may come from plug-ins and models: whatever they raise is recorded
        return f"the prediction failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if lengths != sample.lengths:
        return f"predicted {sum(lengths)} positions where {sum(sample.lengths)} were measured"
    values = sample.flat(rows)
    return values if np.isfinite(values).all() else "the prediction is not a number at some position"
