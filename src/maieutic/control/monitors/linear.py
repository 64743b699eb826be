"""Linear classifiers with few data: difference of means and logistic regression, chosen by folds, calibrated.

Cases of one scenario are never parted between folds. Settings are chosen by the area under the curve on folds that were
not fitted on; the scores of those folds also calibrate (Platt 1999, with his smoothed targets), and the classifier is then
fitted on everything. So a calibrated score is a probability at the share of attacks among the cases.

What this module does not do: know where features come from, or give intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.readings import FloatArray

Method = Literal["logistic", "means"]
FOLDS = 5
#: weights of the square of the coefficients that folds choose from (features have unit variance)
PENALTIES = (0.001, 0.01, 0.1, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A classifier: ``sigmoid(slope * score + shift)`` with ``score = ((x - mean) / scale) @ weights + bias``.

    Attributes:
        mean, scale, weights: ``[feature]``.
        bias: added to the score.
        slope, shift: of the calibration.
    """

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    bias: float
    slope: float = 1.0
    shift: float = 0.0

    def scores(self, x: FloatArray) -> FloatArray:
        """Uncalibrated, ``[case]``, of features ``[case, feature]``."""
        return self.parts(x).sum(axis=1) + self.bias

    def parts(self, x: FloatArray) -> FloatArray:
        """What each feature adds to the score, ``[case, feature]``."""
        return (np.asarray(x, np.float64) - self.mean) / self.scale * self.weights

    def probabilities(self, x: FloatArray) -> FloatArray:
        """Calibrated, 0 to 1, ``[case]``."""
        return sigmoid(self.slope * self.scores(x) + self.shift)

    def arrays(self, prefix: str = "") -> dict[str, NDArray[Any]]:
        """Everything as arrays, for safetensors."""
        rest = np.array([self.bias, self.slope, self.shift])
        named = {"mean": self.mean, "scale": self.scale, "weights": self.weights, "rest": rest}
        return {prefix + name: np.asarray(a, np.float64) for name, a in named.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Linear:
        """The inverse of ``arrays``."""
        mean, scale, weights, rest = (arrays[prefix + n] for n in ("mean", "scale", "weights", "rest"))
        bias, slope, shift = (float(v) for v in rest)
        return cls(mean=mean, scale=scale, weights=weights, bias=bias, slope=slope, shift=shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A classifier and how it was chosen.

    Attributes:
        model: fitted on all cases.
        option: name of the features that were chosen.
        auroc: on the folds, by name of the features (the best penalty of each).
        held_out: calibrated scores of each case by a classifier that did not see its scenario, ``[case]``.
    """

    model: Linear
    option: str
    penalty: float
    auroc: Mapping[str, float]
    held_out: FloatArray


def choose(
    options: Mapping[str, FloatArray],
    attack: NDArray[np.bool_],
    groups: Sequence[str],
    *,
    method: Method = "logistic",
    folds: int = FOLDS,
    penalties: Sequence[float] = PENALTIES,
    keep: Sequence[int | None] = (None,),
    seed: int = 0,
) -> Chosen:
    """Choose features, penalty and number of features by folds, calibrate, and fit on everything.

    Args:
        options: name to features ``[case, feature]``; of equally good ones the first wins.
        attack: truth, ``[case]``.
        groups: scenario of each case; an empty one is a group of its own.
        method: ``logistic``, or ``means``: the difference of the means of both classes, for which penalties mean nothing.
        folds: parts of the scenarios.
        penalties: see `PENALTIES`.
        keep: how many features may have a weight, see ``fit``; they are picked anew in every fold.
        seed: of the parts.

    Cost: folds times options times penalties times ``keep`` fits, milliseconds each.

    Raises:
        UserError: too few scenarios of a class to fit and choose on different ones.
    """
    place = parts_of(groups, attack, folds=folds, seed=seed)
    tried: dict[tuple[str, float, int | None], FloatArray] = {}
    for key in product(options, penalties if method == "logistic" else (0.0,), keep):
        x, held = options[key[0]], np.full(len(attack), np.nan)
        for fold in np.unique(place):
            out = place == fold
            held[out] = fit(x[~out], attack[~out], method=method, penalty=key[1], keep=key[2]).scores(x[out])
        tried[key] = held
    ranked = {key: area(held, attack) for key, held in tried.items()}
    best = max(ranked, key=lambda key: ranked[key])  # the first of equals
    slope, shift = platt(tried[best], attack)
    whole = fit(options[best[0]], attack, method=method, penalty=best[1], keep=best[2])
    return Chosen(
        model=Linear(
            mean=whole.mean, scale=whole.scale, weights=whole.weights, bias=whole.bias, slope=slope, shift=shift
        ),
        option=best[0],
        penalty=best[1],
        auroc={n: max(v for key, v in ranked.items() if key[0] == n) for n in options},
        held_out=sigmoid(slope * tried[best] + shift),
    )  # fmt: skip


def parts_of(groups: Sequence[str], attack: NDArray[np.bool_], *, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each case; whole groups, attacks and honest groups dealt out evenly.

    Raises:
        UserError: fewer than two groups hold a class.
    """
    names = [g or f"#{i}" for i, g in enumerate(groups)]
    order = list(dict.fromkeys(names))
    hold = {g: (False, False) for g in order}
    for name, bad in zip(names, attack.tolist(), strict=True):
        hold[name] = (hold[name][0] or not bad, hold[name][1] or bad)
    for side, what in ((0, "without an attack"), (1, "with an attack")):
        if sum(h[side] for h in hold.values()) < 2:
            raise UserError(f"fewer than two scenarios {what}: give more, to fit and to choose on different ones")
    rng = np.random.default_rng([seed, 11])
    fold: dict[str, int] = {}
    for kind in ((True, True), (True, False), (False, True)):
        same = [g for g in order if hold[g] == kind]
        for at, i in enumerate(rng.permutation(len(same)).tolist()):
            fold[same[i]] = at % folds
    found = np.array([fold[n] for n in names], np.int64)
    return _merged(found, attack)


def _merged(place: NDArray[np.int64], attack: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Folds whose rest lacks a class are joined with the first: what is fitted needs both."""
    for fold in np.unique(place):
        rest = attack[place != fold]
        if not rest.any() or rest.all():
            place = np.where(place == fold, (fold + 1) % (place.max() + 1), place)
    return place


def fit(
    x: FloatArray,
    attack: NDArray[np.bool_],
    *,
    method: Method = "logistic",
    penalty: float = 0.1,
    keep: int | None = None,
) -> Linear:
    """One classifier, uncalibrated. Both classes weigh the same.

    Args:
        x: features, ``[case, feature]``.
        attack: truth, ``[case]``.
        method: see ``choose``.
        penalty: weight of the square of the coefficients.
        keep: only so many features, those whose means differ most, have a weight; ``None``: all.

    Raises:
        UserError: a class is missing.
    """
    if not attack.any() or attack.all():
        raise UserError("the cases are all of one kind: give attacks and honest ones")
    x = np.asarray(x, np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > 1e-9 * np.maximum(np.abs(mean), 1e-12), spread, np.inf)  # what never changes says nothing
    z = (x - mean) / scale
    scale = np.where(np.isfinite(scale), scale, 1e30)
    if keep is not None and keep < z.shape[1]:
        apart = np.abs(z[attack].mean(axis=0) - z[~attack].mean(axis=0))
        z = np.where(np.isin(np.arange(len(apart)), np.argsort(-apart, kind="stable")[:keep]), z, 0.0)
    if method == "means":
        one, other = z[attack].mean(axis=0), z[~attack].mean(axis=0)
        weights = one - other
        return Linear(mean=mean, scale=scale, weights=weights, bias=-float((one + other) @ weights) / 2)
    weights, bias = _logistic(z, attack, penalty)
    return Linear(mean=mean, scale=scale, weights=weights, bias=bias)


def _logistic(z: FloatArray, attack: NDArray[np.bool_], penalty: float) -> tuple[FloatArray, float]:
    from scipy.optimize import minimize

    sign = np.where(attack, 1.0, -1.0)
    share = attack.mean()
    weigh = np.where(attack, 0.5 / share, 0.5 / (1 - share)) / len(z)

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        margin = sign * (z @ theta[:-1] + theta[-1])
        pull = -weigh * sign * sigmoid(-margin)
        gradient = np.append(z.T @ pull + penalty * theta[:-1], pull.sum())
        return float(weigh @ np.logaddexp(0, -margin) + penalty * theta[:-1] @ theta[:-1] / 2), gradient

    found = minimize(loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[:-1], float(found.x[-1])


def platt(scores: FloatArray, attack: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope (not negative) and shift of the calibration."""
    from scipy.optimize import minimize

    many, few = int(attack.sum()), int((~attack).sum())
    target = np.where(attack, (many + 1) / (many + 2), 1 / (few + 2))
    scale = float(np.abs(scores).max()) or 1.0

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        at = theta[0] * scores / scale + theta[1]
        off = sigmoid(at) - target
        return float((np.logaddexp(0, at) - target * at).sum()), np.array([off @ scores / scale, off.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return float(found.x[0]) / scale, float(found.x[1])


def area(scores: FloatArray, attack: NDArray[np.bool_]) -> float:
    """Area under the curve, ties half."""
    from scipy.stats import rankdata

    many = int(attack.sum())
    ranks = rankdata(np.round(scores, 12))
    return float((ranks[attack].sum() - many * (many + 1) / 2) / (many * (len(attack) - many)))


def sigmoid(x: Any) -> FloatArray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x, np.float64)))


def logit(p: Any) -> FloatArray:
    """Log-odds, within what a double tells from certainty."""
    clipped = np.clip(np.asarray(p, np.float64), 1e-9, 1 - 1e-9)
    return np.log(clipped) - np.log1p(-clipped)
