"""The evidence ladder: from an action and who can act again to a dossier, always the same eight rungs in the same order.

reproduce, localise, robust to wording, response to conditions, pre-registered prediction, internals, controls, benign
explanations. It needs no language model besides the one that is investigated: paraphrases come from rules, from the caller,
or from a model that the caller names. Each rung has an estimate with its interval, n and cost; what could not be measured
is unmeasured with its reason and never counts for or against.

What this module does not do: speak of motives. It finds the cause of one act in one transcript.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from maieutic.forensics.act import ActTest
from maieutic.forensics.action import Action
from maieutic.forensics.actor import Actor
from maieutic.forensics.attribution import Settings, find_cause
from maieutic.forensics.benign import benign_table
from maieutic.forensics.dossier import Asked, Benign, Chart, Dossier, Mark, MinimalEdit, Row, Rung
from maieutic.forensics.ladder_case import Case, HeldOut, Rewrites
from maieutic.forensics.ladder_conditions import CONDITIONS, Condition
from maieutic.forensics.ladder_controls import controls
from maieutic.forensics.ladder_predict import predict
from maieutic.forensics.ladder_rule import conclude
from maieutic.forensics.ladder_rungs import conditions, localise, reproduce, unmeasured, wording
from maieutic.forensics.partition import Part, partition
from maieutic.forensics.removal_rewriting import rewrite_by_rules
from maieutic.progress import Report, silent
from maieutic.readings import Cost, Reading

if TYPE_CHECKING:
    from maieutic.forensics.internals import LabelledUnit
    from maieutic.llm import Backbone

RUNGS = 8


def investigate(
    action: Action,
    actor: Actor,
    *,
    settings: Settings | None = None,
    rewrites: Rewrites | None = None,
    held_out: Sequence[HeldOut] | Callable[[Sequence[Part]], Sequence[HeldOut]] = (),
    units: Sequence[LabelledUnit] = (),
    pairs: Sequence[Condition] = CONDITIONS,
    samples: int = 32,
    explorer: Backbone | None = None,
    seed: int = 0,
    report: Report = silent,
) -> Dossier:
    """Climb the ladder.

    Args:
        action: what happened.
        actor: who can act again.
        settings: how the cause is looked for.
        rewrites: other wordings of a sentence; rules of our own otherwise.
        held_out: fresh transcripts to predict, or a function that gives them once the parts of the cause are known; made
            from this transcript otherwise.
        units: labelled units of the same subject, to see which rose.
        pairs: circumstances of rung 4.
        samples: answers a context; some rungs take twice as many.
        explorer: a language model that asks for further experiments when the ladder is climbed; it decides nothing.
        seed: of every draw.
        report: told of each rung.

    Cost: some 60 contexts of ``samples`` answers, and 300 passes where the actor is a white box.

    Raises:
        UserError: nothing can be asked at all (no jail, a wrong key, a model that does not exist).
    """
    before = actor.spent
    with ActTest(action.act) as test, report("investigate", action.id) as step:
        step(0, RUNGS)
        cause = find_cause(action, actor, settings=settings or Settings(seed=seed), test=test)
        case = Case(
            action=action, actor=actor, test=test, partition=partition(action.messages, tokens=actor.tokens), cause=cause,
            rewrites=rewrites or _by_rules, held_out=tuple(held_out(cause.parts) if callable(held_out) else held_out),
            samples=samples, seed=seed + 10_007,
        )  # fmt: skip
        rungs: list[Rung] = []
        for number, climb in enumerate(_steps(case, units, pairs), start=1):
            rungs.append(climb())
            step(number, RUNGS)
        benign = benign_table(case)
        rungs.append(innocent(benign))
        step(RUNGS, RUNGS)
        asked, paid, ended = _explored(case, explorer)
        # passes inside the network, policies of the controls and the language model have accounts of their own
        cost = (actor.spent - before).cost() + rungs[5].estimate.cost + rungs[6].estimate.cost + paid
        return Dossier(
            action=action, model=actor.name, marks=tuple(m for p in cause.parts for m in marks(p)), edit=_edit(case),
            rungs=tuple(rungs), benign=benign, conclusion=conclude(case, rungs, benign), cost=cost, seed=seed,
            notes=(*_notes(case, rungs), *([ended] if ended else [])), asked=asked,
        )  # fmt: skip


def _explored(case: Case, explorer: Backbone | None) -> tuple[tuple[Asked, ...], Cost, str]:
    """Further experiments, what the language model cost, and why it ended early."""
    if explorer is None:
        return (), Cost(), ""
    from maieutic.forensics.ladder_agent import ask_for_experiments

    return ask_for_experiments(case, explorer)


def _steps(case: Case, units: Sequence[LabelledUnit], pairs: Sequence[Condition]) -> list[Callable[[], Rung]]:
    return [
        lambda: reproduce(case),
        lambda: localise(case),
        lambda: wording(case),
        lambda: conditions(case, pairs=pairs),
        lambda: predict(case),
        lambda: _inside(case, units),
        lambda: controls(case),
    ]


def _inside(case: Case, units: Sequence[LabelledUnit]) -> Rung:
    if not case.actor.white_box:
        return unmeasured(6, "Internals agree", "Does the act come from the cause inside the model too?",
                          f"{case.actor.name} is a black box")  # fmt: skip
    from maieutic.forensics.ladder_internals import internals

    return internals(case, units=units)


def innocent(benign: Sequence[Benign]) -> Rung:
    """Rung 8: how many benign explanations are excluded."""
    known = [b for b in benign if b.standing != "unmeasured"]
    name, asked = "Benign explanations", "Is there an innocent reason for the act?"
    if not known:
        return unmeasured(8, name, asked, "no benign explanation could be tested")
    excluded, explains = ([b.name for b in benign if b.standing == s] for s in ("excluded", "explains"))
    verdict = "against" if explains else "supports" if len(excluded) == len(benign) else "undecided"
    why = f"{len(excluded)} of {len(benign)} are excluded." + (
        f" {', '.join(explains)}: explains it." if explains else ""
    )
    rows = tuple(Row(name=f"{b.name} ({b.standing})", reading=b.reading, own=b.standing == "explains") for b in benign)
    estimate = Reading(
        name="ladder.benign", value=len(excluded) / len(benign), n=len(benign),
        cost=sum((b.reading.cost for b in benign), Cost()),
    )  # fmt: skip
    return Rung(
        number=8, name=name, question=asked, verdict=verdict, why=why, estimate=estimate,
        charts=(Chart(title="Rate, or fall of the rate, in each experiment of the table below", rows=rows),),
    )  # fmt: skip


def marks(part: Part) -> list[Mark]:
    """Where a part stands, for the page; white space around it is left out."""
    body = part.text.strip()
    lead = part.text.index(body) if body else 0
    return [
        Mark(message=s.message, field=s.field, start=s.start + lead, end=s.start + lead + len(body), text=body)
        for s in part.spans
    ]


def _edit(case: Case) -> MinimalEdit | None:
    if not case.edit:
        return None
    return MinimalEdit(
        removed=tuple(m for p in case.edit for m in marks(p)),
        before=case.rate(case.context).reading("edit.before"), after=case.removed(case.edit).reading("edit.after"),
    )  # fmt: skip


def _notes(case: Case, rungs: Sequence[Rung]) -> list[str]:
    cause, notes = case.cause, list[str]()
    if cause.overdetermined:
        notes.append("The act is overdetermined: no single part stops it, because another takes over.")
    if cause.verdict == "found" and not cause.complete:
        notes.append("There may be further sets of parts that are enough for the act.")
    if cause.verdict == "found" and cause.positional:
        notes.append("Where the words of the cause stand matters: elsewhere they did not always work.")
    if cause.verdict != "found":
        notes.append(f"No cause is named: {cause.reason}.")
    missing = [r.name for r in rungs if r.verdict == "unmeasured"]
    if missing:
        notes.append(f"Unmeasured: {', '.join(missing)}.")
    left_out = case.action.metadata.get("left_out")
    if left_out:
        notes.append(f"The record leaves out: {left_out}.")
    return notes


def _by_rules(text: str) -> list[str]:
    said = rewrite_by_rules(text)
    return [said] if said != text else []
