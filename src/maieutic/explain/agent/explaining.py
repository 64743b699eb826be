"""``explain_with_agent``: independent runs on one unit, their answers put together, everything kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from maieutic.errors import UserError
from maieutic.explain.agent.conclude import Conclusion, agreed, concluded, read_back
from maieutic.explain.agent.evaluation import evaluate
from maieutic.explain.agent.predicate_kinds import predicate_kinds
from maieutic.explain.agent.prompts import CODE, START, TASK, briefed
from maieutic.explain.agent.session import Session
from maieutic.explain.agent.settings import AgentSettings
from maieutic.explain.agent.transcripts import file_name, write_transcript
from maieutic.explain.explanation import Explanation, Viewer
from maieutic.explain.reading import viewer_for
from maieutic.lab import Lab
from maieutic.lab.workbench import Workbench
from maieutic.llm.prices import dearest
from maieutic.readings import Cost
from maieutic.stimuli.making import Tools, load_tools

NAME = "agent"
#: tokens at most that one tool call prints (characters, bounded by the worker, and pictures)
PRINTED = 40_000


def explain_with_agent(
    lab: Lab,
    *,
    model: str | None = None,
    base_url: str | None = None,
    mode: str | None = None,
    runs: int | None = None,
    turns: int | None = None,
    llm_tokens: int | None = None,
    dollars: float | None = None,
    seconds: int | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    jail: str | None = None,
    code_seconds: float | None = None,
    cache: bool | None = None,
    approval: str | None = None,
    retries: int | None = None,
    pictures: bool | None = None,
    imagine: str | None = None,
    edit: str | None = None,
    describe: str | None = None,
    write: str | None = None,
    briefing: str | None = None,
    honey: Mapping[str, Mapping[str, str]] | None = None,
    transcripts: Path | None = None,
) -> Explanation:
    """Have a language model find out what drives the lab's unit.

    The options are those of ``AgentSettings``; ``None`` keeps a default. The lab's measurements are shared out evenly
    among the runs. ``transcripts`` is the folder of the `.eval` logs and readable transcripts.

    Returns:
        The answer that most runs agree on, with their agreement as confidence, or an abstention.

    Raises:
        UserError: no run gave an answer (the reasons are in the message), a jail or package is missing.
    """
    options = {k: v for k, v in locals().items() if k not in ("lab", "transcripts")}
    settings, viewer = AgentSettings.of(options), viewer_for(lab)
    tools = load_tools(
        lab.corpus, imagine=settings.imagine, edit=settings.edit, describe=settings.describe, write=settings.write,
        seed=lab.seed,
    )  # fmt: skip
    folder = transcripts or Path(tempfile.mkdtemp(prefix="maieutic-transcripts-"))
    log = folder / file_name(lab.unit.key, NAME, ".eval")
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(_session(lab, settings, tools, viewer, run)) for run in range(1, settings.runs + 1)
        ]
        cost = evaluate(sessions, name=f"explain {lab.unit.key}", settings=settings, log=log)
        ids = {s.name: lab.absorb(s.labs[0], run=n) for n, s in enumerate(sessions, start=1)}
    conclusions = [
        concluded(s.submission, run=n, lab=lab, viewer=viewer, ended=s.ended, ids=ids[s.name])
        for n, s in enumerate(sessions, start=1)
    ]
    write_transcript(log, conclusions=conclusions)
    # a form has no field for confidence: what it submits with says nothing
    conclusions = [
        replace(c, rejected=_rejected(s), stated=None if settings.mode == "structured" else c.stated)
        for c, s in zip(conclusions, sessions, strict=True)
    ]
    return _explanation(lab, conclusions, viewer, cost)


def check(**options: Any) -> None:
    """Whether the agent could start: the model opens, the jail is usable, the tools load."""
    options.pop("transcripts", None)
    settings = AgentSettings.of(options)
    from maieutic.llm.opening import open_model

    open_model(settings.model, base_url=settings.base_url)
    if settings.mode == "code":
        from maieutic.lab.worker import start_worker

        start_worker(settings.jail, calls={}).close()


def most(**options: Any) -> tuple[int, float | None]:
    """Tokens and dollars that a unit may cost at most.

    A run is stopped after the answer that passes its limit, and that answer reads again what was said before (at most the
    limit) and what one tool call printed since.
    """
    options.pop("transcripts", None)
    settings = AgentSettings.of(options)
    tokens = settings.runs * (2 * settings.llm_tokens + settings.max_tokens + PRINTED)
    return tokens, dearest(settings.model, tokens)


explain_with_agent.most = most  # pyright: ignore[reportFunctionMemberAccess]
explain_with_agent.check = check  # pyright: ignore[reportFunctionMemberAccess]
explain_with_agent.immaterial = ("base_url", "cache", "approval", "retries", "jail")  # pyright: ignore[reportFunctionMemberAccess]


def _session(lab: Lab, settings: AgentSettings, tools: Tools, viewer: Viewer, run: int) -> Session:
    share = lab.budget.measurements // settings.runs
    own = lab.session(measurements=share, seed=lab.seed)
    name = f"{lab.unit.key} run {run}"
    desk = Workbench(
        [own],
        tools=tools,
        reads=read_back(lab, viewer),
        kinds=predicate_kinds(lab.subject.modality),
        seed=lab.seed,
        nonce=name,
    )
    system = TASK if settings.mode == "structured" else f"{TASK}\n{CODE.format(turns=settings.turns, page=desk.page())}"
    start = START.format(unit=lab.unit.key, model=lab.subject.name, modality=lab.subject.modality)
    return Session(
        name=name, labs=[own], desk=desk, settings=settings, system=briefed(system, settings.briefing), start=start
    )  # fmt: skip


def _explanation(lab: Lab, conclusions: Sequence[Conclusion], viewer: Viewer, cost: Cost) -> Explanation:
    group, confidence = agreed(conclusions, lab, viewer)
    spent = sum((e.cost for e in lab.ledger.entries), cost)
    considered = tuple(_considered(c) for c in conclusions if not group or c.run != group[0].run)
    considered += tuple(r for c in conclusions for r in c.rejected)
    if not group:
        raise UserError(
            "; ".join(f"run {c.run}: {c.failed}" for c in conclusions) + ": run again, or look at the transcript"
        )
    best = group[0]
    told = f"{len(group)} of {len(conclusions)} runs agree"
    if best.reason is not None:
        return Explanation.unexplained(
            lab.unit.key,
            f"{best.reason} ({told})",
            explainer=NAME,
            evidence=best.evidence,
            considered=considered,
            cost=spent,
        )
    assert best.predicate is not None
    return Explanation(
        unit=lab.unit.key, label=best.label, predicate=best.predicate, explainer=NAME, confidence=confidence,
        evidence=best.evidence, considered=considered, cost=spent,
    )  # fmt: skip


def _rejected(session: Session) -> tuple[tuple[str, str], ...]:
    return tuple((h.text, h.because or "rejected") for h in session.desk.hypotheses if h.status == "rejected")


def _considered(c: Conclusion) -> tuple[str, str]:
    if c.failed is not None:
        return (f"run {c.run}", f"no answer: {c.failed}")
    if c.reason is not None:
        return (f"run {c.run}: unexplained", c.reason)
    return (c.label, f"answer of run {c.run}" + (f", stated confidence {c.stated:.2f}" if c.stated is not None else ""))
