"""The tables of the prediction log, and the statements that every stroke makes.

``predictions`` has what versions said, ``truths`` what became known, ``posted`` what was told and
may have to be told again; ``log`` is the view that people and tools read.
"""

from __future__ import annotations

from typing import Any, Final

from router.core.logged.judging import Said
from router.core.logged.prediction import COLUMNS
from router.core.logged.truth import FACTS, TrueValue

_KINDS: Final = {
    "time": "REAL NOT NULL", "row": "INTEGER NOT NULL", "rows": "INTEGER NOT NULL",
    "weight": "REAL NOT NULL", "prediction": "", "score": "REAL", "latency_s": "REAL NOT NULL",
    "status": "INTEGER NOT NULL", "revision": "INTEGER NOT NULL", "unit": "INTEGER NOT NULL",
    "request": "BLOB", "answer": "BLOB", "head": "BLOB", "coding": "TEXT NOT NULL DEFAULT ''",
    "made": "TEXT NOT NULL DEFAULT ''",
}  # fmt: skip
_COLUMNS: Final = ", ".join(f"{name} {_KINDS.get(name, 'TEXT NOT NULL')}" for name in COLUMNS)
TRUTH: Final = (*FACTS, "source", "time")
_STORED: Final = ("key", "row", *TRUTH, "joined", "due")
"""Columns of a truth, in the order in which it is written."""
REPLAYED: Final = ("head", "coding")
"""Columns of no table for people: `rampway score` reads them."""
_LATER: Final = (*REPLAYED, "made")
"""Columns that files of earlier routers do not have."""
_SHOWN: Final = (
    "CASE WHEN p.role = 'shadow' THEN p.prediction ELSE coalesce(p.prediction, t.answer) END"
)
"""What a version said; of a person's it is what was told later."""
_VIEW: Final = ", ".join(
    f"{_SHOWN} AS prediction" if name == "prediction" else f"p.{name}"
    for name in COLUMNS
    if name not in {"receipt", "person", *REPLAYED}
)

