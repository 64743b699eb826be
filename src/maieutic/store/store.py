"""One run = one folder. ``store.sqlite`` (WAL) holds what changes; the driver is its only writer, readers are free.

The store knows records, not subjects or labs. It protects against torn writes (one transaction a unit), two writers (a
lock file), foreign, newer and damaged files (clear errors); not against someone editing the files by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast
from urllib.parse import quote

from filelock import FileLock, Timeout
from sqlalchemy import JSON, Connection, Engine, Table, create_engine, event, func, select, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

from maieutic.errors import StoreError
from maieutic.store.files import disk_error
from maieutic.store.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION, SITE, TABLES, metadata

FILE = "store.sqlite"
#: rows written or read at once
AT_ONCE = 10_000
#: seconds to wait for a program that holds the database
WAIT = 30.0
#: the name that stands for the explanation which a sweep chose for each unit
CHOSEN = "chosen"
#: kinds of files whose contents count in a digest
DATA = frozenset({".safetensors", ".parquet", ".npy", ".webp"})

_BY_SITE = f"""
    SELECT {SITE} AS site, count(*), count(e.unit), count(e.unit) - count(e.reason), count(s.value), avg(s.value)
    FROM units u
    LEFT JOIN explanations e ON e.unit = u.id AND e.explainer = :explainer
    LEFT JOIN scores s ON s.unit = u.id AND s.explainer = :explainer AND s.name = :score
    WHERE u.harvest = :harvest AND u.role = :role
    GROUP BY site ORDER BY site
"""
_BY_SITE_CHOSEN = f"""
    SELECT {SITE} AS site, count(*), count(e.unit), count(e.unit) - count(e.reason), count(s.value), avg(s.value)
    FROM units u
    LEFT JOIN choices c ON c.unit = u.id
    LEFT JOIN explanations e ON e.unit = u.id AND e.explainer = c.explainer
    LEFT JOIN scores s ON s.unit = u.id AND s.explainer = c.explainer AND s.name = :score
    WHERE u.harvest = :harvest AND u.role = :role
    GROUP BY site ORDER BY site
"""


class SiteRow(NamedTuple):
    """A site's units: how many, how many with an explanation, of these how many with a label, and their mean score."""

    site: str
    units: int
    explained: int
    labelled: int
    scored: int
    score: float | None


