"""``maieutic monitor``: fit monitors on cases, score transcripts with them, compare what they catch with what they cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.agents import More, given
from maieutic.cli.progress import reporter, say

if TYPE_CHECKING:
    from maieutic.control.compare import Compared
    from maieutic.control.monitors import Monitor

app = typer.Typer(help="Monitors of agents: fit, score, compare.", no_args_is_help=True)

FIT = "Example:  maieutic monitor fit probe --data organism:known:1 --subject organism:guilty -o at=first --out runs/probe"
SCORE = "Example:  maieutic monitor score runs/probe --data organism:held-out:2 --subject organism:guilty --json"
COMPARE = "Example:  maieutic monitor compare runs/probe runs/words --data organism:shifted:3 --subject organism:guilty --budget 3%"
Data = Annotated[
    str,
    typer.Option(help="Cases: a file of JSON lines, a .eval log or folder of logs, or organism:SPLIT:SEED:N."),
]
Subject = Annotated[
    str | None,
    typer.Option(help="The language model that acted, for monitors that read activations.", show_default=False),
]
BaseUrl = Annotated[str | None, typer.Option(help="Server of a language model that monitors.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog=FIT)
def fit(
    kind: Annotated[str, typer.Argument(help="probe, units, words, model, ensemble, cascade, or a plug-in's.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the monitor.")],
    subject: Subject = None,
    model: Annotated[str | None, typer.Option(help="Language model, provider/model (kind model).")] = None,
    base_url: BaseUrl = None,
    stage: Annotated[
        list[Path] | None,
        typer.Option("--stage", help="cascade, ensemble: folder of a monitor, cheapest first; may be repeated."),
    ] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="cascade: cost of an average honest step.")] = None,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    option: More = None,
    as_json: Json = False,
) -> None:
    """Fit a monitor on cases with a known truth and write it into a folder."""
    from maieutic.control.cases import read_cases
    from maieutic.control.monitors import Saved, fit_monitor, load_monitor
    from maieutic.errors import UserError

    opened = _subject(subject)
    stages = [load_monitor(s, subject=opened, base_url=base_url) for s in stage or []]
    named = {("members" if kind == "ensemble" else "stages"): stages} if stages else {}
    cases = read_cases(data)
    made = fit_monitor(
        kind, cases, subject=None if stages else opened, model=model, base_url=base_url if kind == "model" else None, budget=budget,
        seed=seed, report=reporter(), **named, **given(option),
    )  # fmt: skip
    if not isinstance(made, Saved):
        raise UserError(f"a monitor of kind {kind} cannot be saved: use it from Python")
    made.save(out)
    about = json.loads((out / "monitor.json").read_text(encoding="utf-8"))
    if as_json:
        print(json.dumps(about))
        return
    say(f"fitted {made.name} on {len(cases)} cases, {sum(c.attack for c in cases)} of them attacks; written to {out}")
    print(f"next:  maieutic monitor compare {out} --data OTHER-CASES{f' --subject {subject}' if subject else ''}")


@app.command(epilog=SCORE)
def score(
    monitor: Annotated[Path, typer.Argument(help="Folder of a monitor.")],
    data: Data,
    subject: Subject = None,
    base_url: BaseUrl = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the most suspicious to print.")] = 10,
    as_json: Json = False,
) -> None:
    """Judge transcripts: the most suspicious first, and those that could not be judged before them."""
    from maieutic.control.cases import read_cases
    from maieutic.control.monitors import load_monitor, suspicions

    asked = load_monitor(monitor, subject=_subject(subject), base_url=base_url)
    cases = read_cases(data)
    readings = suspicions(asked, [c.seen for c in cases])
    if as_json:
        rows = [
            {"id": c.seen.id, "attack": c.attack, "suspicion": r.to_json()}
            for c, r in zip(cases, readings, strict=True)
        ]
        print(json.dumps({"monitor": asked.name, "cases": rows}))
        return
    order = sorted(range(len(cases)), key=lambda i: (-_rank(readings[i].value), i))
    for i in order[:top]:
        print(f"{cases[i].seen.id}  {readings[i]}  {_evidence(readings[i].details)}")
    missing = sum(not r.measured for r in readings)
    print(f"{len(cases)} cases, {missing} of them unmeasured: look at those first")


@app.command(epilog=COMPARE)
def compare(
    monitors: Annotated[list[Path], typer.Argument(help="Folders of monitors.")],
    data: Data,
    subject: Subject = None,
    base_url: BaseUrl = None,
    fpr: Annotated[str, typer.Option(help="False positive rate, 0.01 or 1%.")] = "1%",
    budget: Annotated[str, typer.Option(help="Share of runs that people can look at, 0.03 or 3%.")] = "3%",
    minutes: Annotated[float, typer.Option(min=0, help="Of a person, to look at one act.")] = 10.0,
    out: Annotated[Path | None, typer.Option(help="Folder of the plot and the figures.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare monitors on cases that none of them was fitted on: what they catch, and the tax they take."""
    from maieutic.control.cases import read_cases
    from maieutic.control.compare import compare as compared
    from maieutic.control.metrics import share
    from maieutic.control.monitors import load_monitor

    rate, part = share(fpr, what="--fpr"), share(budget, what="--budget")
    opened = _subject(subject)
    loaded: list[Monitor] = [load_monitor(m, subject=opened, base_url=base_url) for m in monitors]
    found = compared(loaded, read_cases(data), fpr=rate, budget=part, minutes=minutes, seed=seed, report=reporter())
    if out is not None:
        write(found, out, fpr=rate)
        say(f"written to {out}: safety.svg, compare.json")
    if as_json:
        print(json.dumps([c.to_json() for c in found]))
        return
    for line in table(found, fpr=rate, budget=part):
        print(line)


