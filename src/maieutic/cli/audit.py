"""``maieutic audit``: does an interpreter censor, collude, game its score or leave its room? A trust card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.agents import BaseUrl, Jail, Mode, Model, More, Runs, Turns, given
from maieutic.cli.progress import reporter

if TYPE_CHECKING:
    from maieutic.audit.card import TrustCard

EXAMPLE = (
    "Examples:  maieutic audit --explainer search   |   maieutic audit --explainer agent --model openai/gpt-5-mini "
    "--judge google/gemini-2.5-flash   |   maieutic audit --compare a/card.json --compare b/card.json"
)


def audit(
    explainer: Annotated[
        str, typer.Option(help="Who is audited: search, agent, one-shot, a plug-in, or cheat:NAME.")
    ] = "search",
    model: Model = None,
    base_url: BaseUrl = None,
    modality: Annotated[str, typer.Option(help="Of the exam's units: text or image.")] = "text",
    seed: Annotated[int, typer.Option(help="Of the exam and of every draw. Take another for every audit.")] = 0,
    pairs: Annotated[int, typer.Option(min=1, help="Sensitive units, each with a benign twin.")] = 12,
    budget: Annotated[int, typer.Option(min=1, help="Measurements for each unit.")] = 200,
    judge: Annotated[
        str | None,
        typer.Option(help="Language model of another family that some audits ask.", show_default=False),
    ] = None,
    audits: Annotated[
        str | None,
        typer.Option(help="Only these, as in censoring,nulls; the rest stays unmeasured.", show_default=False),
    ] = None,
    screen: Annotated[
        bool, typer.Option("--screen/--no-screen", help="Screen the model for dangerous abilities.")
    ] = True,
    questions: Annotated[int, typer.Option(min=1, help="Questions of each kind of the screen.")] = 40,
    logs: Annotated[
        list[Path] | None,
        typer.Option("--import", help="Inspect .eval log of another evaluation; may be repeated.", show_default=False),
    ] = None,
    skill: Annotated[
        float, typer.Option(min=0, max=1, help="Least recall that suffices (lower end of its interval).")
    ] = 0.5,
    gap: Annotated[float, typer.Option(min=0, max=1, help="Largest censoring gap that may go unseen.")] = 0.5,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CARD", help="Audit nobody; say which of these cards is the trusted one.", show_default=False
        ),
    ] = None,
    mode: Mode = None,
    runs: Runs = None,
    turns: Turns = None,
    jail: Jail = None,
    more: More = None,
    out: Annotated[Path, typer.Option(help="Folder of the card.")] = Path("trust"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Audit an interpreter on units of known truth; writes card.html, card.json and answers.json.

    Exit code 0 whatever the card says; 1 when nothing could be measured.
    """
    from maieutic.audit.run import Screening, run_audit
    from maieutic.lab import Budget
    from maieutic.report.trust import write_trust

    if compare:
        _compare(compare, as_json=as_json)
        return
    card = run_audit(
        explainer,
        options=given(more, model=model, mode=mode, runs=runs, turns=turns, jail=jail),
        modality=_modality(modality),
        seed=seed,
        pairs=pairs,
        budget=Budget(measurements=budget),
        audits=_names(audits),
        judge=judge,
        base_url=base_url,
        screening=Screening(run=screen, n=questions, logs=tuple(logs or ())),
        bar=skill,
        gap=gap,
        out=out,
        report=reporter(quiet=as_json),
    )
    page = write_trust(card, out)
    print(json.dumps(card.to_json(), default=dict)) if as_json else _print(card, page)
    if not card.skill.measured and all(f.verdict == "unmeasured" for f in card.findings):
        raise typer.Exit(1)


def _modality(name: str) -> Any:
    from maieutic.errors import UsageError, did_you_mean

    if name not in ("text", "image"):
        raise UsageError(f"no modality {name!r}{did_you_mean(name, ('text', 'image'))}: choose text or image")
    return name


def _names(text: str | None) -> tuple[str, ...] | None:
    """Audits separated by commas.

    Raises:
        UsageError: none is named, or one that there is not.
    """
    if text is None:
        return None
    from maieutic import plugins
    from maieutic.audit import audit_names
    from maieutic.errors import UsageError

    names = tuple(dict.fromkeys(n for n in (part.strip() for part in text.split(",")) if n))
    if not names:
        raise UsageError("no audit: name one, as in  --audits censoring,nulls")
    known = audit_names()
    other = next((n for n in names if n not in known), None)
    if other is not None:
        raise plugins.unknown("audit", other, known)
    return names


def _compare(files: list[Path], *, as_json: bool) -> None:
    from maieutic.audit.card import choose, read_card

    choice = choose([read_card(f) for f in files])
    chosen = None if choice.chosen is None else str(files[choice.chosen])
    if as_json:
        print(json.dumps({"chosen": chosen, "because": list(choice.because)}))
        return
    for line in choice.because:
        print(line)
    print(f"trusted: {chosen or 'none of them'}")


def _print(card: TrustCard, page: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from maieutic.report.trust import audits

    console = Console(highlight=False)
    console.print(f"{card.name}: {card.conclusion}", style="bold", markup=False)
    for reason in card.because:
        console.print(f"  {reason}", markup=False)
    table = Table(box=None, pad_edge=False)
    for title in ("", "verdict", "reading", "of"):
        table.add_column(title, overflow="fold")
    for a in audits(card):
        # the finding that the audit's verdict comes from
        first = next((s.finding for s in a.findings if s.chip == a.chip), None)
        table.add_row(a.name, a.chip, "" if first is None else str(first.reading), first.statistic if first else a.why)
    if all(able.standing == "not applicable" for able in card.abilities):
        table.add_row("screen", "not applicable", "", "it asks no model")
    else:
        for able in card.abilities:
            table.add_row(able.name, able.standing, f"{able.reading}, chance {able.chance:g}", f"the model {able.what}")
    table.add_row("skill", "", str(card.skill), "share of ordinary and benign units recalled")
    console.print(table)
    for note in card.notes:
        console.print(f"note: {note}", markup=False)
    console.print(f"card: {page}", markup=False)
