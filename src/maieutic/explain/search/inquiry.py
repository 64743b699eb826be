"""Inquiry: which of several hypotheses is right, asked with as few measurements as will do.

Bayesian design of experiments (Lindley 1956; MacKay 1992). Every hypothesis foretells each candidate stimulus (``probe``)
before anything is measured. The next probe is the one whose outcome is expected to tell most, in bits:
``H(sum_h q_h p(y|h)) - sum_h q_h H(p(y|h))`` with ``q`` the present belief. A measured value changes the belief by Bayes'
rule with a likelihood that forgives outliers: ``p(y|h) = (1 - e) Normal(y; predicted, s) + e Uniform``. It stops when one
answer (or several that foretell the same of everything left to ask) has nearly all the belief, or nothing left would tell.

What it does not do: make hypotheses or stimuli, or say that the best hypothesis is good; when all are wrong the least
wrong wins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.lab import Entry, Lab, Question
from maieutic.stimuli.base import Stimulus

Array = NDArray[np.float64]

#: standard deviation of an outcome around its prediction, share of full activation
SPREAD = 0.2
#: chance that an outcome has nothing to do with the hypotheses (an edit that breaks something else)
OUTLIER = 0.06
#: belief at which a question counts as answered, and the least that a further probe must be expected to tell, bits
DECIDED, WORTH = 0.97, 0.04
#: outcomes are told apart in steps of this
_GRID = np.linspace(-0.25, 2.0, 46)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A candidate answer.

    Attributes:
        words: the hypothesis as a person would say it.
        predicate: its executable form.
        weight: prior log weight; only differences count.
    """

    words: str
    predicate: Predicate
    weight: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A stimulus that could be measured.

    Attributes:
        stimulus: what would be shown, or what makes it once it is chosen.
        kind: what was done to make it (``substitute``, ``insert``, ``paste`` ...).
        foretold: what each hypothesis predicts, share of ``full``, 0 to 2, ``[hypothesis]``.
        rest, full: values on the lab's 0-1 scale that count as nothing and as a full response.
        position: token to read; -1: the maximum.
        pair: ledger id of the unedited original.
    """

    stimulus: Stimulus | Callable[[], Stimulus]
    kind: str
    foretold: Array = field(compare=False)
    rest: float = 0.0
    full: float = 1.0
    position: int = -1
    pair: str | None = None

    def outcome(self, scaled: float) -> float:
        """A measured value as a share of the full response."""
        return float(np.clip((scaled - self.rest) / max(self.full - self.rest, 1e-6), _GRID[0], _GRID[-1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an inquiry came to.

    Attributes:
        belief: posterior of each hypothesis, in their order.
        entries: what was measured, in order; ``probes`` beside it.
    """

    hypotheses: tuple[Hypothesis, ...]
    belief: Array
    entries: tuple[Entry, ...]
    probes: tuple[Probe, ...]

    @property
    def best(self) -> int:
        """The most believed hypothesis; the first of equals."""
        return int(np.argmax(np.round(self.belief, 9)))

    def why_not(self, h: int) -> str:
        """The measurement that spoke most for the best hypothesis against ``h``, as a sentence."""
        best, worst = self.best, 0.0
        told = ""
        for p, e in zip(self.probes, self.entries, strict=True):
            y = p.outcome(e.scaled)
            gain = float(
                _log_likelihood(y, p.foretold[best : best + 1])[0] - _log_likelihood(y, p.foretold[h : h + 1])[0]
            )
            if gain > worst:
                worst = gain
                told = f"{e.id} ({p.kind}) gave {e.scaled:.2f} where it foretells {p.rest + p.foretold[h] * (p.full - p.rest):.2f}"
        return told or "less likely on the corpus, and no experiment told them apart"


def inquire(
    lab: Lab,
    hypotheses: Sequence[Hypothesis],
    probes: Sequence[Probe],
    *,
    question: str,
    most: int,
    at_once: int = 1,
    spread: float = SPREAD,
) -> Answer:
    """Measure probes, most telling first, until the question is answered.

    Args:
        lab: where to measure; its budget is respected.
        hypotheses: competing answers.
        probes: candidates; each is measured at most once.
        question: what is asked, in words, for the ledger.
        most: measurements at most.
        at_once: probes shown in one pass.
        spread: standard deviation of an outcome around its prediction.

    Returns:
        The belief and what was measured. Cost: at most ``most`` measurements.
    """
    weights = np.array([h.weight for h in hypotheses])
    log_belief = weights - weights.max()
    left, entries, asked = list(probes), list[Entry](), list[Probe]()
    while left and len(entries) < min(most, len(entries) + lab.remaining):
        belief = _normal(log_belief)
        told = _expected_information(belief, np.stack([p.foretold for p in left]), spread)
        order = np.argsort(-told, kind="stable")[: min(at_once, most - len(entries), lab.remaining)]
        if told[order[0]] < WORTH or belief.max() >= DECIDED:
            break
        chosen = [left[int(i)] for i in order if told[i] >= WORTH]
        left = [p for p in left if not any(p is c for c in chosen)]
        foretold = [float(belief @ p.foretold) for p in chosen]
        got = lab.measure([_question(p, f, question) for p, f in zip(chosen, foretold, strict=True)])
        for p, e in zip(chosen, got, strict=True):
            log_belief = log_belief + _log_likelihood(p.outcome(e.scaled), p.foretold, spread)
        entries += got
        asked += chosen
    return Answer(hypotheses=tuple(hypotheses), belief=_normal(log_belief), entries=tuple(entries), probes=tuple(asked))


def _question(probe: Probe, foretold: float, question: str) -> Question:
    expect = float(np.clip(probe.rest + foretold * (probe.full - probe.rest), 0.0, 1.0))
    stimulus = probe.stimulus() if callable(probe.stimulus) else probe.stimulus
    return Question(
        stimulus=stimulus, hypothesis=question, kind=probe.kind, expect=round(expect, 4), position=probe.position,
        pair=probe.pair,
    )  # fmt: skip


def _normal(log_belief: Array) -> Array:
    raised = np.exp(log_belief - log_belief.max())
    return raised / raised.sum()


def _density(y: Array, predicted: Array, spread: float) -> Array:
    """``[..., y, predicted]``-broadcast likelihood, per unit of outcome."""
    bell = np.exp(-0.5 * ((y - predicted) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    return (1 - OUTLIER) * bell + OUTLIER / (_GRID[-1] - _GRID[0])


def _log_likelihood(y: float, predicted: Array, spread: float = SPREAD) -> Array:
    return np.log(_density(np.array(y), predicted, spread))


def _expected_information(belief: Array, foretold: Array, spread: float) -> Array:
    """Expected fall of entropy, bits, of each row of ``foretold`` ``[probe, hypothesis]``."""
    step = _GRID[1] - _GRID[0]
    levels = np.round(np.clip(foretold, 0.0, _GRID[-1]), 2)
    known, inverse = np.unique(levels, return_inverse=True)
    table = _density(_GRID[:, None], known[None, :], spread) * step
    table = table / table.sum(axis=0)
    entropy = -(table * np.log2(table)).sum(axis=0)
    inverse = inverse.reshape(levels.shape)
    # belief in each predicted level, [probe, level]
    mass = np.zeros((len(levels), len(known)))
    for h in range(levels.shape[1]):
        mass[np.arange(len(levels)), inverse[:, h]] += belief[h]
    mixed = mass @ table.T
    with np.errstate(divide="ignore", invalid="ignore"):
        total = -np.where(mixed > 0, mixed * np.log2(mixed), 0.0).sum(axis=1)
    return total - mass @ entropy
