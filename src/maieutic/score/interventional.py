"""Interventional scorer: does the unit matter where the label says it is active, and more than any direction would?

About 24 test positions stand for one label: up to 12 where it applies, and where it does not, up to 6 at which the unit
is active all the same and further ones drawn at random. At each the unit is ablated, and six steps of matched length are
taken beside it, along three random and three unrelated directions (`interventional_effects`; positions take turns over
four such sets). The unit *matters* at a position when ablating it changes the outputs more than every one of the six.

``interventional``: average precision with which the label's predictions rank the positions where the unit matters.
Chance is their share (``details["base_rate"]``), which a constant gets exactly; 0 when it matters nowhere.
``interventional.ablate``: mean effect where the label applies over the mean effect of random steps there (1: no more).
``interventional.vs_random``, ``interventional.vs_unrelated``: effect of ablation less the mean effect of such steps,
where the label applies, in nats (0: no more). ``interventional.specific``: mean ablation effect where the label applies,
over that plus the mean where it does not (chance 0.5).
``interventional.steer``: the unit is raised by the matched length where the label does *not* apply; mean cosine of the
logit change with the difference that the label makes to clean logits (-1 to 1, chance 0), with
``interventional.steer_vs_random`` and ``interventional.steer_vs_unrelated`` beside it.

"Applies": the prediction is at or above the middle of its own range on test. Intervals: 95 %, whole test documents drawn
with replacement, the same resamples for every label. What it does not show: effects on later positions, and effects that
only several units together have, and positions after the first 96 words of a text. Cost: about 10 passes over the 24
stimuli (causal language models: one pass over each text up to the position, and about 10 tokens), and as much for every
null unit that stands beside it (once a run).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.explain.explanation import Explanation
from maieutic.harvest import Atlas, harvest
from maieutic.readings import Cost, Estimate, FloatArray, Reading, cluster_weights, from_sums, ranking
from maieutic.score.controls import NullUnit, beside, without_controls
from maieutic.score.evidence import Trial
from maieutic.score.interventional_effects import Effects, Scale, directions, measure, scale_of, seen_to_act
from maieutic.score.loading import one_line
from maieutic.score.predictive import trial_of
from maieutic.score.registry import Request
from maieutic.score.shared import label_key
from maieutic.subjects.base import Subject, raw

HEADLINE = "interventional"
BESIDE = ("ablate", "vs_random", "vs_unrelated", "specific", "steer", "steer_vs_random", "steer_vs_unrelated")
#: positions of an experiment: where the label applies; where it does not; of those, where the unit is active
ON, OFF, HARD = 12, 12, 6
#: fewer on either side cannot carry a score
LEAST = 3
#: words of a text before a position, at most: each step is a pass over all of them
_LONGEST = 96


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What was done for one label on one unit.

    Attributes:
        rows: tested positions, as indices into the test sample, ``[position]``.
        on: where the label applies, ``[position]``.
        clusters: cluster of each, ``[position]``; groups: names of all clusters of the test split.
        lengths: words of each text (images: 1), ``[position]``.
        effects: what came of it.
        seen: the unit's reading at one position without and with ablation: the intervention was seen to act.
        trial, scale: what it stands on.
    """

    rows: NDArray[np.int64]
    on: NDArray[np.bool_]
    clusters: NDArray[np.int64]
    groups: tuple[str, ...]
    lengths: NDArray[np.int64]
    effects: Effects
    seen: tuple[float, float]
    trial: Trial
    scale: Scale

    @property
    def matters(self) -> NDArray[np.bool_]:
        """Where ablating the unit changed more than every step beside it."""
        others = np.concatenate([self.effects.random, self.effects.unrelated], axis=1)
        return self.effects.own > others.max(axis=1)


