"""``maieutic drivers``: which units drive a class or a token."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.progress import reporter

if TYPE_CHECKING:
    from maieutic.campaign import Run
    from maieutic.lab.drivers import Drivers
    from maieutic.stimuli import Corpus

EXAMPLE = 'Example:  maieutic drivers smollm2-135m --of "token: Paris" --prompts prompts.txt'


def drivers(
    subject: Annotated[str | None, typer.Argument(help="A model; left out, that of --run.", show_default=False)] = None,
    of: Annotated[str, typer.Option(help='The output: "class:tabby cat", "class:281", "token: Paris".')] = "",
    against: Annotated[
        str | None,
        typer.Option(help='Set it against another output ("class:lynx" is given as lynx).', show_default=False),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Texts that the output follows: a file with one a line.", show_default=False)
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="Stimuli that show the output at work; default: those of the run.", show_default=False),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run of the same model: labels of its units, its corpus, where answers go.")
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="Sites whose units are ranked (repeat). Default: MLPs, or expansions.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Candidates that are ablated, and controls of either kind.")] = 10,
    most: Annotated[int, typer.Option(min=3, help="Stimuli to rank on, and as many to measure on, at most.")] = 24,
    classes: Annotated[
        Path | None, typer.Option(help="File with a name of a class a line.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the page and its JSON; default: drivers in the run.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of controls and resamples.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank units by attribution, verify the best by ablation beside controls, and say which drive the output."""
    from maieutic.campaign import open_run
    from maieutic.campaign.drivers import with_labels, write_drivers
    from maieutic.errors import UsageError
    from maieutic.lab.drivers import find_drivers
    from maieutic.lab.outputs import find_target, output_names
    from maieutic.report.drivers import page_name, write_drivers_page
    from maieutic.subjects import load_subject

    if not of:
        raise UsageError('say which output: --of "class:281" or --of "token: Paris"')
    if subject is None and run is None:
        raise UsageError("name a model, or a run of one with --run")
    with ExitStack() as stack:
        opened = stack.enter_context(open_run(run)) if run is not None else None
        model = opened.subject if opened is not None else load_subject(str(subject))
        if opened is not None and subject is not None and load_subject(subject).fingerprint != model.fingerprint:
            raise UsageError(f"{run} is a run of {model.name}, not of {subject}: leave the model out")
        shown = _stimuli(prompts, corpus, opened)
        names = output_names(model, given=classes, corpus=shown)
        target = find_target(model, of, names=names, corpus=shown, against=against)
        stimuli = _fitting(shown, target.name if target.kind == "class" else "", of)
        found = find_drivers(
            model, stimuli, target, sites=tuple(site or ()), top=top, most=most, seed=seed,
            report=reporter(quiet=as_json),
        )  # fmt: skip
        if opened is not None:
            found = with_labels(found, opened)
    folder = out or ((run / "drivers") if run is not None else Path("drivers"))
    page = write_drivers_page(found, folder)
    write_drivers(found, folder / f"{page_name(found)}.json")
    print(json.dumps(found.to_json(), default=dict)) if as_json else _print(found, page)


def _stimuli(prompts: Path | None, corpus: str | None, run: Run | None) -> Corpus:
    from maieutic.errors import UsageError
    from maieutic.stimuli import Corpus, load_corpus

    if prompts is not None and corpus is not None:
        raise UsageError("--prompts and --corpus say the same thing: give one of them")
    if prompts is not None:
        try:
            # spaces at the end of a line are no part of a prompt: the next token brings its own
            lines = [line.rstrip() for line in prompts.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {prompts}: give a text file with a prompt a line") from error
        return Corpus.from_texts(lines, name=prompts.stem)
    if corpus is not None:
        return load_corpus(corpus)
    if run is None:
        raise UsageError("say where the output is at work: --prompts FILE, --corpus NAME, or --run")
    return run.corpus


def _fitting(corpus: Corpus, name: str, of: str) -> list[Any]:
    """Pictures that show the class, where the corpus says what pictures show and enough do; else everything."""
    from maieutic.lab.halves import LEAST
    from maieutic.lab.outputs import said_of

    wanted = {name.lower(), of.partition(":")[2].strip().lower()} - {""}
    inside = [s for s in corpus if corpus.modality == "image" and wanted & {w.lower() for w in said_of(s)}]
    return inside if len({s.group for s in inside}) >= 2 * LEAST else list(corpus)


def _print(found: Drivers, page: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from maieutic.report.drivers import title_of

    console = Console(highlight=False)
    console.print(f"{title_of(found)}: ", style="bold", end="", markup=False)
    console.print(f"{found.clean} with all units, {found.nothing} with those of the sites at their means", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("unit", "ablated", "foretold", "direct", "", "label"):
        table.add_column(name, overflow="fold")
    for title, rows in (("", found.candidates), ("matched", found.matched), ("bottom", found.bottom)):
        for d in rows:
            direct = "–" if d.direct.value is None else f"{d.direct.value:.3f}"
            foretold = "–" if d.attributed.value is None else f"{d.attributed.value:.3f}"
            table.add_row(d.unit, str(d.ablated), foretold, direct, "drives" if d.drives else title, d.label)
    console.print(table, markup=False)
    for p in found.curve:
        console.print(f"best {p.k}: lost {p.top}; matched {p.matched}; kept {p.kept}", markup=False, soft_wrap=True)
    for note in found.notes:
        console.print(note, markup=False, style="dim")
    console.print(f"{len(found.drivers)} of {len(found.candidates)} candidates drive it; page: {page}", markup=False)
