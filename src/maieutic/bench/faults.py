"""Bench ``faults``: campaigns of agents over a server that fails a fifth of all requests, killed in the middle and run again.

A scripted interpreter (it reads the marked word off the exemplars, measures it, submits it) labels planted units through
the whole real path: client, retries, cache, agent loop, jail, ledger, store. The server turns 20 % of its requests into
faults, drawn by seed and content: 429, 500, lost connections, garbage, stalls, empty answers, refusals, and in code mode
broken and unknown tool calls. At a unit in the middle the process is killed with SIGKILL while a request is out; the same
command then goes on.

Figures, for each mode: ``accounted`` (units that are explained, or failed with a reason written down), ``repeated`` (requests
that the second process sent for units that the first had finished), ``lost`` (explanations of the first process that changed
or vanished), ``torn`` (what ``maieutic store check`` finds besides failed units), ``explained``, ``right`` (of the explained).

What this does not show: anything about explaining. The units are trivial and the interpreter knows what to do.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maieutic.bench.faults_campaign import UNITS, vocabulary
from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.errors import UsageError
from maieutic.llm.loopback import Call, Faults, Loopback, Reply, Request
from maieutic.progress import Report, silent
from maieutic.readings import Reading, share_reading
from maieutic.store import Store, explanations, jobs
from maieutic.store import units as units_table
from maieutic.store.check import problems
from maieutic.subjects.planted import SITE

MODEL = "openai-api/local/scripted"
_WIRE = {"rate-limit": 0.04, "server-error": 0.04, "cut": 0.03, "garbage": 0.02, "stall": 0.01}
#: mode -> share of requests that meet each fault, 0.2 together
RATES: Mapping[str, Mapping[str, float]] = {
    "structured": {**_WIRE, "rate-limit": 0.05, "empty": 0.03, "refusal": 0.02},
    "code": {**_WIRE, "empty": 0.02, "refusal": 0.01, "broken-arguments": 0.015, "unknown-tool": 0.015},
}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a campaign left behind.

    Attributes:
        mode: of the agent.
        keys: units it was to explain.
        before: explanations when it was killed, by unit.
        after: explanations in the end, by unit.
        failed: reasons, by unit.
        repeated: requests of the second process for units of ``before``.
        torn: what is wrong with the run folder.
        faults: requests that met each fault; ``requests`` all of them.
        seconds: of both processes.
    """

    mode: str
    keys: tuple[str, ...]
    before: Mapping[str, Mapping[str, Any]]
    after: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, str]
    repeated: int
    torn: tuple[str, ...]
    faults: Counter[str]
    requests: int
    seconds: float
    output: str = field(default="", repr=False)


def run_faults(
    *,
    seed: int = 0,
    quick: bool = False,
    budget: int | None = None,
    modality: str | None = None,
    report: Report = silent,
) -> BenchResult:
    """Run the campaigns. Takes about two seconds a unit; 200 units, or 24 with ``quick``.

    Args:
        seed: of the faults and the texts.
        quick: few units.
        budget, modality: not for this bench.
        report: called with progress.
    """
    if budget is not None or modality is not None:
        raise UsageError("bench faults has neither --budget nor --modality: leave them out")
    started, each = time.perf_counter(), 12 if quick else UNITS // 2
    ended: list[Ended] = []
    for n, mode in enumerate(RATES):
        with tempfile.TemporaryDirectory(prefix="maieutic-faults-") as folder, report("campaign", mode) as step:
            ended.append(
                campaign_with_faults(
                    Path(folder) / "run", mode=mode, first=n * each, last=(n + 1) * each, seed=seed, step=step
                )
            )
    figures = {name: figure for e in ended for name, figure in _figures(e).items()}
    return BenchResult(
        bench="faults", seed=seed, seconds=time.perf_counter() - started, figures=figures,
        rows=tuple(_row(e, key) for e in ended for key in e.keys), 
        tables=(_outcomes(ended), _faults(ended), *([_reasons(ended)] if any(e.failed for e in ended) else [])),
    )  # fmt: skip