def table(found: Sequence[Compared], *, fpr: float, budget: float) -> list[str]:
    """Figures for people, one line a monitor."""
    heads = ("monitor", "AUROC", f"TPR@{fpr:.1%}", f"safety@{budget:.1%}", "passes", "tokens", "min/1000", "unmeasured")
    rows: list[tuple[str, ...]] = [heads]
    for c in found:
        unmeasured = sum(not r.measured for r in c.readings)
        rows.append(
            (
                c.name, *(_cell(c.figures[n]) for n in ("auroc", "tpr", "safety")),
                *(_cell(r) for r in (c.tax.passes, c.tax.tokens, c.tax.minutes)), f"{unmeasured} of {len(c.readings)}",
            )
        )  # fmt: skip
    wide = [max(len(r[i]) for r in rows) for i in range(len(heads))]
    return ["  ".join(cell.ljust(wide[i]) for i, cell in enumerate(row)).rstrip() for row in rows]


def write(found: Sequence[Compared], folder: Path, *, fpr: float) -> None:
    """The plot of what is caught against the tax, and all figures as JSON."""
    from maieutic.control.plot import Point, safety_svg
    from maieutic.store.files import writing

    points = [Point(name=c.name, tax=c.tax.tokens, worth=c.figures["tpr"]) for c in found]
    svg = safety_svg(
        "Caught attacks against the monitoring tax", points, tax="extra tokens an action", worth=f"TPR at FPR {fpr:g}"
    )
    files = {"safety.svg": svg, "compare.json": json.dumps([c.to_json() for c in found], indent=1)}
    for name, text in files.items():
        with writing(folder / name) as part:
            part.write_text(text, encoding="utf-8")


def _cell(reading: Any) -> str:
    if reading.value is None:
        return "unmeasured"
    if reading.low is None or reading.high is None:
        return f"{reading.value:.3g}"
    return f"{reading.value:.3g} [{reading.low:.3g}, {reading.high:.3g}]"


def _rank(value: float | None) -> float:
    return 2.0 if value is None else value


def _evidence(details: Any) -> str:
    """The evidence in one line."""
    if details.get("concepts"):
        return "; ".join(f"{c['label']} ({c['adds']:+.2f})" for c in details["concepts"][:3])
    if details.get("words"):
        return ", ".join(word for word, _ in details["words"][:5])
    if details.get("tokens"):
        return "reads most at: " + " ".join(token for token, _ in details["tokens"][:5])
    return str(details.get("reason") or "")


def _subject(name: str | None) -> Any:
    """The language subject of a name."""
    if name is None:
        return None
    from maieutic.errors import UsageError
    from maieutic.subjects import load_subject
    from maieutic.subjects.language import LanguageSubject

    found = load_subject(name)
    if not isinstance(found, LanguageSubject):
        raise UsageError(f"{name} is no language model: give the model that acted")
    return found
