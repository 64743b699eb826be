"""Which of two passages a model finds likelier, over a set of pairs, beside a control; and two models over the same pairs.

The headline is the share of pairs whose better passage has the larger sum of log-probabilities over the continuation (a tie counts
half); beside it the same by the mean over tokens, and the mean margin in nats. The control depends on the pair:

- one prompt for both passages: the same passages after another pair's prompt (what the answers alone would give);
- two prompts: a neutral sentence in the place of the continuation (whether anything at all is likelier there);
- no prompt: the shorter passage counts as likelier (what length alone would give).

Intervals: bootstrap over groups of pairs; the same resamples for every model, so differences are paired.

What this module does not do: generate; say whether a preference is an ability or a habit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.progress import Report, silent
from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, from_sums
from maieutic.studies.behaviour.pairs import Pair, PairSet
from maieutic.subjects import LanguageSubject, Subject

NEUTRAL = " The weather was mild that day."


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What one model prefers in one set.

    Attributes:
        subject: its name. pairs: the set.
        better, worse: sums of log-probabilities of the two passages, ``[pair]``, in nats; ``nan`` where a pair was left out.
        tokens: how many tokens each passage has, ``[pair, 2]``.
        control: 1, 0 or a half a pair: what the control says.
        left_out: pairs that are too long for the model, or of which it can foretell nothing, by id.
    """

    subject: str
    pairs: PairSet
    better: FloatArray
    worse: FloatArray
    tokens: FloatArray
    control: FloatArray
    left_out: tuple[str, ...]

    def readings(self, *, seed: int = 0) -> tuple[Reading, ...]:
        """Share, share by mean over tokens, margin, control, share minus control."""
        name = self.pairs.name
        own, control = _wins(self.better - self.worse), self.control
        kept = np.isfinite(self.better - self.worse)
        per_token = _wins(self.better / self.tokens[:, 0] - self.worse / self.tokens[:, 1])
        mean = _Means.of(self.pairs, kept, seed)
        share, beside = mean(own), mean(control)
        n = int(kept.sum())
        why = "no pair fits the model's context"
        details = {"pairs": n, "groups": mean.groups, "left_out": len(self.left_out)}
        rows = {
            f"{name}.share": share, f"{name}.share_by_token": mean(per_token), f"{name}.margin": mean(self.better - self.worse),
            f"{name}.control": beside, f"{name}.beats_control": share - beside,
        }  # fmt: skip
        return tuple(e.reading(what, n=n, undefined=why, details=details) for what, e in rows.items())


def measure_pairs(subject: Subject, pairs: PairSet, *, seed: int = 0, report: Report = silent) -> Behaviour:
    """Measure one model over one set.

    Args:
        subject: a causal language model. pairs: the set. seed: of which other prompt a control takes.

    Cost: three or four passes a pair.

    Raises:
        UserError: the model foretells no tokens.
    """
    if not isinstance(subject, LanguageSubject):
        raise UserError(f"{subject.name} foretells no tokens: give a causal language model such as  smollm2-135m")
    from maieutic.subjects.likelihood import token_logprobs

    count = len(pairs.pairs)
    sums, tokens = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
    control, left_out = np.full(count, np.nan), list[str]()
    others = _others(count, seed)
    with report("behaviour", f"{subject.name}, {pairs.name}") as step:
        for i, pair in enumerate(pairs.pairs):
            asked = [pair.better, pair.worse, *_controls(pair, pairs.pairs[others[i]])]
            try:
                found = token_logprobs(subject, asked)
            except UserError:
                left_out.append(pair.id)
                continue
            sums[i], tokens[i] = [float(f.sum()) for f in found[:2]], [len(f) for f in found[:2]]
            rest = [float(f.sum()) for f in found[2:]]
            control[i] = _win(rest[0] - rest[1]) if rest else _win(tokens[i, 1] - tokens[i, 0])
            step(i + 1, count)
    return Behaviour(
        subject=subject.name, pairs=pairs, better=sums[:, 0], worse=sums[:, 1], tokens=tokens, control=control,
        left_out=tuple(left_out),
    )  # fmt: skip


def compare(a: Behaviour, b: Behaviour, *, seed: int = 0) -> tuple[Reading, ...]:
    """A minus B over the pairs that both could read: share, and margin in nats (margins depend on the vocabulary, too)."""
    assert a.pairs == b.pairs, "models are compared over the same pairs"
    kept = np.isfinite(a.better - a.worse) & np.isfinite(b.better - b.worse)
    mean = _Means.of(a.pairs, kept, seed)
    n, name = int(kept.sum()), a.pairs.name
    why = "no pair fits both models"
    rows = {
        f"{name}.share.difference": mean(_wins(a.better - a.worse)) - mean(_wins(b.better - b.worse)),
        f"{name}.margin.difference": mean(a.better - a.worse) - mean(b.better - b.worse),
    }
    return tuple(e.reading(what, n=n, undefined=why, details={"groups": mean.groups}) for what, e in rows.items())


@dataclass(frozen=True, slots=True)
class _Means:
    """Means over pairs whose resamples draw groups."""

    kept: NDArray[np.bool_]
    clusters: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, pairs: PairSet, kept: NDArray[np.bool_], seed: int) -> _Means:
        names = [p.group for p, on in zip(pairs.pairs, kept, strict=True) if on]
        known = {g: i for i, g in enumerate(dict.fromkeys(names))}
        clusters = np.array([known[g] for g in names], np.int64)
        return cls(kept, clusters, cluster_weights(max(len(known), 1), seed=seed))

    @property
    def groups(self) -> int:
        return len(set(self.clusters.tolist()))

    def __call__(self, values: FloatArray) -> Estimate:
        own = values[self.kept]
        columns = np.stack([own, np.ones(len(own))], axis=1)
        return from_sums(columns, lambda s: s[..., 0] / s[..., 1], clusters=self.clusters, weights=self.weights)


def _controls(pair: Pair, other: Pair) -> list[tuple[str, str]]:
    if pair.one_prompt:
        return [(other.better[0], pair.better[1]), (other.worse[0], pair.worse[1])]
    if pair.better[0] and pair.worse[0]:
        return [(pair.better[0], NEUTRAL), (pair.worse[0], NEUTRAL)]
    return []


def _others(count: int, seed: int) -> list[int]:
    """For each pair another one: the next in a seeded order. A set of one pair has only itself."""
    order = np.random.default_rng([seed, count]).permutation(count)
    following = np.empty(count, np.int64)
    following[order] = np.roll(order, -1)
    return following.tolist()


def _win(margin: float) -> float:
    return 0.5 if margin == 0 else float(margin > 0)


def _wins(margins: FloatArray) -> FloatArray:
    """1, 0 or a half a pair; ``nan`` stays."""
    return np.where(np.isnan(margins), np.nan, 0.5 * (np.sign(margins) + 1))