def now() -> str:
    """The time, for ``*_at`` columns."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store:
    """An open run folder. Use as a context manager, or call ``close``."""

    def __init__(self, folder: Path, engine: Engine, lock: FileLock | None) -> None:
        self.folder, self._engine, self._lock = folder, engine, lock

    # --- opening -------------------------------------------------------------------------------------------------
    @classmethod
    def open(cls, folder: str | Path, *, write: bool = False, create: bool = False) -> Store:
        """Open a run folder.

        Args:
            folder: the run folder.
            write: take the writer's lock.
            create: make the folder and an empty store if there is none (implies ``write``).

        Raises:
            StoreError: no run there, a foreign or damaged file, a newer version, another writer, or no permission.
        """
        path, write = Path(folder), write or create
        file = path / FILE
        if not file.exists():
            if not create:
                raise StoreError(
                    f"{path} is not a maieutic run (no {FILE}): make one with  maieutic harvest … --run {path}"
                )
            if path.exists() and any(p.name != ".lock" for p in path.iterdir()):
                raise StoreError(f"{path} holds other files and no maieutic run: choose an empty folder with --run")
        lock = locked(path) if write else None
        try:
            return cls(path, _engine(file, write=write), lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def close(self) -> None:
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- writing -------------------------------------------------------------------------------------------------
    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """All or nothing; a full disk or lost permission becomes a ``StoreError`` and nothing is half written."""
        assert self._lock is not None, "open the store with write=True"
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise _database_error(error, self.folder) from error

    def put(self, table: Table, rows: Iterable[Mapping[str, Any]], *, connection: Connection) -> None:
        """Insert rows, replacing those with the same key; any number of them, taken from the iterable as they are written.

        Cost: about 10 microseconds a row and an index of the table.
        """
        keys = [c.name for c in table.primary_key.columns]
        for names, alike in groupby(rows, key=lambda row: tuple(row)):
            statement = insert(table)
            changes = {n: statement.excluded[n] for n in names if n not in keys}
            if changes:
                statement = statement.on_conflict_do_update(index_elements=keys, set_=changes)
            while some := [dict(row) for row in islice(alike, AT_ONCE)]:
                connection.execute(statement, some)

    # --- reading -------------------------------------------------------------------------------------------------
    def rows(self, table: Table, **where: Any) -> list[dict[str, Any]]:
        """Rows of a table with the given values, in the order of the key."""
        return list(self.stream(table, **where))

    def stream(self, table: Table, **where: Any) -> Generator[dict[str, Any]]:
        """The same, a row at a time: for tables that do not fit in memory. All from one state of the store.

        A list or tuple stands for any of its values, of which there may be some thousands.
        """
        query = select(table).order_by(*table.primary_key.columns)
        for column, value in where.items():
            several = isinstance(value, (list, tuple))
            query = query.where(table.c[column].in_(value) if several else table.c[column] == value)
        try:
            with self._engine.connect() as connection:
                for row in connection.execution_options(yield_per=AT_ONCE).execute(query).mappings():
                    yield dict(row)
        except DBAPIError as error:
            raise _database_error(error, self.folder) from error

    def columns(
        self, table: Table, names: Sequence[str], *, distinct: bool = False, **where: Any
    ) -> Generator[tuple[Any, ...]]:
        """Some columns of the rows with the given values, a tuple a row, in no order; what is JSON comes as its text.

        ``distinct``: each tuple once.
        Read past SQLAlchemy, which takes five times as long a row: for programs that hold columns of many units.
        """
        query = select(*(table.c[n] for n in names))
        query = query.distinct() if distinct else query
        for column, value in where.items():
            several = isinstance(value, (list, tuple))
            query = query.where(table.c[column].in_(value) if several else table.c[column] == value)
        compiled = query.compile(self._engine, compile_kwargs={"render_postcompile": True})
        order: Sequence[str] = compiled.positiontup or ()
        values = [compiled.params[name] for name in order]
        try:
            with self._engine.connect() as connection:
                yield from cast(Any, connection.connection.driver_connection).execute(str(compiled), values)
        except (DBAPIError, sqlite3.Error) as error:
            raise _database_error(error, self.folder) from error

    def count(self, table: Table, **where: Any) -> int:
        """How many rows have the given values."""
        query = select(func.count()).select_from(table)
        for column, value in where.items():
            query = query.where(table.c[column] == value)
        try:
            with self._engine.connect() as connection:
                return int(connection.execute(query).scalar_one())
        except DBAPIError as error:
            raise _database_error(error, self.folder) from error

    def by_site(self, explainer: str, score: str, *, harvest: str = "main", role: str = "main") -> list[SiteRow]:
        """Per site how many units there are, how many are explained, and the mean of a score. Sorted by site.

        Args:
            explainer: whose explanations count; ``chosen``: for each unit the one that a sweep chose.
            score: name of the score to average, over the units that have it.
            harvest, role: which units.
        """
        query = text(_BY_SITE_CHOSEN if explainer == CHOSEN else _BY_SITE)
        values = {"explainer": explainer, "score": score, "harvest": harvest, "role": role}
        if explainer == CHOSEN:
            del values["explainer"]
        try:
            with self._engine.connect() as connection:
                return [SiteRow(*row) for row in connection.execute(query, values)]
        except DBAPIError as error:
            raise _database_error(error, self.folder) from error

    def digest(self) -> dict[str, str]:
        """Per table and per data file a hash of its contents, times and durations left out.

        Two runs with one seed on one machine have equal digests; so has a run that was killed and resumed. Rows and files
        are read once, a piece at a time.
        """
        out: dict[str, str] = {}
        for table in TABLES:
            digest = hashlib.sha256()
            for line in self._lines(table):
                digest.update(line.encode())
            out[table.name] = digest.hexdigest()[:16]
        for file in sorted(self.folder.rglob("*")):
            if file.suffix in DATA and not file.name.startswith("."):
                with file.open("rb") as handle:
                    digest = hashlib.file_digest(handle, "sha256")
                out[str(file.relative_to(self.folder))] = digest.hexdigest()[:16]
        return out

    def _lines(self, table: Table) -> Iterator[str]:
        """What counts in each row, as text; read past SQLAlchemy, which takes five times as long a row."""
        counted = [c for c in table.columns if not (c.name.endswith("_at") or c.name in ("seconds", "fresh"))]
        query = select(*counted).order_by(*table.primary_key.columns)
        parsed = [i for i, c in enumerate(counted) if isinstance(c.type, JSON)]
        try:
            with self._engine.connect() as connection:
                for row in cast(Any, connection.connection.driver_connection).execute(str(query)):
                    values = list(row)
                    for i in parsed:
                        values[i] = _in_order(values[i])
                    yield json.dumps(values)
        except (DBAPIError, sqlite3.Error) as error:
            raise _database_error(error, self.folder) from error

    def integrity(self) -> list[str]:
        """SQLite's own complaints: damaged pages, dangling references. Empty when sound."""
        with self._engine.connect() as connection:
            pages = [str(r[0]) for r in connection.execute(text("PRAGMA integrity_check")) if r[0] != "ok"]
            dangling = [
                f"{r[0]}: row {r[1]} refers to a missing {r[2]}"
                for r in connection.execute(text("PRAGMA foreign_key_check"))
            ]
        return pages + dangling


