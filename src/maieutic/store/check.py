"""What ``maieutic store check`` looks for: damage, dangling references, claims without experiments, torn files."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from maieutic.errors import StoreError
from maieutic.store.files import check_file
from maieutic.store.schema import experiments, explanations, harvests, jobs
from maieutic.store.store import Store


def problems(folder: str | Path) -> list[str]:
    """Everything wrong with a run folder, a line each; empty when it is sound.

    Raises:
        StoreError: it cannot be opened at all.
    """
    with Store.open(folder) as store:
        found = store.integrity() + _claims(store) + _unfinished(store)
        found += _files(store)
    return found


def _claims(store: Store) -> list[str]:
    """Evidence ids that no experiment has. Both tables are walked side by side, in the order of their key."""
    found: list[str] = []
    known = groupby(store.stream(experiments), key=lambda r: (r["unit"], r["explainer"]))
    at, entries = next(known, (None, iter(())))
    for row in store.stream(explanations):
        key = (row["unit"], row["explainer"])
        while at is not None and at < key:
            at, entries = next(known, (None, iter(())))
        own = {r["entry"] for r in entries} if at == key else set[str]()
        found += [
            f"explanation of unit {row['unit']} by {row['explainer']} cites {entry}, which is no experiment"
            for entry in row["evidence"]
            if entry not in own
        ]
    return found


def _unfinished(store: Store) -> list[str]:
    rows = [
        f"harvest {r['name']} is not finished: run the same harvest again"
        for r in store.rows(harvests)
        if r["status"] != "done"
    ]
    return rows + [
        f"{r['kind']} of unit {r['unit']} failed: {r['error']}" for r in store.stream(jobs) if r["status"] == "failed"
    ]


def _files(store: Store) -> list[str]:
    """Files that cannot be read, temporary files left by a kill, experiment images that are gone."""
    found: list[str] = []
    for file in sorted(store.folder.rglob("*")):
        try:
            if not file.name.startswith("."):
                check_file(file)
            elif file.suffix not in {".lock", ""} and file.is_file():
                found.append(f"{file.relative_to(store.folder)} is left from an interrupted write: delete it")
        except StoreError as error:
            found.append(str(error))
    for row in store.stream(experiments):
        if row["images"] and not (store.folder / "images" / row["stimulus"][:2] / f"{row['stimulus']}.webp").exists():
            found.append(f"the image of experiment {row['entry']} is missing")
    return found
