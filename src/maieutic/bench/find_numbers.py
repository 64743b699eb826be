"""Search for a formula of a numeric black box: a small library of shapes, their sums and products, fitted to probes.

A form is linear in its coefficients: ``1, x ... x^d`` and one or two *shapes* (absolute value, step, root, logarithm, wave, bell,
ramp, window ...), each times a polynomial, so that sums and products of library functions are among them. Shapes with parameters
(period, place, width) are fitted on a grid and then refined. Every form is fitted on half of the probes and judged on the other
half by normalised squared error; the simplest one that is nearly exact wins, else the best one that is good, else it abstains.

What this does not do: noise models, compositions, or anything off the probed range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.bench.find_box import BoxLab, Program

Column = NDArray[Any]
#: probed range, and the window that is probed densely
WIDE, NEAR = 128.0, 6.0
#: normalised squared error on probes not fitted: nearly exact, and good enough to say something
EXACT, GOOD = 1e-5, 0.03
_SCALE = 32.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A function of x in words; vectorised, may give NaN or complex values."""

    words: str
    run: Callable[[Column], Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A fitted formula.

    Attributes:
        size: number of coefficients and parameters.
        error: normalised squared error on the probes it was not fitted to.
    """

    words: str
    size: int
    error: float
    predict: Callable[[Column], Column]


def search_numbers(lab: BoxLab) -> Program:
    """The simplest formula that fits the probes."""
    x, y = _probed(lab)
    calls = len(lab.tried)
    if len(x) < 12:
        return Program.unexplained(f"only {len(x)} of {calls} probes gave a number", explainer="search", calls=calls)
    best = chosen(forms(x, y))
    if best is None:
        return Program.unexplained("no form of the library fits the probes", explainer="search", calls=calls)

    def predict(value: float) -> complex | float:
        with np.errstate(all="ignore"):
            found = complex(best.predict(np.array([value]))[0])
        return found.real if found.imag == 0 else found

    sure = 0.95 if best.error < EXACT else 0.6
    return Program(label=best.words, predict=predict, explainer="search", confidence=sure, calls=calls)


def chosen(found: Sequence[Form]) -> Form | None:
    """The smallest form that is nearly exact, else the best that is good."""
    exact = [f for f in found if f.error < EXACT]
    if exact:
        return min(exact, key=lambda f: (f.size, f.error))
    good = [f for f in found if f.error < GOOD]
    return min(good, key=lambda f: f.error * (1 + 0.05 * f.size)) if good else None


def _probed(lab: BoxLab) -> tuple[Column, Column]:
    """Probes that gave a finite number: a dense window around 0 and the whole range, never on halves."""
    rng = np.random.default_rng(lab.seed)
    budget = lab.remaining
    near = np.linspace(-NEAR, NEAR, max(budget * 2 // 5, 4)) + 0.0137
    wide = np.linspace(-WIDE, WIDE, max(budget - len(near), 4)) + rng.uniform(-0.3, 0.3, max(budget - len(near), 4))
    xs = [float(v) for v in np.sort(np.concatenate([near, wide]))[:budget]]
    rows = [(x, complex(y)) for x, y in zip(xs, lab.call(xs), strict=True) if isinstance(y, (int, float, complex))]
    rows = [(x, y) for x, y in rows if math.isfinite(y.real) and math.isfinite(y.imag)]
    x = np.array([r[0] for r in rows])
    y = np.array([r[1] for r in rows])
    return x, (y.real if not len(y) or np.abs(y.imag).max() == 0 else y)


# --- shapes --------------------------------------------------------------------------------------------------------


def _root(n: int) -> Shape:
    def run(x: Column) -> Column:
        values = np.asarray(x, dtype=np.complex128) ** (1.0 / n)
        return values.real if (np.asarray(x) >= 0).all() else values

    return Shape(f"root {n} of x", run)


def _real_log(x: Column) -> Column:
    return np.log(np.where(np.asarray(x) > 0, x, np.nan))


PLAIN: tuple[Shape, ...] = (
    Shape("|x|", np.abs),
    Shape("max(x, 0)", lambda x: np.maximum(x, 0.0)),
    Shape("step(x)", lambda x: np.heaviside(x, 0.5)),
    Shape("floor x", np.floor),
    Shape("ceil x", np.ceil),
    Shape("1/x", lambda x: 1.0 / x),
    Shape("1/x^2", lambda x: 1.0 / x**2),
    Shape("log x", _real_log),
    Shape("log |x|", lambda x: np.log(np.abs(x))),
    Shape("root 2 of |x|", lambda x: np.sqrt(np.abs(x))),
    *(_root(n) for n in range(2, 11)),
)


def _sine(period: float) -> tuple[Shape, Shape]:
    w = 2 * np.pi / period
    return (
        Shape(f"sin(2 pi x / {period:.4g})", lambda x: np.sin(w * x)),
        Shape(f"cos(2 pi x / {period:.4g})", lambda x: np.cos(w * x)),
    )


def _square(period: float, shift: float) -> Shape:
    return Shape(
        f"square wave of period {period:.4g} from {shift:.3g}",
        lambda x: np.where(np.sin((x - shift) * (2 * np.pi / period)) > 0, 1.0, -1.0),
    )


def _window(width: float) -> Shape:
    return Shape(f"window |x| <= {width / 2:.3g}", lambda x: (np.abs(x) <= width / 2).astype(np.float64))


def _bell(place: float, width: float) -> Shape:
    return Shape(f"bell at {place:.3g} of width {abs(width):.3g}", lambda x: np.exp(-0.5 * ((x - place) / width) ** 2))


def _ramp(place: float, width: float) -> Shape:
    return Shape(f"tanh((x - {place:.3g}) / {width:.3g})", lambda x: np.tanh((x - place) / width))


def _power(base: float) -> Shape:
    return Shape(f"{base:.4g}^x", lambda x: np.power(base, x))


# --- fitting -------------------------------------------------------------------------------------------------------


def forms(x: Column, y: Column) -> list[Form]:
    """Fitted forms, stage by stage of growing size; no further stage once one is nearly exact."""
    found: list[Form] = []
    with np.errstate(all="ignore"):
        for stage in _stages(x, y):
            found += stage
            if any(f.error < EXACT for f in found):
                break
    return found


def _stages(x: Column, y: Column) -> Iterator[list[Form]]:
    yield _fits(x, y, [(degree, ()) for degree in range(7)])
    yield _fits(x, y, [(degree, ((shape, 0),)) for shape in PLAIN for degree in (0, 1)])
    if np.iscomplexobj(y):
        return
    yield _waves(x, y, 0, 0)
    shapes = [*PLAIN, *_fitted_shapes(x, y)]
    yield _fits(x, y, [(0, ((shape, 0),)) for shape in shapes])
    yield [form for form in [_rational(x, y)] if form is not None]
    around = ((0, 1), (1, 0), (1, 1), (5, 0), (0, 5), (5, 5))
    yield _fits(x, y, [(degree, ((shape, by),)) for shape in shapes for degree, by in around])
    yield [form for base, times in ((1, 0), (5, 0), (0, 1)) for form in _waves(x, y, base, times)]
    pairs = [(f, g) for i, f in enumerate(shapes) for g in shapes[i:]]
    yield _fits(x, y, [(0, ((f, 0), (g, 0), (_product(f, g), 0))) for f, g in pairs])


def _product(f: Shape, g: Shape) -> Shape:
    return Shape(f"({f.words}) ({g.words})", lambda x: f.run(x) * g.run(x))


def _fits(x: Column, y: Column, asked: Sequence[tuple[int, Sequence[tuple[Shape, int]]]]) -> list[Form]:
    return [form for degree, parts in asked if (form := _fit(x, y, degree, parts)) is not None]


def _columns(x: Column, degree: int, parts: Sequence[tuple[Shape, int]]) -> Column:
    """``1, x ... x^degree`` and each shape times ``1 ... x^by``, in units of ``_SCALE``."""
    powers = [(x / _SCALE) ** k for k in range(degree + 1)]
    for shape, by in parts:
        values = shape.run(x)
        powers += [values * (x / _SCALE) ** k for k in range(by + 1)]
    return np.stack(powers, axis=1)


def _fit(x: Column, y: Column, degree: int, parts: Sequence[tuple[Shape, int]], extra: int = 0) -> Form | None:
    """Least squares on every second probe, judged on the others, then fitted to all; ``None`` when a shape fails there."""
    columns = _columns(x, degree, parts)
    if not np.isfinite(columns).all() or columns.shape[1] * 3 > len(x):
        return None
    train = np.arange(len(x)) % 2 == 0
    judged = _solved(columns[train], y[train])
    error = _nmse(y[~train], columns[~train] @ judged)
    weights = _solved(columns, y)
    names = ["1", *(f"x^{k}" for k in range(1, degree + 1))]
    for shape, by in parts:
        names += [shape.words, *(f"x^{k} {shape.words}" for k in range(1, by + 1))]
    scales = [_SCALE**k for k in range(degree + 1)] + [_SCALE**k for _, by in parts for k in range(by + 1)]
    terms = zip(names, weights / np.array(scales), strict=True)
    top = float(np.abs(weights).max(initial=1e-12))
    shown = [f"{value:.4g} {name}" for (name, value), w in zip(terms, weights, strict=True) if abs(w) > 1e-6 * top]
    return Form(
        words=" + ".join(shown) or "0",
        size=columns.shape[1] + extra,
        error=error,
        predict=lambda v: _columns(v, degree, parts) @ weights,
    )


def _solved(columns: Column, y: Column) -> Column:
    """Real least-squares coefficients; complex equations count twice."""
    if np.iscomplexobj(columns) or np.iscomplexobj(y):
        columns = np.concatenate([np.real(columns), np.imag(columns)])
        y = np.concatenate([np.real(y), np.imag(y)])
    norms = np.linalg.norm(columns, axis=0)
    norms[norms == 0] = 1.0
    solution, *_ = np.linalg.lstsq(columns / norms, y, rcond=1e-10)
    return solution / norms


def _nmse(y: Column, predicted: Column) -> float:
    total = float((np.abs(y) ** 2).sum())
    wrong = float((np.abs(y - predicted) ** 2).sum())
    return wrong / total if total > 0 else float(wrong > 1e-12)


# --- shapes with parameters ----------------------------------------------------------------------------------------


def _fitted_shapes(x: Column, y: Column) -> list[Shape]:
    """For every parametric shape the parameters that fit best, alone, on a line, and times a line."""
    places = np.concatenate([np.arange(-12, 12.01, 0.5), np.arange(-100, 101, 10.0)])
    families: list[tuple[Callable[..., Shape], list[tuple[float, ...]], bool]] = [
        (_window, [(float(w),) for w in np.arange(0.2, 20, 0.1)], False),
        (_bell, [(float(p), float(w)) for p in places for w in (0.3, 0.6, 1, 2, 3, 5, 8, 12, 20)], True),
        (_ramp, [(float(p), float(w)) for p in places for w in (0.1, 0.3, 0.6, 1, 2, 4, 8, 16)], True),
        (_power, [(float(b),) for b in (*np.arange(0.3, 1.0, 0.1), *np.arange(1.1, 3.0, 0.1))], True),
    ]
    found: list[Shape] = []
    for make, grid, smooth in families:
        tables = np.stack([make(*theta).run(x) for theta in grid])
        for base, times in ((0, 0), (1, 0), (0, 1)):
            best = _best(x, y, tables, base, times)
            for i in best[:2]:
                theta = grid[i]
                if smooth:
                    theta = _refined(x, y, make, theta, base, times)
                found.append(make(*theta))
    found += _squares(x, y)
    unique = {s.words: s for s in found}
    return list(unique.values())


def _best(x: Column, y: Column, tables: Column, base: int, times: int) -> list[int]:
    """Rows of ``tables`` by the residual of ``y`` on ``1..x^base`` and the row times ``1..x^times``, best first."""
    u = x / _SCALE
    fixed = np.stack([u**k for k in range(base + 1)], axis=1)
    moving = np.stack([tables * u**k for k in range(times + 1)], axis=2)
    columns = np.concatenate([np.broadcast_to(fixed, (len(tables), *fixed.shape)), moving], axis=2)
    good = np.isfinite(columns).all(axis=(1, 2)) & (np.abs(columns).max(axis=(1, 2)) < 1e12)
    columns = np.where(good[:, None, None], columns, 0.0)
    norms = np.linalg.norm(columns, axis=1, keepdims=True)
    columns = columns / np.where(norms > 0, norms, 1.0)
    gram = np.einsum("mnk,mnl->mkl", columns, columns) + 1e-9 * np.eye(columns.shape[2])
    right = np.einsum("mnk,n->mk", columns, y)
    weights = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
    left = ((y - np.einsum("mnk,mk->mn", columns, weights)) ** 2).sum(axis=1)
    return [int(i) for i in np.argsort(np.where(good, left, np.inf), kind="stable")]


def _refined(
    x: Column, y: Column, make: Callable[..., Shape], theta: tuple[float, ...], base: int, times: int
) -> tuple[float, ...]:
    """The parameters after a few steps of non-linear least squares; the coefficients are solved for at every step."""
    from scipy.optimize import least_squares

    scale = float(np.sqrt((y**2).mean())) or 1.0

    def residual(values: Column) -> Column:
        columns = _columns(x, base, ((make(*values), times),))
        if not np.isfinite(columns).all():
            return np.full(len(x), 1e3)
        return (y - columns @ _solved(columns, y)) / scale

    try:
        done = least_squares(residual, np.array(theta), max_nfev=40, x_scale=np.maximum(np.abs(theta), 0.1))
    except (ValueError, np.linalg.LinAlgError):
        return theta
    return tuple(float(v) for v in done.x)


def _waves(x: Column, y: Column, base: int, times: int) -> list[Form]:
    """Sine waves on a polynomial or times a line: the period from the dense window, then from ever wider ones."""
    near = np.abs(x) <= NEAR
    found: list[Form] = []
    for period in _periods(x[near], y[near], base, times)[:3]:
        for reach in (NEAR, 16.0, 48.0, WIDE):
            part = np.abs(x) <= reach
            period = _narrowed(x[part], y[part], period, base, times, reach)
        sine, cosine = _sine(period)
        form = _fit(x, y, base, ((sine, times), (cosine, times)), extra=1)
        found += [form] if form is not None else []
    return found


def _wave_error(x: Column, y: Column, period: float, base: int, times: int) -> float:
    sine, cosine = _sine(period)
    columns = _columns(x, base, ((sine, times), (cosine, times)))
    return _nmse(y, columns @ _solved(columns, y))


def _periods(x: Column, y: Column, base: int, times: int) -> list[float]:
    grid = 1.0 / np.arange(1 / 14.0, 1 / 0.4, 0.02)
    errors = [_wave_error(x, y, float(p), base, times) for p in grid]
    return [float(grid[i]) for i in np.argsort(errors, kind="stable")]


def _narrowed(x: Column, y: Column, period: float, base: int, times: int, reach: float) -> float:
    """The best period within one resolution of this window."""
    step = period**2 / (2 * reach) / 10
    grid = period + step * np.arange(-12, 13)
    centre = period
    for _ in range(2):
        grid = grid[grid > 0.2]
        errors = [_wave_error(x, y, float(p), base, times) for p in grid]
        centre, step = float(grid[int(np.argmin(errors))]), step / 6
        grid = centre + step * np.arange(-6, 7)
    return centre


def _squares(x: Column, y: Column) -> list[Shape]:
    """Square waves: period and shift by a grid on the dense window, then by the whole range."""
    near = np.abs(x) <= NEAR
    found: list[Shape] = []
    periods = np.arange(0.8, 12.0, 0.1)
    grid = [(float(p), float(s)) for p in periods for s in np.arange(0, p, max(p / 24, 0.1))]
    tables = np.stack([_square(*theta).run(x[near]) for theta in grid])
    for base, times in ((0, 0), (1, 0), (0, 1)):
        i = _best(x[near], y[near], tables, base, times)[0]
        period, shift = grid[i]
        for reach, divide in ((16.0, 24), (48.0, 24), (WIDE, 24), (WIDE, 200)):
            part = np.abs(x) <= reach
            step = period**2 / reach / divide
            shifts = period / (40 if divide == 24 else 200)
            finer = [(period + a * step, shift + b * shifts) for a in range(-14, 15) for b in range(-6, 7)]
            rows = np.stack([_square(*theta).run(x[part]) for theta in finer])
            period, shift = finer[_best(x[part], y[part], rows, base, times)[0]]
        found.append(_square(period, shift))
    return found


def _rational(x: Column, y: Column, top: int = 4, bottom: int = 6) -> Form | None:
    """A ratio of polynomials, by re-weighted linear least squares."""
    u = x / _SCALE
    best: Form | None = None
    for m, n in ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (top, 5), (top, bottom)):
        train = np.arange(len(x)) % 2 == 0
        parts = [_ratio(u[rows], y[rows], m, n) for rows in (train, np.ones(len(x), bool))]
        error = _nmse(y[~train], _ratio_at(u[~train], *parts[0]))
        p, q = parts[1]
        if np.isfinite(error) and (best is None or error < best.error):
            best = Form(
                words=f"a polynomial of degree {m} over one of degree {n}", size=m + n + 2, error=error,
                predict=lambda v, p=p, q=q: _ratio_at(v / _SCALE, p, q),
            )  # fmt: skip
        if best is not None and best.error < EXACT:
            break
    return best


def _ratio(u: Column, y: Column, m: int, n: int) -> tuple[Column, Column]:
    """Coefficients of top and bottom, the bottom's first being 1 where that is possible."""
    weight = np.ones(len(u))
    p, q = np.zeros(m + 1), np.ones(n + 1)
    for _ in range(6):
        columns = np.concatenate(
            [np.stack([u**k for k in range(m + 1)], 1), -y[:, None] * np.stack([u**k for k in range(1, n + 1)], 1)],
            axis=1,
        )
        solution = _solved(columns * weight[:, None], y * weight)
        p, q = solution[: m + 1], np.concatenate([[1.0], solution[m + 1 :]])
        bottom = np.abs(np.polynomial.polynomial.polyval(u, q))
        weight = 1.0 / np.maximum(bottom, 1e-6 * max(float(bottom.max()), 1e-12))
    return p, q


def _ratio_at(u: Column, p: Column, q: Column) -> Column:
    return np.polynomial.polynomial.polyval(u, p) / np.polynomial.polynomial.polyval(u, q)
