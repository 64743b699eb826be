"""A study of bias as one self-contained page and the same as JSON: effects, placebos, untrained copy, example pairs.

Everything shown is escaped by the template; pictures are small WEBP data inside the page. What this module does not do:
decide what is a bias (`maieutic.studies.bias.study`), or show anybody but what was given to the network.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from maieutic.readings import Reading
from maieutic.report.charts import Bar
from maieutic.report.study import study_style
from maieutic.report.study_charts import Axis, axis
from maieutic.report.write import environment, write_pages
from maieutic.studies.bias.design import Trial
from maieutic.studies.bias.study import BIAS, BiasStudy, Example, Finding

if TYPE_CHECKING:
    from PIL.Image import Image

PAGE, DATA = "bias.html", "bias.json"
#: side of an example picture
_SIDE = 128
#: contrasts whose pairs are shown
_SHOWN = 12
_STYLE = """
.forest.bias .line { grid-template-columns: 11rem 6.5rem 1fr 15rem; }
.forest.bias .beside { opacity: 0.8; } .forest.bias .beside .arm { font-weight: 400; color: var(--muted); padding-left: 1rem; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 1.6rem 2rem; }
.pairs figure { margin: 0; } .pairs .two { display: grid; grid-template-columns: 1fr 1fr; gap: 0.5rem; }
.pairs img { width: 100%; height: auto; display: block; border-radius: 4px; } .pairs blockquote { margin: 0; font-size: 0.9rem; }
@media (max-width: 58rem) { .forest.bias .line { grid-template-columns: 8rem 1fr; } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the forest."""

    name: str
    how: str
    bar: Bar | None
    said: str
    tone: str
    beside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of a pair: a picture as data, or a prompt, and the output's value."""

    picture: Markup | None
    text: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two sides of a contrast."""

    finding: Finding
    why: str
    before: Side
    after: Side


def write_bias(study: BiasStudy, folder: Path) -> Path:
    """Write ``bias.html`` and ``bias.json`` into a folder and give the page. Cost: a few pictures are made again.

    Raises:
        UserError: the folder cannot be written.
    """
    page = folder / PAGE
    texts = {page: bias_html(study), folder / DATA: json.dumps(study.to_json(), indent=1) + "\n"}
    write_pages(texts, advice="give another folder with --out")
    return page


def bias_html(study: BiasStudy) -> str:
    """The page."""
    forests = [(name, *forest(study, name)) for name in study.outputs]
    return environment().get_template("bias.html.j2").render(
        study=study,
        said=list(summary_lines(study)),
        limits=limits(study),
        forests=forests,
        pairs=list(pairs(study)),
        style=Markup(study_style() + Markup(_STYLE)),  # noqa: S704
        title=f"Bias of {', '.join(study.outputs)}",
    )  # fmt: skip


# --- in words ------------------------------------------------------------------------------------------------------


def summary_lines(study: BiasStudy) -> Iterator[str]:
    """What was found, in plain words."""
    found = study.biases
    tried = len(study.findings)
    if not found:
        yield f"{study.subject}: none of {tried} contrasts was confirmed as a bias of {', '.join(study.outputs)}."
    else:
        yield f"{study.subject}: {len(found)} of {tried} contrasts were confirmed as a bias."
    for f in sorted(found, key=lambda f: -abs(f.spread or 0.0)):
        yield sentence(f)
    others = [f for f in study.findings if f.verdict not in (BIAS, "nothing found")]
    if others:
        names = "; ".join(f"{f.output}, {f.attribute}: {f.level} ({f.verdict}: {f.why})" for f in others)
        yield f"Suggested by one half but not called a bias: {names}."
    yield from (n for n in study.notes if n.startswith("WARNING"))


def sentence(f: Finding) -> str:
    """One bias in a sentence."""
    assert f.effect.value is not None, "biases are measured"
    way = "raises" if f.effect.value > 0 else "lowers"
    low, high = f.effect.low or 0.0, f.effect.high or 0.0
    parts = [
        f"{f.attribute} {f.level!r} for {f.reference!r} {way} {f.output} by {abs(f.effect.value):.2f} "
        f"({low:.2f} to {high:.2f})"
    ]
    if f.spread is not None:
        parts.append(f"{abs(f.spread):.2f} of its spread between things")
    if f.placebo.value is not None:
        parts.append(f"placebo {f.placebo.value:+.2f}")
    if f.untrained_spread is not None and f.spread is not None:
        parts.append(f"untrained {f.untrained_spread:+.2f} of its own spread")
    if f.specific.value is not None:
        parts.append(f"{f.specific.value:+.2f} beyond other outputs")
    return "; ".join(parts) + "."


def limits(study: BiasStudy) -> list[str]:
    """What the findings do not say."""
    return [
        "A bias here is an effect on this output of this network in this material. It is no statement about people, nor about "
        "what the network does elsewhere.",
        "Found means: suggested by one half of the bases and confirmed by the other. What was not found may be there and too "
        "small.",
        f"The chance of calling anything a bias when nothing is was held to {study.alpha:g} by Holm on the held-out half.",
        *study.material.notes,
        *study.notes,
    ]


# --- charts --------------------------------------------------------------------------------------------------------


def forest(study: BiasStudy, output: str) -> tuple[Axis, list[tuple[str, list[Row]]]]:
    """Rows by attribute: each contrast, its placebo, and the untrained copy, all over the spread of their own output."""
    own = [f for f in study.findings if f.output == output]
    unit = study.spreads.get(output) or 1.0
    every = [(f, _rows(f, unit)) for f in own]
    # an untrained copy can move by many times its own spread: it is cut off at the edge rather than press all else together
    shown = [r for _, rows in every for name, _, r, _ in rows if name != "untrained"]
    scale = axis([0.0, *(v for r in shown for v in (r.value, r.low, r.high) if v is not None)])
    groups: dict[str, list[Row]] = {}
    for f, rows in every:
        for name, how, reading, beside in rows:
            tone = "control" if beside or f.verdict == "nothing found" else "own" if f.is_bias else "miss"
            groups.setdefault(f"{f.attribute}, beside {f.reference!r}", []).append(
                Row(
                    name=name,
                    how=how,
                    bar=_bar(reading, scale),
                    said=_said(f, reading, beside),
                    tone=tone,
                    beside=beside,
                )
            )
    return scale, list(groups.items())


def _rows(f: Finding, unit: float) -> list[tuple[str, str, Reading, bool]]:
    """(name, how, reading in units of the spread, beside) of a contrast."""
    rows = [(f.level, f.verdict, _over(f.effect, unit), False), ("placebo", "", _over(f.placebo, unit), True)]
    if f.untrained.value is not None and f.untrained_spread:
        rows.append(("untrained", "", _over(f.untrained, f.untrained.value / f.untrained_spread), True))
    return rows


def _over(reading: Reading, unit: float) -> Reading:
    """A reading in another unit."""
    if reading.value is None:
        return reading
    low = None if reading.low is None else reading.low / unit
    high = None if reading.high is None else reading.high / unit
    return Reading(name=reading.name, value=reading.value / unit, low=low, high=high, n=reading.n)


def _bar(reading: Reading, scale: Axis) -> Bar | None:
    if reading.value is None:
        return None
    left = scale.at(reading.value if reading.low is None else reading.low)
    right = scale.at(reading.value if reading.high is None else reading.high)
    return Bar(at=scale.at(reading.value), left=left, width=round(right - left, 2))


def _said(f: Finding, reading: Reading, beside: bool) -> str:
    if reading.value is None:
        return f"unmeasured: {reading.reason}"
    text = f"{reading.value:+.2f}"
    if reading.low is not None and reading.high is not None:
        text += f" ({reading.low:.2f} to {reading.high:.2f})"
    if beside:
        return text
    return text if f.adjusted is None else f"{text}, p {f.adjusted:.2g} for all"


# --- pairs ---------------------------------------------------------------------------------------------------------


def pairs(study: BiasStudy) -> Iterator[Pair]:
    """Example pairs of biases; where there are none, of the largest effects."""
    ranked = sorted(study.findings, key=lambda f: (not f.is_bias, -abs(f.spread or 0.0)))
    chosen = [f for f in ranked if f.is_bias][:_SHOWN] or ranked[:4]
    stimuli = study.material.stimuli()
    kept: dict[str, Markup] = {}
    for f in chosen:
        for e in f.examples:
            yield _pair(f, e, stimuli, kept, study.material.modality == "image")


def _pair(f: Finding, e: Example, stimuli: Mapping[str, Trial], kept: dict[str, Markup], image: bool) -> Pair:
    def side(key: str, value: float) -> Side:
        trial = stimuli[key]
        if image and key not in kept:
            kept[key] = _data(trial.load())
        return Side(picture=kept[key] if image else None, text=trial.said, value=value)

    return Pair(finding=f, why=e.why, before=side(e.reference, e.before), after=side(e.level, e.after))


def _data(picture: Image) -> Markup:
    small = picture.convert("RGB").copy()
    small.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80, method=1)
    return Markup("data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"))  # noqa: S704
