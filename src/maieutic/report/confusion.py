"""A predicate against measurement on the test split: how often it was right, and where it was wrong.

Made when somebody asks, since it predicts over the whole split, and kept in the machine's cache. No score is made here: the
scores of a label are those of `maieutic.score`, with their intervals and controls; this shows what is behind them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.campaign import Run, stored_explanation
from maieutic.lab import activation_scale
from maieutic.report.records import Records
from maieutic.score.evidence import Predictions, Sample, trial
from maieutic.score.predictive import operating_point
from maieutic.store import writing
from maieutic.subjects import Unit
from maieutic.subjects.packages import cache_folder

#: rows and columns of the plot; misses and false alarms that are shown
BINS, WORST = 10, 4
_VERSION = 1
_CHARACTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A place where the predicate was wrong: what stands there, predicted and measured on the unit's scale, 0 to 1."""

    text: str
    stimulus: str
    predicted: float
    measured: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Predicted against measured at test positions.

    Attributes:
        n: positions.
        active: how many are active; ``base_rate`` in shares.
        cut: predictions at or above it count as "the label applies", chosen on the select split.
        hits, misses, false_alarms, rests: positions by whether the label applies and the unit is active.
        grid: counts ``[measured bin][predicted bin]``, both over 0 to 1 in ten steps.
        means: mean measured activation in each predicted bin, ``None`` where there is no position.
        missed, alarmed: where it was most wrong.
    """

    n: int
    active: int
    cut: float
    hits: int
    misses: int
    false_alarms: int
    rests: int
    grid: tuple[tuple[int, ...], ...]
    means: tuple[float | None, ...]
    missed: tuple[Wrong, ...]
    alarmed: tuple[Wrong, ...]

    @property
    def precision(self) -> float | None:
        """Share of the positions where the label applies at which the unit is active."""
        shown = self.hits + self.false_alarms
        return self.hits / shown if shown else None

    @property
    def recall(self) -> float | None:
        """Share of the active positions where the label applies."""
        return self.hits / self.active if self.active else None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Confusion:
        """From what `to_json` gave."""
        made: dict[str, Any] = {name: tuple(Wrong(**w) for w in data[name]) for name in ("missed", "alarmed")}
        made["grid"] = tuple(tuple(int(c) for c in row) for row in data["grid"])
        made["means"] = tuple(data["means"])
        return cls(**{**data, **made})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measured_confusion(run: Run, unit: Unit, explainer: str) -> Confusion | str:
    """Predict over the test split and compare; the reason where that cannot be done.

    Cost: one prediction of every test stimulus, seconds as a rule.
    """
    found = stored_explanation(run, "main", unit, explainer=explainer)
    if found is None or found.abstained:
        return "there is no label to predict with"
    on = trial(lambda split: run.atlas.observed(unit, split), modality=run.subject.modality, seed=run.seed)
    if isinstance(on, str):
        return on
    cache = Predictions()
    predicted, select = cache.of(found, on.test_sample), cache.of(found, on.select_sample)
    cut = operating_point(on.select, select)
    reason = next((r for r in (on.test.unusable(), predicted, cut) if isinstance(r, str)), None)
    if reason is not None or isinstance(predicted, str) or isinstance(cut, str):
        return reason or ""
    discover = [o.values for o in run.atlas.observed(unit, "discover")]
    zero, one = activation_scale(discover, modality=run.subject.modality)
    measured = np.clip((on.test.measured - zero) / max(one - zero, 1e-12), 0.0, 1.0)
    return compare(predicted, measured, on.test.active, cut, _words(run, on.test_sample))


def compare(
    predicted: NDArray[np.float64],
    measured: NDArray[np.float64],
    active: NDArray[np.bool_],
    cut: float,
    words: Any,
) -> Confusion:
    """Count predictions against measurements.

    Args:
        predicted, measured: ``[position]``, 0 to 1.
        active: which positions are active.
        cut: predictions at or above it say "active".
        words: position -> (text, stimulus id) that stand there.
    """
    applies = predicted >= cut
    columns, rows = _bins(predicted), _bins(measured)
    grid = np.zeros((BINS, BINS), dtype=np.int64)
    np.add.at(grid, (rows, columns), 1)
    means = [float(measured[columns == b].mean()) if (columns == b).any() else None for b in range(BINS)]

    def worst(wrong: NDArray[np.bool_], by: NDArray[np.float64]) -> tuple[Wrong, ...]:
        at = np.flatnonzero(wrong)
        at = at[np.argsort(-by[at], kind="stable")]
        seen: dict[str, Wrong] = {}
        for i in at.tolist():
            text, stimulus = words(i)
            if stimulus not in seen:  # one a stimulus
                seen[stimulus] = Wrong(
                    text=text, stimulus=stimulus, predicted=float(predicted[i]), measured=float(measured[i])
                )
            if len(seen) == WORST:
                break
        return tuple(seen.values())

    return Confusion(
        n=len(predicted), active=int(active.sum()), cut=cut,
        hits=int((applies & active).sum()), misses=int((~applies & active).sum()),
        false_alarms=int((applies & ~active).sum()), rests=int((~applies & ~active).sum()),
        grid=tuple(tuple(r) for r in grid.tolist()), means=tuple(means),
        missed=worst(~applies & active, measured - predicted),
        alarmed=worst(applies & ~active, predicted - measured),
    )  # fmt: skip


def _bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((values * BINS).astype(np.int64), BINS - 1)


def _words(run: Run, sample: Sample) -> Any:
    """Position -> the text around it and its stimulus; of a picture what is known to be in it."""
    starts = np.concatenate([[0], np.cumsum(sample.lengths)])

    def at(position: int) -> tuple[str, str]:
        flat = position if sample.kept is None else int(sample.kept[position])
        index = int(np.searchsorted(starts, flat, side="right")) - 1
        stimulus = sample.stimuli[index]
        if run.subject.modality == "image":
            return ", ".join(t.name for t in stimulus.things) or ", ".join(stimulus.tags) or "picture", stimulus.id
        return _around(run, str(stimulus.content), flat - int(starts[index])), stimulus.id

    return at


def _around(run: Run, text: str, position: int) -> str:
    """The text up to a token and a little after, the token between marks."""
    tokens = [t.text for t in run.subject.tokens(text)]
    if position >= len(tokens):
        return text[:_CHARACTERS]
    before, after = "".join(tokens[:position])[-_CHARACTERS:], "".join(tokens[position + 1 :])[: _CHARACTERS // 4]
    return f"{before}⟦{tokens[position]}⟧{after}"


# --- kept in the machine's cache -----------------------------------------------------------------------------------------


def kept_confusion(records: Records, key: str, predicate: Mapping[str, Any] | None) -> Confusion | None:
    """What was made before of this predicate on this run's material, or ``None``."""
    path = _file(records, key, predicate)
    try:
        return Confusion.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):  # not there, or of another version: it can be made anew
        return None


def keep_confusion(records: Records, key: str, predicate: Mapping[str, Any] | None, made: Confusion) -> None:
    """Keep one for the next time."""
    with writing(_file(records, key, predicate)) as temporary:
        temporary.write_text(json.dumps(made.to_json()), encoding="utf-8")


def _file(records: Records, key: str, predicate: Mapping[str, Any] | None) -> Path:
    row = records.harvest
    said = [_VERSION, row["subject_fingerprint"], row["corpus_fingerprint"], records.plan, key, predicate]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:32]
    return cache_folder() / "view" / "confusion" / f"{digest}.json"