def interventional_scorer(request: Request) -> dict[str, Reading]:
    """Headline, columns beside it, every control and every paired difference."""
    started = time.perf_counter()
    done = experiment(request)
    names = [HEADLINE, *(f"{HEADLINE}.{m}" for m in BESIDE)]
    if isinstance(done, str):
        return {name: Reading.unmeasured(name, done) for name in names} | without_controls(HEADLINE, done)
    own = _headline(request, request.found, done)
    details = _details(done, seed=request.seed)
    n = len(done.rows)
    if isinstance(own, str):
        return {name: Reading.unmeasured(name, own) for name in names} | without_controls(HEADLINE, own)
    found = {HEADLINE: replace(own.reading(HEADLINE, n=n, details=details), cost=_cost(request, done, started))}
    found |= _beside_headline(done, seed=request.seed, details=details)
    return found | beside(HEADLINE, own, partial(_judged, request, done), request.controls, n=n, details=details)


def _judged(request: Request, done: Experiment, found: Explanation, null: NullUnit | None = None, /) -> Estimate | str:
    """Another label on the same positions and effects, or a null unit's own label on its own."""
    if null is None:
        return _headline(request, found, done)
    if null.subject is None or null.unit is None or null.found is None:
        return "the null unit came as evidence only: give its label, subject, unit and atlas too"
    own = replace(request, found=found, subject=null.subject, unit=null.unit, atlas=null.atlas)
    other = experiment(own)
    return other if isinstance(other, str) else _headline(own, found, other)


def experiment(request: Request) -> Experiment | str:
    """The experiment of the request's label on its unit, made once a run; or why it cannot be made."""
    key = (
        "interventional", label_key(request.found), request.found.abstained, id(request.subject), request.unit.key,
        id(request.corpus), request.seed,
    )  # fmt: skip
    holding = (request.found, request.subject, request.corpus)
    return request.shared.once(key, partial(_experiment, request), holding=holding)


def _experiment(request: Request) -> Experiment | str:
    if request.found.abstained:
        return f"abstained: {request.found.reason}"
    try:
        atlas = _harvested(request)
        on = trial_of(replace(request, atlas=atlas))
        if isinstance(on, str):
            return on
        return _tested(request, atlas, on)
    except UserError as error:
        return one_line(error)
    except Exception as error:  # subjects may be anyone's: what one raises is the reason, not a crash
        return f"the subject failed: {one_line(error)}"


def _harvested(request: Request) -> Atlas:
    """The request's atlas, or a harvest of the unit's site now."""
    if request.atlas is not None and request.unit.site in request.atlas.sites:
        return request.atlas
    return request.shared.once(
        ("interventional harvest", id(request.subject), request.unit.site, id(request.corpus)),
        lambda: harvest(request.subject, request.corpus, [request.unit.site], keep=[request.unit]),
        holding=(request.subject, request.corpus),
    )


def _tested(request: Request, atlas: Atlas, trial: Trial) -> Experiment | str:
    reason = trial.test.unusable()
    predicted = reason or request.shared.predictions.of(request.found, trial.test_sample)
    if isinstance(predicted, str):
        return predicted
    if np.ptp(predicted) == 0:
        return "the label predicts the same everywhere on the test split: there is nothing to compare"
    applies = predicted >= (predicted.min() + predicted.max()) / 2
    stimuli = _Stimuli(request.subject, trial)
    rows = choose(applies, trial.test.active, trial.test.clusters, stimuli.fits, seed=request.seed)
    on = applies[rows]
    if min(int(on.sum()), int((~on).sum())) < LEAST:
        return (
            f"the label applies at {int(applies.sum())} and not at {int((~applies).sum())} test positions that can be "
            f"tested: at least {LEAST} of each are needed"
        )
    values = np.concatenate([o.values for o in atlas.observed(request.unit, "discover")]).astype(np.float64)
    scale = scale_of(request.subject, request.unit, atlas, trial.test.threshold.active(values))
    if isinstance(scale, str):
        return scale
    shown, text = [stimuli.cut(int(row)) for row in rows], request.subject.modality == "text"
    seen = seen_to_act(request.subject, request.unit, shown[int(np.argmax(on))], scale)
    others = directions(request.unit, atlas, seed=request.seed)
    if isinstance(others, str):
        return others
    lengths = [len(request.subject.tokens(s)) if text else 1 for s in shown]
    return Experiment(
        rows=rows, on=on, clusters=trial.test.clusters[rows], groups=trial.test.groups, lengths=np.array(lengths),
        effects=measure(request.subject, request.unit, shown, on, scale, others), seen=seen, trial=trial, scale=scale,
    )  # fmt: skip


