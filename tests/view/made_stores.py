"""Stores filled by hand: any number of units with labels and scores that are written down, and no model behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maieutic.store import Store, experiments, explanations, harvests, jobs, scores, sweeps, units, waves

SITE = "layers.1.mlp"
CONTROLS = ("constant", "shuffled")


def make_store(
    folder: Path,
    *,
    units_of: int = 10,
    nulls: int = 0,
    status: str = "done",
    subject: str = "nobody/made-up",
    fingerprints: tuple[str, str] = ("f" * 16, "c" * 16),
) -> Store:
    """A store open for writing with a harvest and its units ``layers.1.mlp/N``; the caller closes it."""
    store = Store.open(folder, create=True)
    plan = {"subject": "made-up", "corpus": "none", "sites": [SITE], "units": [], "sample": units_of, "size": None,
            "nulls": nulls, "seed": 0}  # fmt: skip
    row = {
        "name": "main", "subject": subject, "subject_fingerprint": fingerprints[0], "corpus": "made up",
        "corpus_fingerprint": fingerprints[1], "modality": "text", "sites": [SITE],
        "settings": {"plan": plan, "fingerprint": "x"}, "versions": {"maieutic": "0"}, "status": status,
        "started_at": at(0), "finished_at": at(1), "seconds": 1.0,
    }  # fmt: skip
    roles = ["main"] * units_of + ["direction"] * nulls
    with store.transaction() as connection:
        store.put(harvests, [row], connection=connection)
        rows = [{"id": n + 1, "harvest": "main", "key": f"{SITE}/{n}", "role": r} for n, r in enumerate(roles)]
        store.put(units, rows, connection=connection)
    return store


def at(second: int) -> str:
    """A time."""
    return f"2026-01-01T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}+00:00"


def explained(
    store: Store,
    unit: int,
    label: str,
    *,
    explainer: str = "search",
    value: float | None = None,
    reason: str | None = None,
    second: int = 0,
    failed: str | None = None,
    spent: Sequence[float] = (0, 0, 0.0),
    controls: Sequence[float] = (),
) -> None:
    """A unit's explanation with its job; with a value its score and its controls."""
    write(store, [(unit, label, value, reason, second, failed)], explainer=explainer, spent=spent, controls=controls)


def write(
    store: Store,
    rows: Sequence[tuple[int, str, float | None, str | None, int, str | None]],
    *,
    explainer: str = "search",
    spent: Sequence[float] = (0, 0, 0.0),
    controls: Sequence[float] = (),
) -> None:
    """Many at once: (unit id, label, score, reason, second, failure)."""
    made: dict[str, list[dict[str, Any]]] = {"jobs": [], "explanations": [], "scores": []}
    for unit, label, value, reason, second, failed in rows:
        both = {"unit": unit, "explainer": explainer}
        status = "done" if failed is None else "failed"
        made["jobs"].append({**both, "kind": "explain", "status": status, "error": failed, "finished_at": at(second)})
        if failed is not None:
            continue
        made["explanations"].append(
            {**both, "label": label, "predicate": {"op": "constant", "value": 0.0}, "confidence": 0.5, "reason": reason,
             "evidence": [], "considered": [], "measurements": int(spent[0]), "llm_tokens": int(spent[1]),
             "dollars": spent[2], "standing": None, "settings": {}, "written_at": at(second), "seconds": 0.1}
        )  # fmt: skip
        if value is not None:
            made["jobs"].append({**both, "kind": "score", "status": "done", "error": None, "finished_at": at(second)})
            figures = {"predictive": value, "predictive.pearson": value}
            for name, other in zip(CONTROLS, controls, strict=False):
                figures |= {f"predictive.control.{name}": other, f"predictive.beats.{name}": value - other}
            made["scores"] += [
                {**both, "name": n, "value": v, "low": v - 0.05, "high": v + 0.05, "n": 10, "reason": None, "details": {},
                 "seconds": 0.0} for n, v in figures.items()
            ]  # fmt: skip
    tables = {"jobs": jobs, "explanations": explanations, "scores": scores}
    with store.transaction() as connection:
        for name, some in made.items():
            store.put(tables[name], some, connection=connection)


def asked(store: Store, unit: int, shown: str, *, explainer: str = "search") -> None:
    """One experiment of a unit."""
    row = {
        "unit": unit, "explainer": explainer, "number": 1, "entry": f"u{unit}#1", "kind": "look", "hypothesis": shown,
        "expect": 0.5, "value": 1.0, "scaled": 0.5, "stimulus": "s", "shown": shown, "position": 0, "pair": None,
        "seed": 0, "detail": {}, "tokens": 1, "images": 0, "fresh": 1, "seconds": 0.0,
    }  # fmt: skip
    with store.transaction() as connection:
        store.put(experiments, [row], connection=connection)


def swept(
    store: Store, stages: Sequence[str], wave: Sequence[tuple[int, int]], *, limit: int, status: str = "running"
) -> None:
    """A sweep with one wave of (unit number, stage)."""
    limits = {"measurements": limit, "llm_tokens": None, "dollars": None}
    settings = {"stages": [{"explainer": s, "budget": 9, "options": {}} for s in stages], "limits": limits}
    row = {"name": "main", "settings": settings, "code": "x", "versions": {}, "status": status, "started_at": at(0)}
    with store.transaction() as connection:
        store.put(sweeps, [row], connection=connection)
        jobs_of = [["main", f"{SITE}/{n}", stage, 9] for n, stage in wave]
        store.put(waves, [{"number": 1, "jobs": jobs_of}], connection=connection)
