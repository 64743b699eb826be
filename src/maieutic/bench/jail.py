"""Bench ``jail``: do the jails for foreign code hold against a list of attacks?

Every attack of ``maieutic.bench.attacks`` is run in a fresh worker of each jail that starts here. *Contained*: the attack gained
nothing, as the host sees it. The figure of a jail is the share of attacks contained; its target is all of them. A jail that
does not start, or fails its own check, is refused to everyone; here it is unmeasured, with the reason. ``none`` is measured
too, without a target: it shows that the attacks work where nothing stops them.

The attacks are bounded and clean up after themselves, but with ``none`` they do happen: a hundred processes that sleep, files in
``/tmp``, a mount that is undone, signals to a process made for it. What this does not show: that no other attack succeeds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maieutic.bench.attacks import ATTACKS, Attack, tried
from maieutic.bench.result import BenchResult, Figure, Table
from maieutic.errors import UserError
from maieutic.lab.worker import backends
from maieutic.progress import Report, silent
from maieutic.readings import Reading, share_reading

#: the jail that is none
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One attack against one jail.

    Attributes:
        got: what got out; empty when contained.
        unmeasured: why it was not tried to the end; empty when it was.
    """

    attack: Attack
    backend: str
    got: str = ""
    unmeasured: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        return "unmeasured" if self.unmeasured else "ESCAPED" if self.got else "contained"

    def to_json(self) -> dict[str, Any]:
        return {
            "attack": self.attack.name, "group": self.attack.group, "what": self.attack.what, "backend": self.backend,
            "verdict": self.verdict, "got": self.got, "unmeasured": self.unmeasured, "seconds": round(self.seconds, 3),
        }  # fmt: skip


def run_jail(
    *,
    seed: int = 0,
    quick: bool = False,
    attacks: Sequence[Attack] = ATTACKS,
    image: str | None = None,
    report: Report = silent,
) -> BenchResult:
    """Attack every jail that starts on this machine.

    Args:
        seed: kept in the record; secrets and names are drawn anew in every run and do not enter the figures.
        quick: leave out ``none``.
        attacks: what is tried.
        image: for ``docker``.
        report: called with progress.
    """
    started = time.perf_counter()
    refused = backends(image=image)
    trials: list[Trial] = []
    for name in refused:
        if refused[name] or (quick and name == NONE):
            continue
        with report("jail", name) as step:
            for done, attack in enumerate(attacks):
                trials.append(_try(attack, name, image))
                step(done + 1, len(attacks))
    shown = [n for n in refused if not (quick and n == NONE)]
    return BenchResult(
        bench="jail",
        seed=seed,
        seconds=time.perf_counter() - started,
        figures={f"contained.{n}": _figure(n, [t for t in trials if t.backend == n], refused[n]) for n in shown},
        rows=tuple(t.to_json() for t in trials),
        tables=_tables(trials, {n: refused[n] for n in shown}),
    )


def _try(attack: Attack, backend: str, image: str | None) -> Trial:
    started, got, why = time.perf_counter(), "", ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that there is no jail is what is being measured
        try:
            got = tried(attack, backend, image=image)
        except UserError as error:
            why = str(error)
    return Trial(attack=attack, backend=backend, got=got, unmeasured=why, seconds=time.perf_counter() - started)


def _figure(backend: str, trials: Sequence[Trial], refused: str) -> Figure:
    """The share contained. A jail that is refused has no target to miss; an attack that could not be tried is no success."""
    name = f"contained.{backend}"
    if refused:
        return Figure(reading=Reading.unmeasured(name, refused))
    target = None if backend == NONE else 1.0
    missing = [t for t in trials if t.unmeasured]
    if missing:
        return Figure(
            reading=Reading.unmeasured(name, f"{missing[0].attack.name}: {missing[0].unmeasured}"), target=target
        )
    return Figure(reading=share_reading(name, [not t.got for t in trials]), target=target)


def _tables(trials: Sequence[Trial], refused: Mapping[str, str]) -> tuple[Table, ...]:
    verdicts = {(t.attack.name, t.backend): t.verdict for t in trials}
    rows = [
        (name, *(verdicts.get((name, backend), "unmeasured") for backend in refused))
        for name in dict.fromkeys(t.attack.name for t in trials)
    ]
    counts = [[verdicts.get((row[0], b), "unmeasured") for row in rows] for b in refused]
    total = (
        "contained",
        *(f"{c.count('contained')} of {len(c)}" if "unmeasured" not in c else "unmeasured" for c in counts),
    )
    tables = [Table(title="Attacks on each jail", columns=("attack", *refused), rows=(*rows, total))]
    if why := [(f"{name}: {reason}",) for name, reason in refused.items() if reason]:
        tables.append(Table(title="Not measured here", columns=("jail: reason",), rows=tuple(why)))
    if out := [(f"{t.backend}, {t.attack.name}: {t.got}",) for t in trials if t.got and t.backend != NONE]:
        tables.append(Table(title="What got out", columns=("jail, attack: what",), rows=tuple(out)))
    return tuple(tables)
