"""``ask``: an open question about units, layers or models, answered with the measurements that the answer stands on.

An answer is text, not a label: no score tests it. Its evidence is in the ledger, with every prediction made beforehand.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maieutic.errors import UsageError
from maieutic.explain.agent.evaluation import evaluate
from maieutic.explain.agent.prompts import ASK, CODE, QUESTION, briefed
from maieutic.explain.agent.session import Session
from maieutic.explain.agent.settings import AgentSettings
from maieutic.explain.agent.transcripts import write_transcript
from maieutic.lab import Entry, Lab, Ledger
from maieutic.lab.workbench import Workbench
from maieutic.readings import Cost
from maieutic.stimuli.making import load_tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one run answered.

    Attributes:
        run: its number, from 1.
        answer: the text; empty when there is none.
        confidence: as the model stated it.
        reason: why the question stays open or the run gave no answer; ``None`` with an answer.
        evidence: ledger ids that the answer names.
    """

    run: int
    answer: str = ""
    confidence: float | None = None
    reason: str | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question with its answers and every experiment made for them.

    Attributes:
        units: on the bench.
        model: who answered.
        answers: one a run.
        experiments: ledger entries of all runs, in order; their detail says the run.
        transcript: the `.eval` log.
    """

    question: str
    units: tuple[str, ...]
    model: str
    answers: tuple[Answered, ...]
    experiments: tuple[Entry, ...] = field(repr=False, default=())
    cost: Cost = field(default_factory=Cost)
    transcript: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "transcript": None if self.transcript is None else self.transcript.name}


def ask(labs: Sequence[Lab], question: str, *, transcripts: Path | None = None, **options: Any) -> Asked:
    """Have a language model answer a question by experiments on units.

    Args:
        labs: one a unit, of one subject or several. Each run has a ledger and an even share of every lab's budget.
        question: in words.
        transcripts: folder for the `.eval` log and the answer as JSON.
        options: see ``AgentSettings``; ``mode`` is always ``code``.

    Raises:
        UserError: an option is wrong, the jail cannot be used, or the model's server cannot.
    """
    if not question.strip() or not labs:
        raise UsageError("nothing to ask: give a question and at least one unit")
    settings = AgentSettings.of({**options, "mode": "code"})
    folder = transcripts or Path(tempfile.mkdtemp(prefix="maieutic-answers-"))
    units = tuple(lab.unit.key for lab in labs)
    if len(set(units)) < len(units):  # two models may have a unit of one key; ids of measurements must still differ
        units = tuple(f"{lab.subject.name}:{lab.unit.key}" for lab in labs)
        for lab, name in zip(labs, units, strict=True):
            lab.ledger = Ledger(unit=name)
    digest = hashlib.sha256("\0".join([question, *units, settings.model]).encode()).hexdigest()[:12]
    log = folder / f"{digest}.ask.eval"
    with ExitStack() as stack:
        sessions = [stack.enter_context(_session(labs, question, settings, run)) for run in range(1, settings.runs + 1)]
        cost = evaluate(sessions, name=f"ask {digest}", settings=settings, log=log)
        ids = [_absorbed(labs, s, run) for run, s in enumerate(sessions, start=1)]
    write_transcript(log)
    asked = Asked(
        question=question,
        units=units,
        model=settings.model,
        answers=tuple(_answer(s, run, i) for run, (s, i) in enumerate(zip(sessions, ids, strict=True), start=1)),
        experiments=tuple(e for lab in labs for e in lab.ledger.entries),
        cost=sum((e.cost for lab in labs for e in lab.ledger.entries), cost),
        transcript=log,
    )
    (folder / f"{digest}.answer.json").write_text(json.dumps(asked.to_json(), indent=1, default=dict), encoding="utf-8")
    return asked


def _session(labs: Sequence[Lab], question: str, settings: AgentSettings, run: int) -> Session:
    own = [lab.session(measurements=lab.budget.measurements // settings.runs, seed=lab.seed) for lab in labs]
    name = f"question run {run}"
    tools = load_tools(
        [lab.corpus for lab in labs], imagine=settings.imagine, edit=settings.edit, describe=settings.describe,
        write=settings.write, seed=labs[0].seed,
    )  # fmt: skip
    desk = Workbench(own, tools=tools, seed=labs[0].seed, nonce=f"{question} {name}")
    system = f"{ASK}\n{CODE.format(turns=settings.turns, page=desk.page())}"
    start = QUESTION.format(question=question, units=", ".join(desk.labs))
    return Session(
        name=name, labs=own, desk=desk, settings=settings, system=briefed(system, settings.briefing), start=start
    )  # fmt: skip


def _absorbed(labs: Sequence[Lab], session: Session, run: int) -> dict[str, str]:
    ids: dict[str, str] = {}
    for lab, own in zip(labs, session.labs, strict=True):
        ids |= lab.absorb(own, run=run)
    return ids


def _answer(session: Session, run: int, ids: Mapping[str, str]) -> Answered:
    found = session.submission
    if found is None:
        return Answered(run=run, reason=session.ended or "the run ended without an answer")
    evidence = tuple(ids[e] for e in found.evidence if e in ids)
    return Answered(
        run=run, answer=found.label or "", confidence=found.confidence, reason=found.unexplained, evidence=evidence
    )
