"""What ``maieutic store check`` looks for: damage, dangling references, claims without experiments, torn files."""

from __future__ import annotations

from pathlib import Path

from maieutic.errors import StoreError
from maieutic.store.files import read_table, read_tensors
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
    """Evidence ids that no experiment has."""
    known = {(r["unit"], r["explainer"], r["entry"]) for r in store.rows(experiments)}
    return [
        f"explanation of unit {row['unit']} by {row['explainer']} cites {entry}, which is no experiment"
        for row in store.rows(explanations)
        for entry in row["evidence"]
        if (row["unit"], row["explainer"], entry) not in known
    ]


def _unfinished(store: Store) -> list[str]:
    rows = [
        f"harvest {r['name']} is not finished: run the same harvest again"
        for r in store.rows(harvests)
        if r["status"] != "done"
    ]
    return rows + [
        f"{r['kind']} of unit {r['unit']} failed: {r['error']}" for r in store.rows(jobs) if r["status"] == "failed"
    ]


def _files(store: Store) -> list[str]:
    """Files that cannot be read, temporary files left by a kill, experiment images that are gone."""
    found: list[str] = []
    for file in sorted(store.folder.rglob("*")):
        try:
            if file.suffix == ".safetensors" and not file.name.startswith("."):
                read_tensors(file)
            elif file.suffix == ".parquet" and not file.name.startswith("."):
                read_table(file)
            elif file.name.startswith(".") and file.suffix not in {".lock", ""} and file.is_file():
                found.append(f"{file.relative_to(store.folder)} is left from an interrupted write: delete it")
        except StoreError as error:
            found.append(str(error))
    for row in store.rows(experiments):
        if row["images"] and not (store.folder / "images" / row["stimulus"][:2] / f"{row['stimulus']}.webp").exists():
            found.append(f"the image of experiment {row['entry']} is missing")
    return found
