"""``maieutic people``: what people said of a run's labels, how far they agree, and their own labels scored like a machine's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maieutic.cli.progress import reporter

if TYPE_CHECKING:
    from maieutic.report.agreement import Agreement
    from maieutic.report.human import Human
    from maieutic.report.said import Heard

EXAMPLE = (
    "Examples:  maieutic people runs/mine   |   maieutic people runs/mine --score --beside search   |   "
    "maieutic people runs/mine --out said.csv"
)


def people(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    score: Annotated[
        bool,
        typer.Option("--score", help="Score the labels that people wrote, beside the machine's and every control."),
    ] = False,
    beside: Annotated[
        str | None, typer.Option(help="With --score: whose labels stand beside; default: the run's usual ones.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="With --score: only this person's labels.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write everything that was said: a file .csv or .jsonl.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what people said of a run's labels (in  maieutic view), and how far they agree.

    With --score their own labels are kept in the run under the explainer person, and scored on the test split.
    """
    from maieutic.report.agreement import agreements
    from maieutic.report.human import score_people
    from maieutic.report.said import read_said
    from maieutic.store import Store

    Store.open(run).close()
    heard = read_said(run)
    if out is not None:
        _write(heard, out)
    found = agreements(heard.said)
    human = None
    if score:
        human = score_people(run, machine=beside, person=person, report=reporter(quiet=as_json))
    if as_json:
        plain = {
            "said": len(heard.said),
            "unreadable": list(heard.unreadable),
            "agreement": [a.to_json() for a in found],
        }
        print(json.dumps(plain if human is None else {**plain, "human": human.to_json()}))
        return
    _print(heard, found, human)


def _write(heard: Heard, out: Path) -> None:
    from maieutic.errors import UsageError
    from maieutic.report.said import said_csv, said_jsonl
    from maieutic.report.write import write_pages

    makers = {".csv": said_csv, ".jsonl": said_jsonl}
    if out.suffix not in makers:
        raise UsageError(f"{out} is no file that can be written: let it end in .csv or .jsonl")
    write_pages({out: makers[out.suffix](heard)}, advice="give another --out")


def _print(heard: Heard, found: list[Agreement], human: Human | None) -> None:
    print(
        f"{len(heard.said)} things said" + (f", {len(heard.unreadable)} lines unreadable" if heard.unreadable else "")
    )
    for a in found:
        print(f"labels of {a.explainer or 'nobody'}: {a.people} people judged {a.units} units")
        print(f"  confirmed by most {a.confirmed}")
        print(f"  Krippendorff's alpha {a.alpha}")
        for p in a.pairs:
            print(f"  {p.a} and {p.b}: {p.units} units, same {p.same}, kappa {p.kappa}")
    if human is not None:
        print("\n".join(human.lines()))
