"""Tables of ``store.sqlite`` and their migrations.

Times and durations stand in columns named ``*_at`` or ``seconds`` and nowhere else, and ``fresh`` says whether a value was
measured for its entry or had been measured before; both depend on when what ran. Two runs with one seed have the same
contents in every other column, which is what ``Store.digest`` compares.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

#: rises with every change of the tables; ``MIGRATIONS[n]`` takes a store from version n to n + 1
SCHEMA_VERSION = 3
#: marks the SQLite file as ours ("maie")
APPLICATION_ID = 0x6D616965

#: SQL of a unit's site: its key up to the last slash; what stands right of it holds no other
SITE = "substr(key, 1, length(rtrim(key, replace(key, '/', ''))) - 1)"

metadata = MetaData()

harvests = Table(
    "harvests",
    metadata,
    Column("name", String, primary_key=True),
    Column("subject", String, nullable=False),
    Column("subject_fingerprint", String, nullable=False),
    Column("corpus", String, nullable=False),
    Column("corpus_fingerprint", String, nullable=False),
    Column("modality", String, nullable=False),
    Column("sites", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("status", String, nullable=False),
    Column("started_at", String),
    Column("finished_at", String),
    Column("seconds", Float),
)

units = Table(
    "units",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("harvest", String, ForeignKey("harvests.name"), nullable=False),
    Column("key", String, nullable=False),
    Column("role", String, nullable=False),
    UniqueConstraint("harvest", "role", "key"),
    Index("units_by_key", "key"),
    # sites are added up without sorting a million keys
    Index("units_by_site", "harvest", "role", text(SITE)),
)

experiments = Table(
    "experiments",
    metadata,
    Column("unit", Integer, ForeignKey("units.id"), primary_key=True),
    Column("explainer", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("entry", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("hypothesis", Text, nullable=False),
    Column("expect", Float),
    Column("value", Float, nullable=False),
    Column("scaled", Float, nullable=False),
    Column("stimulus", String, nullable=False),
    Column("shown", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("pair", String),
    Column("seed", Integer, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    Column("fresh", Integer, nullable=False, server_default="1"),
    Column("seconds", Float, nullable=False),
)

explanations = Table(
    "explanations",
    metadata,
    Column("unit", Integer, ForeignKey("units.id"), primary_key=True),
    Column("explainer", String, primary_key=True),
    Column("label", Text, nullable=False),
    Column("predicate", JSON, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("reason", Text),
    Column("evidence", JSON, nullable=False),
    Column("considered", JSON, nullable=False),
    Column("measurements", Integer, nullable=False),
    Column("llm_tokens", Integer, nullable=False, server_default="0"),
    Column("dollars", Float, nullable=False, server_default="0"),
    Column("standing", Float),
    Column("settings", JSON, nullable=False),
    Column("written_at", String),
    Column("seconds", Float, nullable=False),
)

scores = Table(
    "scores",
    metadata,
    Column("unit", Integer, ForeignKey("units.id"), primary_key=True),
    Column("explainer", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("n", Integer, nullable=False),
    Column("reason", Text),
    Column("details", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("unit", Integer, ForeignKey("units.id"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("explainer", String, primary_key=True),
    Column("status", String, nullable=False),
    Column("error", Text),
    Column("finished_at", String),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("name", String, primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("code", String, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("status", String, nullable=False),
    Column("started_at", String),
    Column("finished_at", String),
    Column("seconds", Float),
)

waves = Table(
    "waves",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("jobs", JSON, nullable=False),
)

choices = Table(
    "choices",
    metadata,
    Column("unit", Integer, ForeignKey("units.id"), primary_key=True),
    Column("explainer", String, nullable=False),
    Column("standing", Float),
    Column("importance", Float),
    Column("why", Text, nullable=False),
)

TABLES = (harvests, units, experiments, explanations, scores, jobs, sweeps, waves, choices)


def _count_model_use(connection: Connection) -> None:
    """1 to 2: explanations made by language models say what they read, wrote and cost; those before used none."""
    connection.execute(text("ALTER TABLE explanations ADD COLUMN llm_tokens INTEGER NOT NULL DEFAULT 0"))
    connection.execute(text("ALTER TABLE explanations ADD COLUMN dollars FLOAT NOT NULL DEFAULT 0"))


def _add_sweeps(connection: Connection) -> None:
    """2 to 3: whether a value was measured anew, how an explanation stands on the select split, sweeps and their choices,
    and units found by their key and by their site.
    """
    connection.execute(text("ALTER TABLE experiments ADD COLUMN fresh INTEGER NOT NULL DEFAULT 1"))
    connection.execute(text("ALTER TABLE explanations ADD COLUMN standing FLOAT"))
    metadata.create_all(connection, tables=[sweeps, waves, choices])
    connection.execute(text("CREATE INDEX units_by_key ON units (key)"))
    connection.execute(text(f"CREATE INDEX units_by_site ON units (harvest, role, {SITE})"))


MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: _count_model_use, 2: _add_sweeps}
