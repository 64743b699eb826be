"""Directions of a subject made from a corpus: components, differences of means, probes, and random ones beside them.

Only the discover split is looked at to find them; how well a direction tells two sides apart is measured on the select
split, which never touches what scorers read. Positions stand for their stimulus: a text's tokens all have its tags.

What this module does not do: the arithmetic (`subjects.lenses.fitting`), or saying what a direction means, which is for
explainers, as for any unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError, UserError, did_you_mean
from maieutic.progress import Report, silent
from maieutic.readings import Reading, cluster_weights, ranking
from maieutic.stimuli import Corpus, Stimulus
from maieutic.stimuli.base import Split
from maieutic.subjects import Subject, plan_batches

if TYPE_CHECKING:
    import torch

    from maieutic.subjects.lenses.directions import DirectionSet

Kind = Literal["pca", "diff", "probe", "random"]
KINDS: dict[str, str] = {
    "pca": "principal components",
    "diff": "difference of means",
    "probe": "logistic probe",
    "random": "random directions, z-scored",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionPlan:
    """What to make.

    Attributes:
        kind: see `KINDS`. name: of the set; the kind otherwise.
        positive: tag of the side that a difference or probe points to. negative: of the other; all others otherwise.
        count: components, or random directions. controls: random directions made beside, as a set ``NAME-random``.
        stimuli: most of them to look at. positions: most of each (texts).
        seed: of what is drawn.
    """

    kind: Kind
    name: str = ""
    positive: str = ""
    negative: str = ""
    count: int = 8
    controls: int = 8
    stimuli: int = 2000
    positions: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no kind is called {self.kind!r}{did_you_mean(self.kind, KINDS)}: {', '.join(KINDS)}")
        if (self.kind in ("diff", "probe")) != bool(self.positive):
            need = "needs the tag that it points to" if not self.positive else "has no sides"
            raise UsageError(f"{self.kind} {need}: {'give' if not self.positive else 'leave out'}  --positive TAG")
        if min(self.count, self.stimuli, self.positions) < 1 or self.controls < 0:
            raise UsageError("count, stimuli and positions are at least 1, controls at least 0: change them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Activations: ``rows`` ``[row, hidden]`` float32, and the stimulus of each row (an index into ``stimuli``)."""

    rows: NDArray[np.float32]
    owner: NDArray[np.int64]
    stimuli: tuple[Stimulus, ...]


def make_directions(
    subject: Subject, corpus: Corpus, site: str, plan: DirectionPlan, *, report: Report = silent
) -> tuple[tuple[DirectionSet, ...], Reading | None]:
    """Directions at a site, found on discover, and for two sides the AUROC of telling select's stimuli apart.

    Args:
        subject: a network. site: one without a lens.
        corpus: what it is shown.
        plan: what to make.
        report: called with progress.

    Returns:
        The set and its controls; the AUROC per stimulus (mean reading) with an interval over groups, ``None`` where
        there are no sides.

    Raises:
        UserError: too few stimuli, an unknown tag, or a site through a lens.
    """
    from maieutic.subjects.lenses import fitting
    from maieutic.subjects.lenses.directions import DirectionSet

    if subject.site(site).lens is not None:
        raise UsageError(f"{site} is seen through a lens: make directions at the site below it")
    sample = sample_rows(subject, corpus, site, plan, "discover", report=report)
    names, shares = (plan.positive,), []
    if plan.kind == "pca":
        fit, found = fitting.principal(sample.rows, plan.count)
        shares, names = [round(float(s), 4) for s in found], tuple(f"component {i + 1}" for i in range(plan.count))
    elif plan.kind == "random":
        fit = fitting.random(sample.rows, plan.count, seed=plan.seed)
        names = tuple(f"random {i + 1}" for i in range(plan.count))
    else:
        labels = _sides(sample, plan)
        fit = (fitting.difference if plan.kind == "diff" else fitting.probe)(sample.rows, labels)
    made: dict[str, Any] = {
        "what": KINDS[plan.kind], "subject": subject.name, "weights": getattr(subject, "weights", subject.fingerprint),
        "corpus": corpus.name, "corpus_fingerprint": corpus.fingerprint, "split": "discover",
        "stimuli": len(sample.stimuli), "rows": len(sample.rows), "seed": plan.seed,
    }  # fmt: skip
    if shares:
        made["variance"] = shares
    reading = None
    if plan.positive:
        made |= {"positive": plan.positive, "negative": plan.negative or "all others"}
        held = sample_rows(subject, corpus, site, plan, "select", report=report)
        reading = _separation(held, _sides(held, plan), held.rows @ fit.vectors[0] + fit.offsets[0], plan.seed)
        made["auroc"] = {"value": reading.value, "low": reading.low, "high": reading.high, "n": reading.n}
    name = plan.name or plan.kind
    sets = [DirectionSet(site=site, name=name, vectors=fit.vectors, offsets=fit.offsets, names=names, made=made)]
    if plan.controls and plan.kind != "random":
        null = fitting.random(sample.rows, plan.controls, seed=plan.seed)
        told = {**{k: made[k] for k in ("subject", "weights", "corpus", "seed")}, "what": KINDS["random"]}
        labels_of = tuple(f"random {i + 1}" for i in range(plan.controls))
        sets.append(
            DirectionSet(
                site=site, name=f"{name}-random", vectors=null.vectors, offsets=null.offsets, names=labels_of, made=told
            )
        )
    return tuple(sets), reading


