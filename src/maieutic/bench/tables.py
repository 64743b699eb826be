"""What people read of the planted bench: one table a modality with the explainers side by side, calibration, plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maieutic.bench.calibration import reliability
from maieutic.bench.plot import Series, bars_svg, calibration_svg
from maieutic.bench.result import Figure, Table
from maieutic.bench.trials import CONSTANT, Outcome
from maieutic.readings import share_reading

#: figure -> how it is said, in the order of the table; kinds and families follow
_SAID = {
    "recovered": "recovered",
    "agreement": "agreement, mean",
    "abstains_on_nothing": "abstains on dead and noise",
    "abstention.precision": "abstentions that are right",
    "wrong_confident": "wrong and confident",
    "failed": "failed",
    "ece": "calibration error (ECE)",
    "measurements": "measurements, mean",
    "measurements.median": "  median",
    "measurements.p90": "  nine in ten need at most",
    "seconds": "seconds a unit",
}
#: explainers in as few letters as the head of a column has room for
_SHORT = {"search": "search", "lookup": "look-up", "search-no-experiments": "no exp.", CONSTANT: "const."}


def tables(
    outcomes: Sequence[Outcome], figures: Mapping[str, Figure], seconds: Mapping[str, float]
) -> tuple[Table, ...]:
    """One table of figures and one of calibration for each modality, then where the time went."""
    out: list[Table] = []
    for modality in dict.fromkeys(o.modality for o in outcomes):
        here = [o for o in outcomes if o.modality == modality]
        out += [_main(modality, here, figures), _calibration(modality, here)]
    took = tuple((what, f"{s:.0f}") for what, s in seconds.items())
    return (*out, Table(title="seconds", columns=("part", "seconds"), rows=took))


def _main(modality: str, here: Sequence[Outcome], figures: Mapping[str, Figure]) -> Table:
    explainers = list(dict.fromkeys(o.explainer for o in here))
    tested = explainers[0]
    units = len({o.unit for o in here})
    names = [n.split(".", 2)[2] for n in figures if n.startswith(f"{modality}.{tested}.")]
    kinds = [n for n in names if n.startswith("recovered.") and not n.startswith("recovered.family.")]
    families = [n for n in names if n.startswith("recovered.family.")]
    gains = [n for n in names if n.startswith("gain_") and not n.endswith(f".{CONSTANT}")]
    rows: list[tuple[str, ...]] = []
    said = {n: _SAID[n] for n in _SAID if n in names}
    said |= {n: f"  {n.removeprefix('recovered.').replace('_', ' ')}" for n in kinds}
    said |= {n: f"  {n.removeprefix('recovered.family.').replace('_', ' ')}" for n in families}
    heads = {n[0]: words for n, words in ((kinds, "recovered, by kind"), (families, "recovered, by family")) if n}
    for name, words in said.items():
        if name in heads:
            rows.append((heads[name], *("" for _ in range(len(explainers) + 2))))
        of = [figures.get(f"{modality}.{e}.{name}") for e in explainers]
        rows.append((words, *(_value(f) for f in of), _interval(of[0]), _target(of[0])))
    for name in gains:
        what, _, baseline = name.partition(".")
        figure = figures[f"{modality}.{tested}.{name}"]
        words = ("gain on spurious: " if what == "gain_on_spurious" else "gain: ") + _SHORT.get(baseline, baseline)
        rows.append((words, _value(figure), *("" for _ in explainers[1:]), _interval(figure), _target(figure)))
    columns = ("", *(_SHORT.get(e, e) for e in explainers), "95 %", "target, met")
    return Table(title=f"{modality}: {units} planted units", columns=columns, rows=tuple(rows))


def _value(figure: Figure | None) -> str:
    if figure is None or figure.reading.value is None:
        return "-"
    value = figure.reading.value
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2f}"


def _interval(figure: Figure | None) -> str:
    if figure is None or figure.reading.low is None or figure.reading.high is None:
        return ""
    return "–".join(f"{v:.0f}" if abs(v) >= 10 else f"{v:.2f}" for v in (figure.reading.low, figure.reading.high))


def _target(figure: Figure | None) -> str:
    if figure is None or figure.target is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'}{figure.target:g} {'yes' if figure.met else 'no'}"


def _answers(here: Sequence[Outcome], explainer: str) -> list[Outcome]:
    return [o for o in here if o.explainer == explainer and o.answered]


def _calibration(modality: str, here: Sequence[Outcome]) -> Table:
    rows: list[tuple[str, ...]] = []
    for explainer in dict.fromkeys(o.explainer for o in here if o.explainer != CONSTANT):
        answers = _answers(here, explainer)
        for b in reliability([o.confidence for o in answers], [o.recovered for o in answers]):
            rows.append(
                (
                    explainer,
                    f"{b.low:.1f}–{b.high:.1f}",
                    str(b.n),
                    f"{b.confidence:.2f}",
                    f"{b.right:.2f}",
                    f"{b.right_low:.2f}–{b.right_high:.2f}",
                )  # fmt: skip
            )
    columns = ("explainer", "sure", "answers", "mean", "right", "95 %")
    return Table(title=f"{modality}: how often answers are right, by confidence", columns=columns, rows=tuple(rows))


def plots(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """File name -> SVG: share recovered by kind, and calibration, for each modality."""
    out: dict[str, str] = {}
    for modality in dict.fromkeys(o.modality for o in outcomes):
        here = [o for o in outcomes if o.modality == modality]
        explainers = list(dict.fromkeys(o.explainer for o in here))
        kinds = list(dict.fromkeys(o.kind for o in here if o.explainable))
        series = [
            Series(
                name=e,
                values=tuple(
                    share_reading(k, [o.recovered for o in here if o.explainer == e and o.kind == k]) for k in kinds
                ),
            )
            for e in explainers
        ]
        out[f"recovered-{modality}.svg"] = bars_svg(f"{modality}: share recovered, by kind", kinds, series)
        answered = {e: _answers(here, e) for e in explainers if e != CONSTANT}
        bins = {
            e: reliability([o.confidence for o in some], [o.recovered for o in some]) for e, some in answered.items()
        }
        out[f"calibration-{modality}.svg"] = calibration_svg(f"{modality}: share right, by confidence", bins)
    return out
