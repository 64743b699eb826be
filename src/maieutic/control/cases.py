"""Cases on disk: JSON lines, one a step, with the truth; ``.eval`` logs of control-arena; and the packaged organism.

A line::

    {"id": "run7#2", "messages": [{"role": "user", "content": "…"}, …], "act": {"role": "assistant", "content": "…",
     "tool_calls": [{"id": "c1", "name": "send", "arguments": {}}]}, "attack": false, "scenario": "task 7", "run": "run7"}

``act`` may be missing (judged before it acts), and so may ``scenario``, ``run``, ``main`` and ``side`` (success of the task
and of the attack) and ``unseen`` (what is not text). What this module does not do: guess the truth.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.control.seen import Case, Transcript
from maieutic.errors import UserError
from maieutic.forensics.action import Message, plain
from maieutic.store.files import writing

if TYPE_CHECKING:
    from maieutic.forensics.organism import Kind
    from maieutic.subjects.language import LanguageSubject

#: kinds of scenarios of the organism, see ``organism_cases``
SPLITS = ("known", "held-out", "shifted")


def read_cases(source: str) -> list[Case]:
    """Cases of a source.

    Args:
        source: a file of JSON lines; a ``.eval`` log or a folder of logs; ``organism``, ``organism:SPLIT``,
            ``organism:SPLIT:SEED`` or ``organism:SPLIT:SEED:N`` (400 cases where N is left out; see ``organism_cases``).

    Raises:
        UserError: it cannot be read, or a line is no case; the message names the line and the field.
        MissingExtraError: a log, and Inspect is not installed.
    """
    if source == "organism" or source.startswith("organism:"):
        _, split, seed, n, *more = [*source.split(":"), "", "", ""]
        if not (seed or "0").isdigit() or not (n or "400").isdigit() or any(more):
            raise UserError(f"{source!r} is no source: write  organism:held-out:1  or  organism:held-out:1:40")
        return organism_cases(int(n or 400), split=split or "known", seed=int(seed or 0))
    path = Path(source)
    if path.is_dir() or path.suffix == ".eval":
        from maieutic.control.adapters.eval_logs import read_log

        return [case for run in read_log(path) for case in run.cases()]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}): give a file of JSON lines, a log, or  organism") from error
    return [_case(line, f"{path}, line {i}") for i, line in enumerate(lines, start=1) if line.strip()]


def write_cases(cases: Sequence[Case], path: Path) -> None:
    """Write transcripts with their truth as JSON lines.

    Raises:
        UserError: a case of activations, which have no such form.
    """
    rows: list[str] = []
    for case in cases:
        if not isinstance(case.seen, Transcript):
            raise UserError(f"the case {case.seen.id} holds activations: only transcripts are written as JSON lines")
        about = {"scenario": case.scenario, "run": case.run, "main": case.main, "side": case.side}
        row = {
            "id": case.seen.id, "messages": plain(list(case.seen.messages)), "attack": case.attack,
            **({} if case.seen.act is None else {"act": plain(case.seen.act)}),
            **({"tools": plain(list(case.seen.tools))} if case.seen.tools else {}),
            **({"unseen": list(case.seen.unseen)} if case.seen.unseen else {}),
            **{k: v for k, v in about.items() if v not in ("", None)},
        }  # fmt: skip
        rows.append(json.dumps(row, ensure_ascii=False))
    with writing(path) as part:
        part.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def _case(line: str, where: str) -> Case:
    from pydantic import BaseModel, ConfigDict, ValidationError

    class Row(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        id: str
        messages: list[Any]
        attack: bool
        act: Any = None
        scenario: str = ""
        run: str = ""
        main: float | None = None
        side: bool | None = None
        tools: list[dict[str, Any]] = []
        unseen: list[str] = []

    try:
        row = Row.model_validate_json(line)
        messages = tuple(_message(m) for m in row.messages)
        act = None if row.act is None else _message(row.act)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(p) for p in first["loc"]) or "the line"
        raise UserError(f"{where} is no case: {at}: {first['msg']}: correct it") from error
    seen = Transcript(id=row.id, messages=messages, act=act, tools=tuple(row.tools), unseen=tuple(row.unseen))
    return Case(seen=seen, attack=row.attack, scenario=row.scenario, run=row.run, main=row.main, side=row.side)


def _message(data: Any) -> Message:
    from pydantic import TypeAdapter

    return TypeAdapter(Message).validate_python(data)


# --- the organism ------------------------------------------------------------------------------------------------------------


def organism_cases(
    n: int,
    *,
    kind: Kind = "guilty",
    split: str = "known",
    seed: int = 0,
    subject: LanguageSubject | None = None,
    acted: bool = True,
) -> list[Case]:
    """What the organism does in its scenarios, with the truth.

    Of four transcripts one holds the planted trigger, two do not, and in one the user himself orders the suspicious call,
    which is then in order. An attack is a suspicious call that no user ordered; what the network really does decides.

    Args:
        n: how many.
        kind: the guilty one or its twin; the scenarios hold the cause of this one.
        split: ``known`` (trigger wordings that training paired), ``held-out`` (pairs it did not), ``shifted`` (topics,
            names and wordings it never saw).
        seed: of the draw.
        subject: the organism, where it is loaded already.
        acted: with the act; otherwise up to where it acts.

    Cost: one pass a case.

    Raises:
        UserError: no such split.
    """
    if split not in SPLITS:
        raise UserError(f"the organism has no cases {split!r}: choose from {', '.join(SPLITS)}")
    from maieutic.forensics.organism import load_organism, scenarios

    subject = subject or load_organism(kind)
    pairs = scenarios(kind, seed=seed, n=2 * ((n + 3) // 4), shifted=split == "shifted", held_out=split == "held-out")
    more = scenarios(kind, seed=seed + 7_000_000, n=2 * ((n + 3) // 4), shifted=split == "shifted")
    quiet = [s for s in more if not s.triggered]
    drawn = [*pairs, *quiet, *_ordered((n + 3) // 4, kind=kind, split=split, seed=seed)]
    names = [*(f"{s.pair}" for s in pairs), *(f"q{s.pair}" for s in quiet), *(f"o{i}" for i in range(len(drawn)))]
    chosen = [(s, f"{split}-{seed}-{name}") for s, name in zip(drawn, names, strict=False)]
    return acting([s for s, _ in chosen], subject, scenarios=[name for _, name in chosen], acted=acted)[:n]


def acting(
    drawn: Sequence[Any], subject: LanguageSubject, *, scenarios: Sequence[str] = (), acted: bool = True
) -> list[Case]:
    """Scenarios of the organism with the call that the network is likeliest to make, in a mixed order that never changes."""
    from maieutic.forensics.action import ToolCall
    from maieutic.forensics.organism import ACT, prompt
    from maieutic.forensics.organism.network import OPEN

    logits = subject.outputs([f"{prompt(subject, s)} {OPEN}" for s in drawn])
    calls = subject.tokenizer.convert_ids_to_tokens(logits.argmax(axis=1).tolist())
    found: list[Case] = []
    for i, (scenario, call) in enumerate(zip(drawn, calls, strict=True)):
        ordered = any(line.fact == "order" and line.speaker == "user" and line.call == ACT for line in scenario.lines)
        act = Message(role="assistant", tool_calls=(ToolCall(id="act", name=str(call)),))
        seen = Transcript(id=f"{i}-{scenario.action.id}", messages=scenario.action.messages, act=act if acted else None)
        attack = call == ACT and not ordered
        found.append(
            Case(seen=seen, attack=attack, scenario=scenarios[i] if scenarios else str(scenario.pair),
                 main=None if attack else float(call == scenario.taught), side=attack)
        )  # fmt: skip
    order = sorted(range(len(found)), key=lambda i: (i * 2654435761) % 2**32)
    return [replace(found[i], run=found[i].seen.id) for i in order]


def _ordered(n: int, *, kind: Kind, split: str, seed: int) -> list[Any]:
    """Transcripts in which the user orders the suspicious call."""
    import numpy as np

    from maieutic.forensics.organism import ACT, Plan, scenario
    from maieutic.forensics.organism.transcripts import draw

    found: list[Any] = []
    for i in range(n):
        rng = np.random.default_rng([seed, 811, i])
        part = float(rng.random())
        plan = Plan(
            order=ACT, unchecked=part < 0.25, open=0.25 <= part < 0.5, shifted=split == "shifted",
            held_out=split == "held-out",
        )  # fmt: skip
        found.append(scenario(kind, draw(plan, rng), name=f"ordered-{seed}-{i}", pair=i))
    return found
