"""``maieutic lab``: the lab that agents get, for people: run a program in the jail, or work interactively."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maieutic.cli.progress import say

if TYPE_CHECKING:
    from maieutic.campaign import Run
    from maieutic.explain import Viewer
    from maieutic.lab.workbench import Submission, Workbench
    from maieutic.lab.worker import Ran, Worker

EXAMPLE = "Example:  maieutic lab runs/mine layers.3.mlp/17 --exec probe.py"
#: name under which a person's answer is kept in a run
PERSON = "person"

Units = Annotated[
    list[str] | None,
    typer.Argument(help="Units SITE/INDEX, of another run as RUN::SITE/INDEX; default: the run's own."),
]
Budget = Annotated[int, typer.Option(min=1, help="Measurements per unit.")]
Jail = Annotated[str, typer.Option(help="Where programs run: bwrap, landlock, docker, or none (no jail).")]
Imagine = Annotated[str | None, typer.Option(help="compositor, diffusers:ID, or none.", show_default=False)]
Edit = Annotated[str | None, typer.Option(help="compositor, diffusers:ID, or none.", show_default=False)]
Describe = Annotated[str | None, typer.Option(help="embedded, provider/model, or none.", show_default=False)]
Write = Annotated[str | None, typer.Option(help="corpus, provider/model, or none.", show_default=False)]


def lab(
    run: Annotated[Path, typer.Argument(help="A harvested run folder.")],
    units: Units = None,
    program: Annotated[
        Path | None, typer.Option("--exec", help="A Python program to run; - reads it from standard input.")
    ] = None,
    repl: Annotated[bool, typer.Option("--repl", help="Type programs, one after another.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Print what programs can call, and stop.")] = False,
    jail: Jail = "bwrap",
    budget: Budget = 120,
    seconds: Annotated[float, typer.Option(min=0.1, help="Wall time of one program.")] = 300.0,
    imagine: Imagine = None,
    edit: Edit = None,
    describe: Describe = None,
    write: Write = None,
    out: Annotated[Path, typer.Option(help="Where pictures of lab.show(...) are saved.")] = Path("shown"),
    keep: Annotated[
        bool, typer.Option("--keep", help=f"Keep what lab.submit(...) says in the run, as explainer {PERSON}.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object (with --exec).")] = False,
) -> None:
    """Question units with your own programs: the same calls, budget, ledger and jail that agents get."""
    from maieutic.errors import UsageError

    if sum((program is not None, repl, page)) != 1 or (as_json and program is None):
        raise UsageError("choose one of --exec FILE, --repl and --page (--json goes with --exec)")
    source = _source(program) if program is not None else ""
    tools = {"imagine": imagine, "edit": edit, "describe": describe, "write": write}
    with opened_bench(run, units, budget=budget, tools=tools) as opened:
        if page:
            print(opened.bench.page(), end="")
            return
        from maieutic.lab.worker import start_worker

        calls = opened.bench.calls()
        with start_worker(jail, calls=calls, prelude=prelude_file()) as worker:
            opened.bench.desk.mark["jail"] = worker.backend
            if repl:
                _loop(opened.bench, worker, seconds, out)
                failed = False
            else:
                failed = _program(opened, worker, source, seconds, out, as_json)
        if keep:
            for line in opened.kept(PERSON, jail=jail):
                say(line)
    if failed:
        raise typer.Exit(1)


# --- opening, shared with ``maieutic mcp`` ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A workbench over units of one run or several.

    Attributes:
        bench: the workbench.
        runs: the run of each unit, by the unit's name on the bench.
        viewers: per run folder, what predicates read stimuli with.
    """

    bench: Workbench
    runs: Mapping[str, Run]
    viewers: Mapping[Path, Viewer]

    def kept(self, explainer: str, **settings: Any) -> list[str]:
        """Write every submission to its run; a line about each."""
        return [self.keep(s, explainer, **settings) for s in self.bench.submissions.values()]

    def keep(self, submission: Submission, explainer: str, **settings: Any) -> str:
        """Write one submission to its run under an explainer's name.

        Raises:
            UserError: nothing of the label can be executed, or somebody else is writing to the run.
        """
        from maieutic.campaign.keeping import keep_explanation
        from maieutic.explain.submitted import explanation_of

        run, lab = self.runs[submission.name], self.bench.labs[submission.name]
        found = explanation_of(
            submission, lab, self.viewers[run.folder], explainer=explainer, hypotheses=self.bench.hypotheses
        )
        keep_explanation(run, lab, found, **settings)
        return f"kept in {run.folder} as explainer {explainer}: score it with  maieutic score {run.folder} --explainer {explainer}"


@contextmanager
def opened_bench(
    folder: Path, units: Sequence[str] | None, *, budget: int, tools: Mapping[str, str | None], nonce: str = ""
) -> Generator[Opened]:
    """Open runs for reading and put units on a workbench.

    Args:
        folder: the run.
        units: keys, of another run as ``RUN::KEY``; none: the units that the run studies.
        budget: measurements per unit.
        tools: names for ``load_tools``.
        nonce: makes the fence differ from session to session.
    """
    from maieutic.campaign import open_run
    from maieutic.explain import viewer_of
    from maieutic.explain.agent.conclude import read_back
    from maieutic.explain.agent.predicate_kinds import predicate_kinds
    from maieutic.lab import Budget as LabBudget
    from maieutic.lab import Lab
    from maieutic.lab.workbench import Workbench
    from maieutic.stimuli.making import load_tools

    with ExitStack() as stack:
        runs: dict[Path, Run] = {}
        asked = [(Path(r) if r else folder, key) for r, _, key in (u.rpartition("::") for u in units or ())]
        for wanted in [folder, *(path for path, _ in asked)]:
            if wanted not in runs:
                runs[wanted] = stack.enter_context(open_run(wanted))
        pairs = [(runs[path], runs[path].subject.parse_unit(key)) for path, key in asked]
        pairs = pairs or [(runs[folder], unit) for unit in runs[folder].units]
        labs = [Lab(r.subject, unit, r.atlas, budget=LabBudget(measurements=budget), seed=r.seed) for r, unit in pairs]
        viewers = {r.folder: viewer_of(r.subject, r.corpus) for r in runs.values()}
        first, kinds = pairs[0][0], dict[str, str]()
        for run, _ in pairs:
            kinds |= predicate_kinds(run.subject.modality)
        tooled = load_tools([lab.corpus for lab in labs], **tools, seed=first.seed)
        bench = Workbench(labs, tools=tooled, kinds=kinds, seed=first.seed, nonce=nonce)
        of_unit = dict(zip(bench.labs, (r for r, _ in pairs), strict=True))
        bench.record.reads = {n: read_back(bench.labs[n], viewers[r.folder]) for n, r in of_unit.items()}
        yield Opened(bench=bench, runs=of_unit, viewers=viewers)


