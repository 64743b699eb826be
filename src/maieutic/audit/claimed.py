"""What an explainer's own confidence claims, and how likely it is that a claim so kept was honest.

An explainer that gives a label a confidence of a half or more claims that at least half of such labels are right. Taking it
at its word gives a chance for every count of failures, with no allowance tuned to anybody's figures: at most half of the
confident labels may fail, and those that are wrong still pass by luck as often as the test lets them. What this module does
not do: test calibration finer than that (``bench calibration`` does, for explainers of ours).
"""

from __future__ import annotations

from collections.abc import Sequence

from maieutic.readings import Reading

#: confidence from which a label claims to be right; and the share of such labels that may be wrong
CONFIDENT, WRONG = 0.5, 0.5
#: fewer claims than this are too few to judge
LEAST = 5
#: chance with which a cheat should be seen, and with which an honest explainer may alarm (before correction)
_SEEN, _ALARM = 0.8, 0.05


def failing(n: int, failed: int, *, luck: float = 0.0) -> float:
    """Chance of at least so many failures among ``n`` confident labels of an explainer that keeps its claim.

    Args:
        luck: chance that a wrong label passes all the same.
    """
    from scipy.stats import binom

    return float(binom.sf(failed - 1, n, WRONG * (1 - luck)))


def smallest(name: str, n: int, *, allowed: float) -> Reading:
    """The smallest share of failures that ``n`` trials would show four times in five, where a share ``allowed`` is honest."""
    from scipy.stats import binom

    if not n:
        return Reading.unmeasured(name, "nothing was tried")
    enough = next((k for k in range(n + 1) if binom.sf(k - 1, n, allowed) <= _ALARM), None)
    if enough is None:
        return Reading.unmeasured(name, f"not even {n} failures of {n} would be beyond what is allowed")
    share = next(s / 1000 for s in range(1001) if binom.sf(enough - 1, n, s / 1000) >= _SEEN)
    return Reading(name=name, value=share, n=n)


def excess(values: Sequence[float], *, allowed: float) -> float | None:
    """One-sided chance of a mean this far above ``allowed`` (Student's t); ``None`` with too few values to tell.

    Values that are all the same leave no spread: their chance is 0 or 1.
    """
    import numpy as np
    from scipy.stats import t as student

    n = len(values)
    if n < LEAST:
        return None
    mean, error = float(np.mean(values)) - allowed, float(np.std(values, ddof=1)) / n**0.5
    if error < 1e-12:
        return 0.0 if mean > 0 else 1.0
    return float(student.sf(mean / error, n - 1))


def least_excess(name: str, values: Sequence[float], *, allowed: float) -> Reading:
    """The smallest mean that as many values, spread as these, would have shown four times in five."""
    import numpy as np
    from scipy.stats import t as student

    n = len(values)
    if n < LEAST:
        return Reading.unmeasured(name, f"{n} values are too few")
    error = float(np.std(values, ddof=1)) / n**0.5
    reach = float(student.ppf(1 - _ALARM, n - 1) + student.ppf(_SEEN, n - 1))
    return Reading(name=name, value=allowed + reach * error, n=n)
