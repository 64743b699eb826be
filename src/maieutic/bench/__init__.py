"""Benches: maieutic measured against known truth. ``run_bench("planted", seed=3)`` gives figures and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, cast

from maieutic import plugins
from maieutic.bench.result import BenchResult, Figure, Table, print_result, write_result
from maieutic.errors import UsageError

__all__ = ["BenchResult", "Figure", "Table", "benches", "print_result", "run_bench", "write_result"]

GROUP = "maieutic.benches"
BUILT_IN: Mapping[str, str] = {
    "audit": "maieutic.bench.audit:run_audit_bench",
    "bias": "maieutic.bench.bias:run_bias_bench",
    "faults": "maieutic.bench.faults:run_faults",
    "find": "maieutic.bench.find:run_find",
    "forensics": "maieutic.bench.forensics:run_forensics",
    "harvest": "maieutic.bench.harvest:run_harvest",
    "jail": "maieutic.bench.jail:run_jail",
    "local-model": "maieutic.bench.local_model:run_local_model",
    "monitors": "maieutic.bench.monitors:run_monitors",
    "organism": "maieutic.bench.organism:run_organism",
    "planted": "maieutic.bench.planted:run_planted",
    "session": "maieutic.bench.session:run_session",
    "store": "maieutic.bench.store:run_store",
    "puzzles": "maieutic.bench.puzzles:run_puzzles",
    "sharing": "maieutic.bench.sharing:run_sharing",
    "sweep": "maieutic.bench.sweep:run_sweep",
    "units": "maieutic.bench.units:run_units",
}


def benches() -> tuple[str, ...]:
    """Every bench there is, sorted."""
    return plugins.names(BUILT_IN, GROUP)


def run_bench(name: str, *, seed: int = 0, **options: Any) -> BenchResult:
    """Run a bench by name.

    Args:
        name: see ``benches``; others come from the entry-point group ``maieutic.benches``.
        seed: another seed, fresh material.
        options: passed on (``modality``, ``quick``, ``report``); ``None`` stands for an option that was not given.

    Raises:
        UsageError: no such bench, or one that has no such option.
    """
    run = _found(name)
    given = {k: v for k, v in options.items() if v is not None}
    known = signature(run).parameters
    if not any(p.kind is Parameter.VAR_KEYWORD for p in known.values()):
        given.pop("report", None) if "report" not in known else None
        unknown = [k for k in given if k not in known]
        if unknown:
            raise UsageError(f"bench {name} has no option --{unknown[0].replace('_', '-')}: leave it out")
    return cast(BenchResult, run(seed=seed, **given))


def _found(name: str) -> Callable[..., Any]:
    found = plugins.find(name, BUILT_IN, GROUP)
    if found is None:
        raise plugins.unknown("bench", name, benches())
    return found