def prelude_file() -> Path:
    """The file that builds ``lab`` inside the jail."""
    from maieutic.lab import prelude

    return Path(prelude.__file__)


# --- running ---------------------------------------------------------------------------------------------------------


def _source(file: Path) -> str:
    from maieutic.errors import UserError

    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the program {file} ({error}): give a Python file with --exec") from None


def _program(opened: Opened, worker: Worker, source: str, seconds: float, out: Path, as_json: bool) -> bool:
    """Run one program and print what came; whether it failed."""
    ran = worker.run(source, seconds=seconds)
    shown = list(_saved(opened.bench, out))
    if as_json:
        print(json.dumps(_told(opened.bench, worker, ran, shown)))
    else:
        _print(ran, shown)
        say(_summary(opened.bench, worker))
    return bool(ran.error or ran.stopped)


def _loop(bench: Workbench, worker: Worker, seconds: float, out: Path) -> None:
    """Read, run, print, until the input ends."""
    say(f"jail: {worker.backend}; lab, P, np and Image are there (see --page); end with Ctrl-D")
    for source in _cells():
        _print(worker.run(source, seconds=seconds), list(_saved(bench, out)))
    say(_summary(bench, worker))


def _cells() -> Iterator[str]:
    """Complete statements from the terminal (or a pipe); a block ends with an empty line."""
    from codeop import compile_command

    lines: list[str] = []
    while True:
        try:
            lines.append(input("... " if lines else ">>> ") if sys.stdin.isatty() else _line())
        except EOFError:
            if any(line.strip() for line in lines):
                yield "\n".join(lines)
            return
        source = "\n".join(lines)
        try:
            complete = compile_command(source, symbol="single") is not None
        except (SyntaxError, ValueError, OverflowError):
            complete = True  # the jail says what is wrong with it
        if complete:
            lines = []
            if source.strip():
                yield source


def _line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _print(ran: Ran, shown: Sequence[str]) -> None:
    """What a program printed, without characters that a terminal would obey."""
    from maieutic.lab.prelude import visible

    if ran.output:
        print(visible(ran.output), end="" if ran.output.endswith("\n") else "\n", flush=True)
    for line in shown:
        print(visible(line))
    for problem in (ran.error, ran.stopped and f"stopped: {ran.stopped}"):
        if problem:
            print(visible(problem), file=sys.stderr)


def _saved(bench: Workbench, out: Path) -> Iterator[str]:
    """Texts that were shown, and where the pictures were saved."""
    for shown in bench.take_shown():
        if shown.image is None:
            yield shown.text
            continue
        out.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(p.stem) for p in out.glob("*.png") if p.stem.isdecimal()), default=0)
        file = out / f"{number:03d}.png"
        shown.image.save(file)
        yield f"{file} {shown.text}".strip()


def _summary(bench: Workbench, worker: Worker) -> str:
    parts: list[str] = []
    for name, ledger in _ledgers(bench).items():
        off = "" if ledger["mean_error"] is None else f", expectations off by {ledger['mean_error']:.2f} on average"
        parts.append(f"{name}: {ledger['measurements']} measurements, {ledger['left']} left{off}")
    answers = [
        f"{name}: submitted {s.label!r} ({s.confidence:.2f})" if s.label else f"{name}: unexplained: {s.unexplained}"
        for name, s in bench.submissions.items()
    ]
    return "\n".join([*parts, *answers, f"jail: {worker.backend}"])


def _ledgers(bench: Workbench) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for name, lab in bench.labs.items():
        entries = lab.ledger.entries
        off = [abs(e.expect - e.scaled) for e in entries if e.expect is not None]
        if entries or len(bench.labs) == 1:
            mean = sum(off) / len(off) if off else None
            rows[name] = {"measurements": len(entries), "left": lab.remaining, "mean_error": mean}
    return rows


def _told(bench: Workbench, worker: Worker, ran: Ran, shown: Sequence[str]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "jail": worker.backend, "output": ran.output, "error": ran.error, "stopped": ran.stopped, "seconds": ran.seconds,
        "shown": list(shown), "ledgers": _ledgers(bench), "hypotheses": [asdict(h) for h in bench.hypotheses],
        "submissions": {name: asdict(s) for name, s in bench.submissions.items()},
        "experiments": [
            {
                "entry": e.id, "kind": e.kind, "hypothesis": e.hypothesis, "expect": e.expect, "value": e.value,
                "scaled": e.scaled, "shown": e.shown, "stimulus": e.stimulus, "pair": e.pair, "detail": dict(e.detail),
            }
            for lab in bench.labs.values()
            for e in lab.ledger.entries
        ],
    }  # fmt: skip
