"""Labels by meaning: sentence vectors of labels, made in the background a few at a time and kept in the machine's cache.

A label's vector is found by the digest of its text, so runs share them. What is not read yet is not found: pages say how
many are. What this module does not do: judge whether a label is right.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.report.columns import Columns, Numbers
from maieutic.subjects.packages import cache_folder
from maieutic.view.working import ASKED, LATER, Worker

if TYPE_CHECKING:
    from maieutic.score.judged.embedder import Embedder

#: labels that are read at once; in between others may use the worker
BATCH = 32
_LOOKED_UP = 500
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"

Digest = bytes


class Meaning:
    """Vectors of labels. ``why`` says why there are none; ``None`` where nothing speaks against it.

    Args:
        worker: runs the encoder.
        load: opens the encoder.
        folder: of the cache.
    """

    def __init__(
        self, worker: Worker, *, load: Callable[[], Embedder] | None = None, folder: Path | None = None
    ) -> None:
        self._worker, self._load = worker, load or _minilm
        self._file = (folder or cache_folder() / "view") / "labels-minilm.sqlite"
        self._encoder: Embedder | None = None
        self._vectors: dict[Digest, NDArray[np.float32]] = {}
        self._waiting: list[str] = []
        self._wanted: set[Digest] = set()
        self._lock = threading.Lock()
        self._rows: tuple[Columns, int, NDArray[np.float32], NDArray[np.int64]] | None = None
        self._prepared: Columns | None = None
        self.why: str | None = None

    def prepare(self, labels: Sequence[str]) -> None:
        """See to it that these labels get vectors, from the cache at once, else in the background."""
        with self._lock:
            new = {d: t for t in dict.fromkeys(labels) if (d := _digest(t)) not in self._wanted}
            self._wanted |= set(new)
        if not new:
            return
        found = self._cached(list(new))
        with self._lock:
            self._vectors |= found
            self._waiting += [t for d, t in new.items() if d not in found]
        self._worker.submit(self._step, priority=LATER)

    def _step(self) -> None:
        """Read a few labels, then ask for another turn."""
        with self._lock:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        if not batch or self.why is not None:
            return
        made = self._embed(batch)
        if made is None:
            return
        new = {_digest(t): v for t, v in zip(batch, made, strict=True)}
        with self._lock:
            self._vectors |= new
        self._keep(new)
        self._worker.submit(self._step, priority=LATER)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors ``[text, dimension]``; ``None`` where there is no encoder, then ``why`` says why."""
        try:
            if self._encoder is None:
                self._encoder = self._load()
            return np.asarray(self._encoder(texts), dtype=np.float32)
        except UserError as error:
            self.why = str(error)
            return None

    def progress(self, columns: Columns) -> tuple[int, int]:
        """How many of the labels have vectors, and how many labels there are."""
        _, rows = self._matrix(columns)
        labelled = columns.labelled
        return int((rows[labelled] >= 0).sum()), int(labelled.sum())

    def nearness(self, columns: Columns, text: str, *, wait: float) -> Numbers | None:
        """How near each unit's label is to a text, -1 to 1; not a number where it has no vector yet.

        ``None`` when the encoder did not answer within ``wait`` seconds, or there is none (then ``why`` says why).
        """
        if columns is not self._prepared:
            self.prepare([label for label, on in zip(columns.labels, columns.labelled, strict=True) if on])
            self._prepared = columns
        asked = self._worker.submit(lambda: self._embed([text]), priority=ASKED)
        try:
            vector = asked.result(timeout=wait)
        except TimeoutError:
            return None
        return None if vector is None else self._against(columns, vector[0])

    def near_label(self, columns: Columns, row: int) -> Numbers | None:
        """How near the other labels are to that of a row; ``None`` where it has no vector."""
        vector = self._vectors.get(_digest(columns.labels[row]))
        return None if vector is None else self._against(columns, vector)

    def _against(self, columns: Columns, vector: NDArray[np.float32]) -> Numbers:
        matrix, rows = self._matrix(columns)
        out = np.full(len(columns), np.nan)
        known = rows >= 0
        if known.any():
            out[known] = (matrix @ vector)[rows[known]]
        return out

    def _matrix(self, columns: Columns) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Vectors of different labels ``[label, dimension]``, and each row's place among them; -1 where there is none."""
        with self._lock:
            kept, size = self._rows, len(self._vectors)
            if kept is not None and kept[0] is columns and kept[1] == size:
                return kept[2], kept[3]
            vectors = dict(self._vectors)
        places: dict[Digest, int] = {}
        rows = np.full(len(columns), -1, dtype=np.int64)
        for i in np.flatnonzero(columns.labelled).tolist():
            digest = _digest(columns.labels[i])
            if digest in vectors:
                rows[i] = places.setdefault(digest, len(places))
        matrix = np.stack([vectors[d] for d in places]) if places else np.zeros((0, 1), dtype=np.float32)
        with self._lock:
            self._rows = (columns, size, matrix, rows)
        return matrix, rows

    # --- the cache: a convenience; where it cannot be read or written, vectors are made anew -------------------------------
    def _cached(self, digests: Sequence[Digest]) -> dict[Digest, NDArray[np.float32]]:
        found: dict[Digest, NDArray[np.float32]] = {}
        if not self._file.is_file():
            return found
        try:
            with closing(sqlite3.connect(self._file, timeout=5)) as connection:
                for at in range(0, len(digests), _LOOKED_UP):
                    some = digests[at : at + _LOOKED_UP]
                    marks = ",".join("?" * len(some))
                    query = f"SELECT digest, vector FROM vectors WHERE digest IN ({marks})"  # noqa: S608 (marks alone)
                    for digest, vector in connection.execute(query, some):
                        found[bytes(digest)] = np.frombuffer(vector, dtype="<f2").astype(np.float32)
        except sqlite3.Error:
            return {}
        return found

    def _keep(self, new: dict[Digest, NDArray[np.float32]]) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._file, timeout=5)) as connection, connection:
                connection.execute(_SCHEMA)
                rows = [(d, v.astype("<f2").tobytes()) for d, v in new.items()]
                connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError):
            return


def _digest(text: str) -> Digest:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _minilm() -> Embedder:
    from maieutic.score.judged.embedder import MINILM, load_embedder

    return load_embedder(MINILM)