def campaign_with_faults(
    folder: Path, *, mode: str, first: int, last: int, seed: int = 0, step: Any = lambda done, total: None
) -> Ended:
    """One campaign: start it, kill it at the second request about its middle unit, run it again to its end."""
    keys = tuple(f"{SITE}/{i}" for i in range(first, last))
    killer = _Killer(at=keys[len(keys) // 2], keys=keys, step=step)
    faults = Faults(rates=RATES[mode], seed=seed, stall=0.5)
    started = time.perf_counter()
    with Loopback(killer.answer, faults=faults) as server:
        command = [
            sys.executable, "-m", "maieutic.bench.faults_campaign", str(folder), MODEL, server.url, mode, str(first),
            str(last), str(seed),
        ]  # fmt: skip
        first_output = killer.run(command)
        before, sent = _explained(folder), len(server.requests)
        output = subprocess.run(command, capture_output=True, text=True, check=False)
        requests = list(server.requests)
        hit = server.faulted()
    after, failed = _explained(folder), _failed(folder)
    torn = [p for p in problems(folder) if not re.match(r"explain of unit \d+ failed", p)]
    return Ended(
        mode=mode, keys=keys, before=before, after=after, failed=failed, faults=hit, requests=len(requests),
        repeated=sum(unit_of(r) in before for r in requests[sent:]), torn=tuple(torn),
        seconds=time.perf_counter() - started, output=first_output + output.stdout + output.stderr,
    )  # fmt: skip


class _Killer:
    """Answers requests, and kills the process that asks when it asks for the second time about one unit."""

    def __init__(self, *, at: str, keys: tuple[str, ...], step: Any) -> None:
        self.at, self.keys, self.step = at, keys, step
        self.process: subprocess.Popen[str] | None = None
        self.asked = 0

    def run(self, command: list[str]) -> str:
        """Run until it dies.

        Raises:
            AssertionError: it ended by itself, so nothing was interrupted.
        """
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = self.process.communicate()[0]
        died, self.process = self.process.returncode, None
        assert died == -signal.SIGKILL, f"the campaign ended with {died} before it was killed:\n{output}"
        return output

    def answer(self, request: Request) -> Reply:
        unit = unit_of(request)
        if unit in self.keys:
            self.step(self.keys.index(unit), len(self.keys))
        if unit == self.at and self.process is not None:
            self.asked += 1
            if self.asked == 2:
                os.kill(self.process.pid, signal.SIGKILL)
        return interpreter(request)


# --- the interpreter -----------------------------------------------------------------------------------------------


def unit_of(request: Request) -> str:
    """The unit that a conversation is about."""
    found = re.search(rf"The unit is ({SITE}/\d+)", request.text)
    return found.group(1) if found else ""


def interpreter(request: Request) -> Reply:
    """What a careful reader of the exemplars would do next, by form or by program."""
    return _program(request) if request.tools else _form(request)


def _form(request: Request) -> Reply:
    import json

    marked = re.search(r'strongest: "(\w+)"', request.last)
    word = marked.group(1) if marked else "nothing"
    form: dict[str, Any] = {"hypothesis": f'the word "{word}"', "of": 0, "label": "", "stimuli": [], "expect": []}
    if "you expected" not in request.last:
        form |= {"action": "measure", "stimuli": [f"{word} and more", "something else"], "expect": [1.0, 0.0]}
    else:
        form |= {"action": "submit", "label": f'the word "{word}"'}
    return Reply(text=json.dumps(form))


def _program(request: Request) -> Reply:
    heard = "\n".join(str(m.get("content")) for m in request.messages if m["role"] == "tool")
    marked = re.search(r"«(\w+)»", heard)
    if marked is None:
        code = "print(lab.exemplars(4, where='top'))"
    elif "MEASURED" not in heard:
        word = marked.group(1)
        code = f"print('MEASURED', lab.measure(['{word} and more', 'something else'], expect=[1.0, 0.0]))"
    else:
        code = f"lab.submit('the word \"{marked.group(1)}\"', confidence=0.9)"
    return Reply(calls=(Call(name="python", arguments={"code": code}),))


# --- what is left behind --------------------------------------------------------------------------------------------


def _explained(folder: Path) -> dict[str, Mapping[str, Any]]:
    with Store.open(folder) as store:
        keys = {r["id"]: r["key"] for r in store.rows(units_table)}
        return {keys[r["unit"]]: r for r in store.rows(explanations)}


def _failed(folder: Path) -> dict[str, str]:
    with Store.open(folder) as store:
        keys = {r["id"]: r["key"] for r in store.rows(units_table)}
        return {keys[r["unit"]]: r["error"] for r in store.rows(jobs) if r["status"] == "failed"}


def _right(ended: Ended, key: str) -> bool:
    word = vocabulary()[int(key.rpartition("/")[2])]
    return ended.after[key]["label"] == f'the word "{word}"'


def _figures(ended: Ended) -> dict[str, Figure]:
    mode, after = ended.mode, [k for k in ended.keys if k in ended.after]
    accounted = [k in ended.after or bool(ended.failed.get(k)) for k in ended.keys]
    lost = sum(ended.after.get(k) != row for k, row in ended.before.items())
    hit = sum(ended.faults.values())

    def count(name: str, value: float, n: int) -> Figure:
        return Figure(reading=Reading(name=name, value=float(value), n=n), target=0.0, at_least=False)

    return {
        f"{mode}.accounted": Figure(reading=share_reading("accounted", accounted), target=1.0),
        f"{mode}.repeated": count("repeated", ended.repeated, len(ended.before)),
        f"{mode}.lost": count("lost", lost, len(ended.before)),
        f"{mode}.torn": count("torn", len(ended.torn), 1),
        f"{mode}.explained": Figure(reading=share_reading("explained", [k in ended.after for k in ended.keys])),
        f"{mode}.right": Figure(reading=share_reading("right", [_right(ended, k) for k in after])),
        f"{mode}.faults": Figure(reading=Reading(name="faults", value=hit / max(ended.requests, 1), n=ended.requests)),
    }


def _row(ended: Ended, key: str) -> dict[str, Any]:
    return {
        "mode": ended.mode, "unit": key, "label": ended.after[key]["label"] if key in ended.after else None,
        "before_kill": key in ended.before, "failed": ended.failed.get(key),
    }  # fmt: skip


def _outcomes(ended: list[Ended]) -> Table:
    return Table(
        title="Campaigns over a server that fails a fifth of its requests, killed once and run again",
        columns=("mode", "units", "explained", "failed", "lost", "before kill", "asked again", "seconds"),
        rows=tuple(
            (
                e.mode, str(len(e.keys)), str(len(e.after)), str(len(e.failed)),
                str(len([k for k in e.keys if k not in e.after and k not in e.failed])), str(len(e.before)),
                str(e.repeated), f"{e.seconds:.0f}",
            )
            for e in ended
        ),
    )  # fmt: skip


def _faults(ended: list[Ended]) -> Table:
    names = sorted({n for e in ended for n in e.faults})
    rows = [("requests", *(str(e.requests) for e in ended)), *((n, *(str(e.faults[n]) for e in ended)) for n in names)]
    return Table(title="Requests that met a fault", columns=("fault", *(e.mode for e in ended)), rows=tuple(rows))


def _reasons(ended: list[Ended]) -> Table:
    found = Counter((e.mode, reason) for e in ended for reason in e.failed.values())
    rows = [(mode, reason, str(n)) for (mode, reason), n in sorted(found.items())]
    return Table(title="Units that failed", columns=("mode", "reason", "units"), rows=tuple(rows))