def locked(folder: Path) -> FileLock:
    """The writer's lock of a folder, taken; the holder releases it. The system lets go of it when its process dies.

    Raises:
        StoreError: another process writes there, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"another process is writing to {folder}: wait for it, or use another --run folder") from error
    except OSError as error:
        raise disk_error(error, folder / FILE) from error
    return lock


def _engine(file: Path, *, write: bool) -> Engine:
    try:
        return _opened(file, write=write)
    except DBAPIError as error:
        if write or not _stands_still(file):
            raise _database_error(error, file.parent, write=write) from error
    try:
        return _opened(file, write=False, still=True)
    except DBAPIError as error:
        raise _database_error(error, file.parent, write=False) from error


def _stands_still(file: Path) -> bool:
    """Whether nobody can be writing: SQLite makes files to coordinate, which a read-only disk does not let it make.

    With an unfinished log beside it the file by itself would be an older state.
    """
    log = file.with_name(f"{file.name}-wal")
    return not os.access(file.parent, os.W_OK) and not (log.exists() and log.stat().st_size)


def _opened(file: Path, *, write: bool, still: bool = False) -> Engine:
    address = f"file:{quote(str(file.absolute()))}?mode=ro&immutable=1&uri=true" if still else str(file)
    engine = create_engine(f"sqlite:///{address}", connect_args={"timeout": WAIT})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: sqlite3.Connection, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("PRAGMA foreign_keys = ON")
        if write:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

    try:
        _ready(engine, file, write=write)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _ready(engine: Engine, file: Path, *, write: bool) -> None:
    """Check whose file it is and its version; create the tables of a new one; migrate an old one."""
    fresh = not file.exists() or file.stat().st_size == 0
    with engine.begin() as connection:
        if fresh:
            connection.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
            connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
            metadata.create_all(connection)
            return
        owner = connection.execute(text("PRAGMA application_id")).scalar()
        version = int(connection.execute(text("PRAGMA user_version")).scalar() or 0)
        if owner != APPLICATION_ID:
            raise StoreError(f"{file} was not written by maieutic: choose another folder with --run")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{file} has schema {version}, this maieutic knows up to {SCHEMA_VERSION}: upgrade with  pip install -U maieutic"
            )
        if version < SCHEMA_VERSION and not write:
            raise StoreError(f"{file} has the older schema {version}: run  maieutic store migrate {file.parent}")
        for step in range(version, SCHEMA_VERSION):
            MIGRATIONS[step](connection)
            connection.execute(text(f"PRAGMA user_version = {step + 1}"))


@lru_cache(maxsize=4096)
def _in_order(value: str | None) -> str | None:
    """JSON text with its names in order: what was written in another order is the same."""
    return value if value in (None, "{}", "[]") else json.dumps(json.loads(value), sort_keys=True)


def _database_error(error: DBAPIError | sqlite3.Error, folder: Path, *, write: bool = True) -> StoreError:
    cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    if "full" in cause:
        return StoreError(
            f"no space left on the disk of {folder}: free some and run the same command again, it resumes"
        )
    if "unable to open" in cause and not write:
        return StoreError(
            f"cannot open {folder / FILE}: copy the run to a folder that can be written, and open it there"
        )
    if "readonly" in cause or "unable to open" in cause:
        return StoreError(f"cannot write to {folder}: choose another folder with --run, or change its permissions")
    if "locked" in cause:
        return StoreError(f"{folder} is busy with another process: wait for it and run the same command again")
    if "not a database" in cause or "malformed" in cause or "no such" in cause:
        return StoreError(
            f"{folder / FILE} is damaged or not a maieutic store ({cause}): restore it, or start a new --run folder"
        )
    return StoreError(f"{folder / FILE}: {cause}: check with  maieutic store check {folder}")