# --- positions -----------------------------------------------------------------------------------------------------


class _Stimuli:
    """What to show for a test position: the image, or the text up to its end."""

    def __init__(self, subject: Subject, trial: Trial) -> None:
        self._subject = subject
        self._sample = trial.test_sample
        self._starts = np.concatenate([[0], np.cumsum(self._sample.lengths)])

    def _place(self, row: int) -> tuple[Any, int]:
        flat = row if self._sample.kept is None else int(self._sample.kept[row])
        at = int(np.searchsorted(self._starts, flat, side="right")) - 1
        return self._sample.stimuli[at], flat - int(self._starts[at])

    def cut(self, row: int) -> Any:
        """The stimulus whose last position is the row's."""
        stimulus, position = self._place(row)
        if self._subject.modality == "image":
            return stimulus
        text = str(raw(stimulus))
        return text[: self._subject.tokens(text)[position].end]

    def fits(self, row: int) -> bool:
        """Whether the text up to the position has the same tokens as the whole text there, and is not too long."""
        if self._subject.modality == "image":
            return True
        stimulus, position = self._place(row)
        if position >= _LONGEST:
            return False
        return self._subject.tokens(self.cut(row)) == self._subject.tokens(str(raw(stimulus)))[: position + 1]


def choose(
    applies: NDArray[np.bool_],
    active: NDArray[np.bool_],
    clusters: NDArray[np.int64],
    fits: Any,
    *,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Test positions of an experiment, ascending: up to 12 where the label applies and 12 where it does not.

    Args:
        applies: where the label applies, ``[position]``.
        active: where the unit is active; up to 6 positions of the second kind are such.
        clusters: cluster of each; positions of clusters not used yet come first.
        fits: whether a position can be tested.
        seed: of the draw.
    """
    order = np.random.default_rng([seed, 29]).permutation(len(applies))
    used: set[int] = set()

    def some(among: NDArray[np.bool_], most: int) -> list[int]:
        candidates = [int(i) for i in order if among[i]][: 20 * most + 20]
        chosen: list[int] = []
        for fresh in (True, False):  # one of a document before a second of any
            for i in candidates:
                if len(chosen) == most:
                    return chosen
                if i not in chosen and (int(clusters[i]) not in used) == fresh and fits(i):
                    chosen.append(i)
                    used.add(int(clusters[i]))
        return chosen

    on = some(applies, ON)
    hard = some(~applies & active, HARD)
    left = ~applies
    left[hard] = False
    rest = some(left, OFF - len(hard))
    return np.array(sorted([*on, *hard, *rest]), dtype=np.int64)


# --- arithmetic ----------------------------------------------------------------------------------------------------


def _headline(request: Request, found: Explanation, done: Experiment) -> Estimate | str:
    """AP of a label's predictions for the positions where the unit matters; 0 when it matters nowhere."""
    if found.abstained:
        predicted: FloatArray | str = np.zeros(len(done.trial.test.measured))
    else:
        predicted = request.shared.predictions.of(found, done.trial.test_sample)
    if isinstance(predicted, str):
        return predicted
    weights = cluster_weights(len(done.groups), seed=request.seed)
    if not done.matters.any():
        return Estimate(value=0.0, replicates=np.zeros(len(weights)))
    return ranking(done.matters, predicted[done.rows], clusters=done.clusters, weights=weights).average_precision


def _beside_headline(done: Experiment, *, seed: int, details: dict[str, Any]) -> dict[str, Reading]:
    """The columns beside the headline."""
    effects, on = done.effects, done.on.astype(np.float64)
    off = 1.0 - on
    random, unrelated = effects.random.mean(axis=1), effects.unrelated.mean(axis=1)

    def mean(values: FloatArray, where: FloatArray) -> Estimate:
        return _ratio(values * where, where, done, seed)

    def spread(values: FloatArray) -> FloatArray:
        """Values of the positions where the label does not apply, at their places among all."""
        full = np.zeros(len(on))
        full[~done.on] = values
        return full

    steered, by_random = spread(effects.steered), spread(effects.steered_random.mean(axis=1))
    by_unrelated = spread(effects.steered_unrelated.mean(axis=1))
    estimates = {
        "ablate": _ratio(effects.own * on, random * on, done, seed),
        "vs_random": mean(effects.own - random, on),
        "vs_unrelated": mean(effects.own - unrelated, on),
        "specific": _specific(done, seed),
        "steer": mean(steered, off),
        "steer_vs_random": mean(steered - by_random, off),
        "steer_vs_unrelated": mean(steered - by_unrelated, off),
    }
    assert tuple(estimates) == BESIDE
    n = {name: int(done.on.sum()) if name in ("ablate", "vs_random", "vs_unrelated") else len(on) for name in BESIDE}
    n |= {name: int((~done.on).sum()) for name in BESIDE if name.startswith("steer")}
    return {
        f"{HEADLINE}.{name}": e.reading(
            f"{HEADLINE}.{name}", n=n[name], undefined="no step changed the outputs", details=details
        )
        for name, e in estimates.items()
    }


def _ratio(above: FloatArray, below: FloatArray, done: Experiment, seed: int) -> Estimate:
    """Sum over sum, with whole documents resampled."""
    weights = cluster_weights(len(done.groups), seed=seed)
    columns = np.stack([above, below], axis=1)
    return from_sums(columns, lambda s: s[..., 0] / s[..., 1], clusters=done.clusters, weights=weights)


def _specific(done: Experiment, seed: int) -> Estimate:
    """Mean effect where the label applies, over that plus the mean effect where it does not."""
    on = done.on.astype(np.float64)
    columns = np.stack([done.effects.own * on, on, done.effects.own * (1 - on), 1 - on], axis=1)

    def share(s: FloatArray) -> FloatArray:
        here, there = s[..., 0] / s[..., 1], s[..., 2] / s[..., 3]
        return here / (here + there)

    weights = cluster_weights(len(done.groups), seed=seed)
    return from_sums(columns, share, clusters=done.clusters, weights=weights)


def _details(done: Experiment, *, seed: int) -> dict[str, Any]:
    return {
        "split": "test", "positions": len(done.rows), "on": int(done.on.sum()), "matters": int(done.matters.sum()),
        "base_rate": float(done.matters.mean()), "clusters": len(set(done.clusters.tolist())),
        "mean": done.scale.mean, "delta": done.scale.delta, "random": done.effects.random.shape[1],
        "unrelated": done.effects.unrelated.shape[1],
        "seen": {"before": done.seen[0], "after": done.seen[1]}, "seed": seed,
    }  # fmt: skip


def _cost(request: Request, done: Experiment, started: float) -> Cost:
    """Stimuli shown, by the passes that ``measure`` makes."""
    everywhere = 2 + done.effects.random.shape[1] + done.effects.unrelated.shape[1]
    passes = np.where(done.on, everywhere, everywhere + 1 + done.effects.unrelated.shape[1])
    text = request.subject.modality == "text"
    return Cost(
        measurements=int(passes.sum()), tokens=int(passes @ done.lengths) if text else 0,
        images=0 if text else int(passes.sum()), seconds=time.perf_counter() - started,
    )  # fmt: skip
