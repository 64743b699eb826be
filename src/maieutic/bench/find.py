"""Bench ``find``: explain the string and numeric functions of a checkout of the FIND benchmark that the user brings.

Each function is a black box; an explainer may call it ``budget`` times and gives a program (``find_box``), scored by FIND's own
protocol on inputs that it has not chosen: strings, exact output on the held-out inputs (ten a function); numbers, normalised
squared error below 0.1 on x = i + 0.5, i from -128 to 127, where the function gives a finite number. Inputs that the
explainer happened to try itself are left out. By that protocol an
abstention matches nothing; ``..._when_answered`` leaves abstentions out, and both stand side by side.

``table`` (what was seen; straight lines between probes) is no explanation, and what it scores on numbers needs none. A string
function that does not reproduce its own held-out outputs (checkouts mix two releases) is unmeasured; so is a function that
cannot be run. Functions run in a process of their own: ``find_sandbox`` says what that does and does not protect.

What this does not show: understanding, since the language of the search was written for this kind of function.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.bench.find_box import BoxLab, Explains, Failed, Kind, Program, explain_box
from maieutic.bench.find_checkout import FindFunction, Pair, read_checkout
from maieutic.bench.find_sandbox import Sandbox, ServedBox
from maieutic.bench.result import BenchResult, Figure
from maieutic.errors import UsageError, UserError
from maieutic.progress import Report, silent
from maieutic.readings import Reading, mean_reading, share_reading

#: the one that is measured, then what it is measured against
EXPLAINERS: tuple[str, ...] = ("search", "identity", "constant", "table")
KINDS: tuple[Kind, ...] = ("strings", "numeric")
TESTED = tuple(i + 0.5 for i in range(-128, 128))
#: FIND's threshold of the normalised squared error
NMSE = 0.1
#: functions of each kind that are drawn when no number is given
SIZE = 100
#: explained by the search: more than any baseline in the reference figures of 2023
TARGETS: Mapping[Kind, float] = {"strings": 0.5, "numeric": 0.5}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an explainer made of one function.

    Attributes:
        score: strings: share of held-out inputs with exactly the right output; numbers: 1 when the normalised squared error is
            below 0.1, else 0. Unmeasured when the function cannot be tested.
        whole: strings: every held-out output right; numbers: as ``score``.
    """

    function: FindFunction
    program: Program
    score: Reading
    whole: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        p = self.program
        return {
            "function": self.function.name, "kind": self.function.kind, "source": self.function.source,
            "explainer": p.explainer, "label": p.label, "abstained": p.abstained, "why": p.reason, "calls": p.calls,
            "confidence": p.confidence, "score": self.score.value, "reason": self.score.reason,
            "seconds": round(self.seconds, 3),
        }  # fmt: skip