def sample_rows(
    subject: Subject, corpus: Corpus, site: str, plan: DirectionPlan, split: Split, *, report: Report = silent
) -> Sampled:
    """What stands at a site at drawn positions of drawn stimuli of one split. Cost: a pass over those stimuli.

    Raises:
        UserError: no stimuli, or an unknown tag.
    """
    chosen = _drawn(corpus, plan, split)
    contents = [s.content for s in chosen]
    lengths = [1] * len(contents) if subject.modality == "image" else [len(subject.tokens(c)) for c in contents]
    parts: dict[int, NDArray[np.float32]] = {}

    def taker(batch: Sequence[int]) -> Callable[[str, torch.Tensor, Sequence[int], Sequence[int]], None]:
        def take(_site: str, values: torch.Tensor, places: Sequence[int], real: Sequence[int]) -> None:
            for row, (place, n) in enumerate(zip(places, real, strict=True)):
                i = batch[place]
                drawn = np.random.default_rng([plan.seed, 3, i]).permutation(n)[: plan.positions]
                # a copy: later layers may write into what stands there
                parts[i] = values[row, np.sort(drawn).tolist()].float().cpu().numpy().copy()

        return take

    done = 0
    with report("activations", f"{site}, {split}") as tell:
        for batch in plan_batches(lengths, subject.per_pass):
            subject.stream([contents[i] for i in batch], [site], taker(batch))
            done += len(batch)
            tell(done, len(contents))
    kept = sorted(i for i, part in parts.items() if len(part))
    if not kept:
        raise UserError(f"the {split} split of {corpus.name} has nothing to read: give a larger corpus")
    rows = np.concatenate([parts[i] for i in kept])
    if not np.isfinite(rows).all():
        raise UserError(f"{subject.name} gives values at {site} that are not finite: choose another site")
    owner = np.repeat(np.array(kept, np.int64), [len(parts[i]) for i in kept])
    return Sampled(rows=rows, owner=owner, stimuli=tuple(chosen))


def _drawn(corpus: Corpus, plan: DirectionPlan, split: Split) -> list[Stimulus]:
    """Stimuli by a seeded draw: of both sides alike where there are sides."""
    there = sorted(corpus.split(split), key=lambda s: s.id)
    rng = np.random.default_rng([plan.seed, 7])
    if not plan.positive:
        return [there[int(i)] for i in rng.permutation(len(there))[: plan.stimuli]]
    tags = sorted({t for s in there for t in s.tags})
    for tag in (plan.positive, plan.negative):
        if tag and tag not in tags:
            near = did_you_mean(tag, tags) or f" (there are {len(tags)}: {', '.join(tags[:8])}{' …' * (len(tags) > 8)})"
            raise UserError(
                f"no stimulus of the {split} split of {corpus.name} has the tag {tag!r}{near}: name another"
            )
    one = [s for s in there if plan.positive in s.tags]
    other = [s for s in there if plan.positive not in s.tags and (not plan.negative or plan.negative in s.tags)]
    half = max(plan.stimuli // 2, 1)
    return [side[int(i)] for side in (one, other) for i in rng.permutation(len(side))[:half]]


def _sides(sample: Sampled, plan: DirectionPlan) -> NDArray[np.bool_]:
    """Per row, whether its stimulus has the tag."""
    own = np.array([plan.positive in s.tags for s in sample.stimuli], np.bool_)
    return own[sample.owner]


def _separation(sample: Sampled, labels: NDArray[np.bool_], values: NDArray[np.floating[Any]], seed: int) -> Reading:
    """AUROC of the mean reading of each stimulus, with an interval over groups."""
    shown = np.unique(sample.owner)
    means = np.array([values[sample.owner == i].mean() for i in shown], np.float64)
    active = np.array([labels[sample.owner == i][0] for i in shown], np.bool_)
    _, clusters = np.unique([sample.stimuli[i].group for i in shown], return_inverse=True)
    found = ranking(
        active, means, clusters=clusters.astype(np.int64), weights=cluster_weights(int(clusters.max()) + 1, seed=seed)
    ).auroc
    return found.reading("directions.auroc", n=len(shown), undefined="select has stimuli of one side only")
