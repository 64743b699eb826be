"""Benches: maieutic measured against known truth. ``run_bench("planted", seed=3)`` gives figures and targets."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from maieutic.bench.result import BenchResult, Figure, print_result
from maieutic.errors import UsageError, did_you_mean

__all__ = ["BenchResult", "Figure", "benches", "print_result", "run_bench"]

GROUP = "maieutic.benches"
BUILT_IN: Mapping[str, str] = {"planted": "maieutic.bench.planted:run_planted"}


def benches() -> tuple[str, ...]:
    """Every bench there is, sorted."""
    return tuple(sorted({*BUILT_IN, *(e.name for e in entry_points(group=GROUP))}))


def run_bench(name: str, *, seed: int = 0, **options: Any) -> BenchResult:
    """Run a bench by name.

    Args:
        name: see ``benches``; others come from the entry-point group ``maieutic.benches``.
        seed: another seed, fresh material.
        options: passed on (``modality``, ``quick``, ``report``).

    Raises:
        UsageError: no such bench.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast(BenchResult, getattr(import_module(module), attribute)(seed=seed, **options))
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return cast(BenchResult, entry.load()(seed=seed, **options))
    known = benches()
    raise UsageError(f"no bench {name!r}{did_you_mean(name, known)}: choose from {', '.join(known)}")
