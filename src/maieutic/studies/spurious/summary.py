"""The study in lines of plain words, for the terminal and the page. What this module does not do: compute."""

from __future__ import annotations

from collections.abc import Iterator

from maieutic.readings import Reading
from maieutic.studies.spurious.choices import ARMS
from maieutic.studies.spurious.config import TARGET
from maieutic.studies.spurious.run import Study


def percent(reading: Reading) -> str:
    """A share or a difference of shares with its interval, in percent."""
    if reading.value is None:
        return f"unmeasured ({reading.reason})"
    between = (
        "" if reading.low is None or reading.high is None else f" ({_number(reading.low)} to {_number(reading.high)})"
    )
    return f"{_number(reading.value)}{between} %"


def _number(value: float) -> str:
    return f"{100 * value + 0.0:.1f}".replace("-", "−")


def summary_lines(study: Study) -> Iterator[str]:
    """What was asked, what came out, head by head."""
    kept = [len(o.kept) for o in study.outcomes]
    looked = [len(o.units) for o in study.outcomes]
    yield f"Target, set before: {TARGET}."
    yield f"Kept units: {', '.join(f'{k} of {n}' for k, n in zip(kept, looked, strict=True))} (a number for each seed)."
    margin = study.margins["all"]["worst"]
    verdict = "met" if study.met else "not met"
    yield f"Kept minus all units, worst group: {percent(margin)}: the target is {verdict}."
    seeds = ", ".join(_number(d) for d in margin.details["by_seed"])
    yield f"By seed: {seeds}."
    for name, both in study.accuracies.items():
        yield f"{name}: worst group {percent(both['worst'])}, balanced {percent(both['balanced'])}: {ARMS[name]}"
    low, middle, high = study.draws["worst"]
    draws = len(study.outcomes[0].correct["random"])
    yield (
        f"random: worst group {_number(middle)} %, 95 % of {draws} draws and all seeds within {_number(low)} to "
        f"{_number(high)} %: {ARMS['random']}"
    )
    for name, both in study.margins.items():
        if name != "all":
            yield f"kept minus {name}, worst group: {percent(both['worst'])}"


def cautions(study: Study) -> Iterator[str]:
    """What the figures do not say."""
    if study.material.cut == "scene":
        yield "The pictures are composites of cut-outs: they say how the method does on composites, not on photographs."
    if study.material.cut == "centre":
        yield "There were no masks: swaps move the middle of a picture, whatever it shows. Give masks to be exact."
    yield (
        "Intervals draw test objects (within classes) and seeds. The worst of many groups is lower than any one group's "
        "true accuracy, for every head alike; margins are paired."
    )
    if len(study.outcomes) < 3:
        yield "Fewer than three seeds: how much networks differ is hardly known."
    if any(not o.kept for o in study.outcomes):
        yield "In at least one seed no unit was kept: that head always gives the same class, and is counted so."
