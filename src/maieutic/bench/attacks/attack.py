"""What an attack is: programs to be run in a worker, and how the host sees whether they got out.

A judgement rests on what an attack gained (a secret in its output, a file that appeared, a process that was reached), not on
what it says of itself. It returns what got out, in words; empty means contained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maieutic.bench.attacks.scene import Scene
from maieutic.lab.worker import Limits, Ran

#: printed by programs for a door that opened, followed by what it was
OPEN = "OPEN:"

#: what every program finds before its own lines: ``S`` (paths, ports, process ids; never the secret) and two helpers
HELPERS = """\
import os, sys
def attempt(action, *arguments):
    try:
        return action(*arguments)
    except BaseException as error:
        print(type(error).__name__, str(error)[:80])
def opened(what):
    print("OPEN:", what, flush=True)
"""

Judge = Callable[[Scene, Sequence[Ran]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One thing that foreign code may try.

    Attributes:
        name: short; the row of the table.
        group: ``files``, ``processes``, ``network``, ``resources``, ``messages`` or ``escape``.
        what: what is tried, in a sentence.
        programs: each is tried in a worker of its own.
        judge: gets what the programs gave, in order; returns what got out.
        then: run after each program in the same worker once it was reset, as the next unit would be.
        seconds: wall time of a program.
    """

    name: str
    group: str
    what: str
    programs: tuple[str, ...]
    judge: Judge
    then: str | None = None
    seconds: float = 8.0


#: tight enough that every limit is reached in a second or two
LIMITS = Limits(seconds=8.0, memory=1 << 30, scratch=16 << 20, files=200, output=20_000)


def with_facts(program: str, facts: Mapping[str, Any]) -> str:
    """The program with what it is given to aim."""
    return f"S = {dict(facts)!r}\n{HELPERS}\n{program}"


def secret_printed(scene: Scene, ran: Sequence[Ran]) -> str:
    """Whether the secret is in anything that was printed or raised."""
    return "the secret was read" if any(scene.secret in f"{r.output}{r.error}" for r in ran) else ""


def door_opened(scene: Scene, ran: Sequence[Ran]) -> str:
    """Whether a program reports a door that opened."""
    lines = [line for r in ran for line in r.output.splitlines() if line.startswith(OPEN)]
    return "; ".join(dict.fromkeys(line.removeprefix(OPEN).strip() for line in lines))[:300]


def either(*judges: Judge) -> Judge:
    """What any of them found."""
    return lambda scene, ran: "; ".join(found for judge in judges if (found := judge(scene, ran)))