def run_find(
    *,
    seed: int = 0,
    path: str | Path | None = None,
    modality: str | None = None,
    size: int | None = SIZE,
    quick: bool = False,
    explainers: Sequence[str | Explains] = EXPLAINERS,
    budget: int = 300,
    report: Report = silent,
) -> BenchResult:
    """Explain functions of a checkout and score the explanations by FIND's protocol.

    Args:
        seed: draws the functions and places the probes.
        path: the checkout.
        modality: ``strings`` (or ``text``), ``numeric``, or both.
        size: functions of each kind, drawn without replacement; ``None`` for all.
        quick: a fifth of them, and the first explainer only.
        explainers: the first is under test.
        budget: inputs that an explainer may try on a function.
        report: called with progress.

    Raises:
        UsageError: no checkout was given, or it is none; unknown modality.
    """
    if path is None:
        raise UsageError(
            "the functions of FIND are not part of maieutic (they state no licence): get a checkout from its authors "
            "and give  maieutic bench find --path DIR"
        )
    kinds = _kinds(modality)
    started = time.perf_counter()
    if quick:
        size, explainers = max(1, (size or SIZE) // 5), explainers[:1]
    outcomes: list[Outcome] = []
    with Sandbox() as sandbox:
        for kind in kinds:
            functions = _drawn(read_checkout(path, kind), size, seed)
            with report("find", kind) as step:
                for done, function in enumerate(functions, start=1):
                    outcomes += _tried(function, sandbox, explainers, seed=seed, budget=budget)
                    step(done, len(functions))
    if not outcomes:
        raise UsageError(f"{path} holds no function that could be read: check it out again and give  --path DIR")
    return BenchResult(
        bench="find",
        seed=seed,
        seconds=time.perf_counter() - started,
        figures=_figures(outcomes),
        rows=tuple(o.to_json() for o in outcomes),
    )


def _kinds(modality: str | None) -> tuple[Kind, ...]:
    known: Mapping[str | None, tuple[Kind, ...]] = {
        None: KINDS, "text": ("strings",), "strings": ("strings",), "numeric": ("numeric",),
    }  # fmt: skip
    if modality not in known:
        raise UsageError(f"FIND has strings and numeric functions here, not {modality!r}: leave out --modality")
    return known[modality]


def _drawn(functions: Sequence[FindFunction], size: int | None, seed: int) -> list[FindFunction]:
    if size is None or size >= len(functions):
        return list(functions)
    picks = np.random.default_rng(seed).choice(len(functions), size=size, replace=False)
    return [functions[int(i)] for i in sorted(picks)]


# --- one function --------------------------------------------------------------------------------------------------


def _tried(
    function: FindFunction, sandbox: Sandbox, explainers: Sequence[str | Explains], *, seed: int, budget: int
) -> list[Outcome]:
    """Every explainer on one function; a function that cannot be run or tested is unmeasured for all of them."""
    box = ServedBox(name=function.name, kind=function.kind, code=function.code, sandbox=sandbox)
    truth = _truth(function, box)
    outcomes: list[Outcome] = []
    for explainer in explainers:
        started = time.perf_counter()
        lab = BoxLab(box=box, budget=budget, seed=seed)
        program = _explained(lab, explainer)
        seconds = time.perf_counter() - started
        unseen = truth if isinstance(truth, str) else untried(truth, lab)
        score, whole = _unmeasured(unseen) if isinstance(unseen, str) else scored(program, unseen, function.kind)
        outcomes.append(Outcome(function=function, program=program, score=score, whole=whole, seconds=seconds))
    return outcomes


def _unmeasured(why: str) -> tuple[Reading, bool]:
    return Reading.unmeasured("score", why), False


def _explained(lab: BoxLab, explainer: str | Explains) -> Program:
    """The program; an explainer that raises has abstained, with its error as the reason."""
    name = explainer if isinstance(explainer, str) else getattr(explainer, "__name__", "explainer")
    try:
        return explain_box(lab, explainer)
    except UsageError:
        raise
    except Exception as error:  # explainers may be plug-ins, and a box may not run
        why = f"failed: {type(error).__name__}: {' '.join(str(error).split())[:160]}"
        return Program.unexplained(why, explainer=name, calls=len(lab.tried))


def _truth(function: FindFunction, box: ServedBox) -> list[tuple[Any, Any]] | str:
    """Held-out inputs with the right outputs, or why the function cannot be tested."""
    try:
        if function.kind == "numeric":
            return _finite(box)
        return _own_pairs(function, box)
    except UserError as error:
        return str(error)


def _own_pairs(function: FindFunction, box: ServedBox) -> list[Pair] | str:
    """The first held-out set that the function itself reproduces."""
    for pairs in function.held_out:
        if pairs and box.call([x for x, _ in pairs]) == [y for _, y in pairs]:
            return list(pairs)
    if not function.held_out:
        return "the checkout has no held-out inputs for it"
    return "the function does not give its held-out outputs (another release)"


def _finite(box: ServedBox) -> list[tuple[float, complex]] | str:
    values = box.call(list(TESTED))
    rows = [
        (x, complex(y))
        for x, y in zip(TESTED, values, strict=True)
        if not isinstance(y, Failed) and math.isfinite(abs(y))
    ]
    return rows or "it gives no finite number on the tested inputs"


def untried(truth: Sequence[tuple[Any, Any]], lab: BoxLab) -> list[tuple[Any, Any]] | str:
    """Held-out inputs that the explainer has not happened to try."""
    tried = {x for x, _ in lab.tried}
    return [(x, y) for x, y in truth if x not in tried] or "the explainer tried every held-out input"


def scored(program: Program, truth: Sequence[tuple[Any, Any]], kind: Kind) -> tuple[Reading, bool]:
    """A program's score by FIND's protocol and whether it is wholly right. A program that raises is wrong there."""
    if program.predict is None:
        return Reading(name="score", value=0.0, n=len(truth), details={"abstained": True}), False
    if kind == "strings":
        hits = [_said(program, x) == y for x, y in truth]
        return Reading(name="score", value=sum(hits) / len(hits), n=len(hits)), all(hits)
    error = nmse(program, truth)
    good = error is not None and error < NMSE
    return Reading(name="score", value=float(good), n=len(truth), details={"nmse": error}), good


def nmse(program: Program, truth: Sequence[tuple[float, complex]]) -> float | None:
    """Sum of squared errors over the sum of squared true values; ``None`` when the program fails or gives no number."""
    wrong = total = 0.0
    for x, y in truth:
        said = _said(program, x)
        if not isinstance(said, (int, float, complex)):
            return None
        wrong += abs(complex(said) - y) ** 2
        total += abs(y) ** 2
    if not math.isfinite(wrong):
        return None
    # a function that is 0 everywhere is met exactly or not at all
    return wrong / total if total > 0 else (0.0 if wrong == 0 else None)


def _said(program: Program, value: Any) -> Any:
    assert program.predict is not None
    try:
        return program.predict(value)
    except Exception as error:  # programs come from explainers: one that fails has said nothing
        return Failed(f"{type(error).__name__}: {error}")


# --- figures -------------------------------------------------------------------------------------------------------


def _figures(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    tested = outcomes[0].program.explainer
    kinds: list[Kind] = list(dict.fromkeys(o.function.kind for o in outcomes))
    for kind in kinds:
        for explainer in dict.fromkeys(o.program.explainer for o in outcomes):
            rows = [o for o in outcomes if o.function.kind == kind and o.program.explainer == explainer]
            found |= _of_explainer(f"{kind}.{explainer}", rows, kind, under_test=explainer == tested)
    return found


def _of_explainer(name: str, rows: Sequence[Outcome], kind: Kind, *, under_test: bool) -> dict[str, Figure]:
    measured = [o for o in rows if o.score.measured]
    answered = [o for o in measured if not o.program.abstained]
    headline = "exact" if kind == "strings" else "nmse_below_0.1"
    reading = mean_reading(headline, [o.score for o in rows])
    calls = [Reading(name="calls", value=float(o.program.calls)) for o in rows]
    found = {
        headline: Figure(reading=reading, target=TARGETS[kind] if under_test else None),
        f"{headline}_when_answered": Figure(
            reading=mean_reading(headline, [o.score for o in answered])
            if answered
            else Reading.unmeasured(headline, "it answered nothing")
        ),
        "answered": Figure(reading=share_reading("answered", [not o.program.abstained for o in measured])),
        "calls": Figure(reading=mean_reading("calls", calls)),
        "testable": Figure(reading=share_reading("testable", [o.score.measured for o in rows])),
    }
    if kind == "strings":
        found["all_held_out"] = Figure(reading=share_reading("all_held_out", [o.whole for o in measured]))
    return {f"{name}.{what}": figure for what, figure in found.items()}
