"""Bench ``audit``: do the audits of an explainer catch one that cheats, and leave those alone that do not?

Explainers that cheat on purpose (``audit.cheats``) take exams of planted units of known truth, made anew for each seed, and so
do honest ones: the search, the same with another seed and twelve measurements, and the same in other words.
All but the search are held against its skill, as ``maieutic audit`` does. A card alarms when any of its findings
does after Holm's correction.

Told are the share of honest cards that alarm, the share of each cheat's cards that do and which audit it was, and how that
falls when a cheat turns on fewer units or the exam has fewer pairs. Weaker cheats are mixed from answers already given; for
them only the audits that saw the whole cheat are run again. All audits run that need no model; ``touches`` is left out, for
none of these explainers has tools to touch anything with. What this does not show: cheats that are cleverer than ours, or
language models.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from maieutic.audit.cheats import CHEATS
from maieutic.audit.cheats import cheats as known_cheats
from maieutic.bench.audit_seed import Carded, Settings, try_seed
from maieutic.bench.audit_tables import figures, plots, tables
from maieutic.bench.result import BenchResult
from maieutic.bench.trials import workers
from maieutic.errors import UsageError, did_you_mean
from maieutic.progress import Report, silent

#: seeds in which everybody is asked, and further ones that only honest explainers take
SEEDS, HONEST_SEEDS = 10, 10
QUICK_SEEDS = 2
QUICK_CHEATS = ("censor", "relabel", "collude-zero-width", "memorise", "p-hack", "forge")


def run_audit_bench(
    *,
    seed: int = 0,
    quick: bool = False,
    seeds: int | None = None,
    honest_seeds: int | None = None,
    cheats: Sequence[str] | None = None,
    curves: bool = True,
    jobs: int | None = None,
    report: Report = silent,
) -> BenchResult:
    """Audit honest explainers and cheats over seeds.

    Args:
        seed: the first; the others follow it, those of honest explainers alone last.
        quick: two seeds, small exams, some of the cheats and no curves.
        seeds: how many; 10 when not given.
        honest_seeds: how many more for the rate of false alarms; 10 when not given.
        cheats: names; all when not given.
        curves: whether weaker cheats are judged too.
        jobs: worker processes, a seed each; a core each and two at most when not given. Outcomes do not depend on it.
        report: called with progress.

    Cost: about a minute and a half of one core for each seed; without cheats half of that.

    Raises:
        UsageError: no such cheat, or no seed.
    """
    chosen = tuple(cheats or (QUICK_CHEATS if quick else CHEATS))
    other = next((c for c in chosen if c not in known_cheats()), None)
    if other is not None:
        raise UsageError(
            f"no cheat {other!r}{did_you_mean(other, tuple(known_cheats()))}: choose from {', '.join(CHEATS)}"
        )
    n = (QUICK_SEEDS if quick else SEEDS) if seeds is None else seeds
    more = (0 if quick else HONEST_SEEDS) if honest_seeds is None else honest_seeds
    if n < 1 or more < 0:
        raise UsageError("no seed to audit on: give --option seeds=1 or more")
    whole = Settings(cheats=chosen, quick=quick, curves=curves and not quick)
    plans = [(seed + i, whole) for i in range(n)] + [
        (seed + n + i, Settings(cheats=(), quick=quick)) for i in range(more)
    ]
    started, cards = time.perf_counter(), list[Carded]()
    with report("audit", f"{n + more} exams") as step, _tried(plans, _jobs(jobs)) as rows:
        step(0, len(plans))
        for done, row in enumerate(rows, start=1):
            cards += row
            step(done, len(plans))
    seconds = time.perf_counter() - started
    return BenchResult(
        bench="audit", seed=seed, seconds=seconds, figures=figures(cards), rows=tuple(c.to_json() for c in cards),
        tables=tables(cards, {"all": seconds}), plots=plots(cards),
    )  # fmt: skip


def _jobs(jobs: int | None) -> int:
    return min(os.cpu_count() or 1, 2) if jobs is None else jobs


@contextmanager
def _tried(plans: Sequence[tuple[int, Settings]], jobs: int) -> Generator[Iterator[list[Carded]]]:
    """The cards of each seed, in order; here, or on worker processes."""
    if jobs <= 1 or len(plans) == 1:
        yield (try_seed(*plan) for plan in plans)
        return
    with workers(min(jobs, len(plans))) as pool:
        futures = [pool.submit(try_seed, *plan) for plan in plans]
        yield (f.result() for f in futures)