ROWS: Final = (
    f"SELECT {_VIEW}, "  # noqa: S608 - of constants
    "t.label AS label, t.time AS label_time, t.source AS label_source, t.correct AS correct, "
    "t.score AS rating, t.value AS value, t.accepted AS accepted "
    "FROM predictions p LEFT JOIN truths t ON t.key = p.request_id AND t.row = p.row"
)
"""The view ``log``."""
_SHARED: Final = f"""CREATE INDEX IF NOT EXISTS held ON truths (due) WHERE joined = 2;
CREATE INDEX IF NOT EXISTS early ON truths (time) WHERE joined = 0;
DROP VIEW IF EXISTS log;
CREATE VIEW log AS {ROWS};
"""
"""Indices of what waits, and the view."""
SQLITE: Final = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS predictions (id INTEGER PRIMARY KEY, {_COLUMNS});
CREATE INDEX IF NOT EXISTS by_request ON predictions (request_id, row);
CREATE INDEX IF NOT EXISTS by_receipt ON predictions (receipt, row) WHERE receipt <> '';
CREATE INDEX IF NOT EXISTS by_person ON predictions (person) WHERE person <> '';
CREATE TABLE IF NOT EXISTS truths (
    key TEXT NOT NULL, row INTEGER NOT NULL, label, correct INTEGER, score REAL, value REAL,
    accepted INTEGER, source TEXT NOT NULL, time REAL NOT NULL, joined INTEGER NOT NULL,
    due REAL NOT NULL, answer, PRIMARY KEY (key, row)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bets (request_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answer_bets (request_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS posted (
    number INTEGER PRIMARY KEY, route TEXT NOT NULL, request_id TEXT NOT NULL,
    matured BLOB NOT NULL
);
{_SHARED}CREATE TEMP TABLE incoming (place INTEGER PRIMARY KEY, key TEXT, row INTEGER);
"""

_POSTGRES_KINDS: Final = {
    "time": "DOUBLE PRECISION NOT NULL", "row": "INTEGER NOT NULL", "rows": "INTEGER NOT NULL",
    "weight": "DOUBLE PRECISION NOT NULL", "prediction": "JSONB", "score": "DOUBLE PRECISION",
    "latency_s": "DOUBLE PRECISION NOT NULL", "status": "INTEGER NOT NULL",
    "revision": "BIGINT NOT NULL", "unit": "BIGINT NOT NULL", "request": "BYTEA",
    "answer": "BYTEA", "head": "BYTEA", "coding": "TEXT NOT NULL DEFAULT ''",
    "made": "TEXT NOT NULL DEFAULT ''",
}  # fmt: skip
_POSTGRES_COLUMNS: Final = ", ".join(
    f"{name} {_POSTGRES_KINDS.get(name, 'TEXT NOT NULL')}" for name in COLUMNS
)
_ADDED: Final = "".join(
    f"ALTER TABLE predictions ADD COLUMN IF NOT EXISTS {name} {_POSTGRES_KINDS[name]};\n"
    for name in _LATER
)
POSTGRES: Final = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS predictions (id BIGSERIAL PRIMARY KEY, {_POSTGRES_COLUMNS});
{_ADDED}CREATE INDEX IF NOT EXISTS by_request ON predictions (request_id, row);
CREATE INDEX IF NOT EXISTS by_receipt ON predictions (receipt, row) WHERE receipt <> '';
CREATE INDEX IF NOT EXISTS by_person ON predictions (person) WHERE person <> '';
CREATE TABLE IF NOT EXISTS truths (
    key TEXT NOT NULL, row INTEGER NOT NULL, label JSONB, correct BOOLEAN, score DOUBLE PRECISION,
    value DOUBLE PRECISION, accepted BOOLEAN, source TEXT NOT NULL, time DOUBLE PRECISION NOT NULL,
    joined INTEGER NOT NULL, due DOUBLE PRECISION NOT NULL, answer JSONB, PRIMARY KEY (key, row)
);
CREATE TABLE IF NOT EXISTS bets (request_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS answer_bets (request_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS posted (
    number BIGINT PRIMARY KEY, route TEXT NOT NULL, request_id TEXT NOT NULL,
    matured BYTEA NOT NULL
);
{_SHARED}CREATE TEMP TABLE incoming (place INTEGER PRIMARY KEY, key TEXT, row INTEGER);
"""
"""The same; what may be of several kinds is JSON: a yes or no, a number, a text."""
_PLACES: Final = ", ".join("?" * len(COLUMNS))
ADDED: Final = tuple(
    (name, f"ALTER TABLE predictions ADD COLUMN {name} {_KINDS[name]}") for name in _LATER
)
"""To a file of an earlier router."""
MAKER: Final = (
    "SELECT version, revision, weight, arm, unit, request_id, time FROM predictions "
    "WHERE person = ? AND route = ? AND role <> 'shadow' AND row = 0 AND error = '' "
    "AND status BETWEEN 200 AND 299 AND time >= ? AND time <= ? ORDER BY time DESC LIMIT 1"
)
"""Who has answered a person's newest request of a route in a stretch of time."""
INSERT: Final = f"INSERT INTO predictions ({', '.join(COLUMNS)}) VALUES ({_PLACES})"  # noqa: S608 - of constants
SAID: Final = ", ".join(_SHOWN if name == "prediction" else f"p.{name}" for name in Said._fields)
PUT: Final = (
    f"INSERT INTO truths ({', '.join(_STORED)}) "  # noqa: S608 - of constants
    f"VALUES ({', '.join('?' * len(_STORED))}) ON CONFLICT (key, row) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _STORED[2:])}"
)
FRESH: Final = ", ".join(f"t.{name}" for name in TRUTH)


def label_of(stored: str | float | None) -> TrueValue | None:
    """A yes or no is stored as an integer, a number never is."""
    return bool(stored) if isinstance(stored, int) else stored


def flag_of(stored: int | None) -> bool | None:
    """A yes or no that is never a number."""
    return None if stored is None else bool(stored)


def answer_read(rest: list[Any]) -> list[Any]:
    """A yes or no that was answered, as such."""
    place = FACTS.index("answer") - 1
    return [*rest[:place], label_of(rest[place]), *rest[place + 1 :]]
