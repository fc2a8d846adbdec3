"""The tables of a store in PostgreSQL, their migrations, and the one statement that writes.

A change is one statement: who is paused in the middle of it has left no transaction open, and a
server that answers it has all of it. The statement writes nothing unless this process holds the
lease at its term (the *fence*), and each route stands at the revision from which it goes on
(compare and swap).

Values that are JSON are text, as in a file of SQLite: read back they are what was written, bit for
bit; ``record::jsonb`` is for people. Names begin with ``rampway_``, so that the tables may live
beside others, and are found by the connection's ``search_path``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from router.control.state import layout
from router.control.state.errors import StoreDamaged
from router.control.state.evidence import TrialState
from router.control.state.layout import text_of
from router.control.state.postgres_exchange import ADMIN_MIGRATION, MIGRATION
from router.control.state.record import Change, JournalEntry, RouteRecord, Stored
from router.control.state.store import COMMAND_IDS_MAX, RECEIPTS_MAX, check_fence
from router.loops import net

MIGRATIONS: Final = (
    """
CREATE TABLE rampway_lease (
    name text PRIMARY KEY, holder text NOT NULL, term bigint NOT NULL, expires timestamptz NOT NULL
);
CREATE TABLE rampway_settings (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE rampway_routes (
    route text PRIMARY KEY, revision bigint NOT NULL, term bigint NOT NULL, record text NOT NULL
);
CREATE TABLE rampway_evidence (route text PRIMARY KEY, snapshot text NOT NULL);
CREATE TABLE rampway_commands (id text PRIMARY KEY, number bigserial, answer text NOT NULL);
CREATE INDEX rampway_commands_by_number ON rampway_commands (number);
CREATE TABLE rampway_receipts (mark text PRIMARY KEY, number bigserial);
CREATE INDEX rampway_receipts_by_number ON rampway_receipts (number);
CREATE TABLE rampway_journal (
    id bigserial PRIMARY KEY, at double precision NOT NULL, clock double precision NOT NULL,
    route text NOT NULL, rollout text NOT NULL, revision bigint NOT NULL, actor text NOT NULL,
    action text NOT NULL, phase_from text NOT NULL, phase_to text NOT NULL, step integer NOT NULL,
    weight_bp integer NOT NULL, reason text NOT NULL, evidence text NOT NULL, term bigint NOT NULL
);
CREATE INDEX rampway_journal_by_route ON rampway_journal (route, id);
CREATE UNIQUE INDEX rampway_journal_once
    ON rampway_journal (route, revision, action, at, md5(reason));
""",
    MIGRATION,
    ADMIN_MIGRATION,
    """
CREATE TABLE rampway_reviews (
    id text PRIMARY KEY, route text NOT NULL, version text NOT NULL, revision bigint NOT NULL,
    request_id text NOT NULL, reason text NOT NULL, confidence double precision NOT NULL,
    at double precision NOT NULL, due double precision NOT NULL, labels text NOT NULL,
    request bytea NOT NULL, answer bytea NOT NULL, content_type text NOT NULL,
    target text NOT NULL, beside text, needs integer NOT NULL,
    state text NOT NULL DEFAULT 'open', holder text,
    lease double precision NOT NULL DEFAULT 0, given integer NOT NULL DEFAULT 0, verdict text,
    body bytea, ended double precision, overruled boolean, told boolean NOT NULL DEFAULT false,
    sent boolean NOT NULL DEFAULT false, settled timestamptz
);
CREATE INDEX rampway_reviews_open ON rampway_reviews (route, at) WHERE state = 'open';
CREATE INDEX rampway_reviews_due ON rampway_reviews (due) WHERE state = 'open';
CREATE INDEX rampway_reviews_untold ON rampway_reviews (ended) WHERE state <> 'open' AND NOT told;
CREATE INDEX rampway_reviews_unsent ON rampway_reviews (ended) WHERE state <> 'open' AND NOT sent;
CREATE INDEX rampway_reviews_ended ON rampway_reviews (ended) WHERE state <> 'open';
CREATE INDEX rampway_reviews_settled ON rampway_reviews (settled) WHERE state = 'decided';
CREATE INDEX rampway_reviews_asked ON rampway_reviews (route, request_id);
CREATE TABLE rampway_review_answers (
    item text NOT NULL, nth integer NOT NULL, reviewer text NOT NULL, answer text NOT NULL,
    at double precision NOT NULL, PRIMARY KEY (item, nth), UNIQUE (item, reviewer)
);
CREATE TABLE rampway_review_tallies (
    route text, version text, reason text, decided bigint NOT NULL, overruled bigint NOT NULL,
    expired bigint NOT NULL, PRIMARY KEY (route, version, reason)
);
CREATE TABLE rampway_review_agreed (
    route text, first text, second text, times bigint NOT NULL, PRIMARY KEY (route, first, second)
);
""",
)
"""From nothing to the present, in order; each once, under a lock. What a router of before does not
know it does not touch: a migration only adds."""

_VERSION: Final = "CREATE TABLE rampway_schema (version integer NOT NULL)"
_LOCK: Final = 0x52575031
"""Of the advisory lock under which tables are made, with the schema's own number."""

_ENTRY: Final = {
    "at": "float8", "clock": "float8", "route": "text", "rollout": "text", "revision": "int8",
    "actor": "text", "action": "text", "phase_from": "text", "phase_to": "text", "step": "int4",
    "weight_bp": "int4", "reason": "text", "evidence": "text",
}  # fmt: skip
_NAMES: Final = ", ".join(_ENTRY)


def _rows(first: int, **columns: str) -> str:
    """Rows of arguments, each column an array, from place ``first`` on; in order by ``n``."""
    arrays = ", ".join(f"${first + i}::{kind}[]" for i, kind in enumerate(columns.values()))
    return f"unnest({arrays}) WITH ORDINALITY AS g ({', '.join(columns)}, n)"


COMMIT: Final = f"""
WITH held AS (
    SELECT 1 FROM rampway_lease WHERE name = 'leader' AND holder = $1 AND term = $2
    AND expires > clock_timestamp() FOR SHARE
), given AS (
    SELECT * FROM {_rows(3, route="text", was="int8", revision="int8", record="text")}
), fence AS (
    SELECT given.route, coalesce(r.revision, 0) AS stored
    FROM given LEFT JOIN rampway_routes r USING (route)
    WHERE coalesce(r.revision, 0) <> given.was ORDER BY n LIMIT 1
), free AS (
    SELECT 1 FROM held WHERE NOT EXISTS (SELECT FROM fence)
), routes AS (
    INSERT INTO rampway_routes (route, revision, term, record)
    SELECT route, revision, $2, record FROM given, free ORDER BY route
    ON CONFLICT (route) DO UPDATE
    SET revision = excluded.revision, term = excluded.term, record = excluded.record
), told AS (
    INSERT INTO rampway_journal ({_NAMES}, term)
    SELECT {_NAMES}, $2 FROM {_rows(7, **_ENTRY)}, free ORDER BY n
    ON CONFLICT DO NOTHING
), snapshots AS (
    INSERT INTO rampway_evidence (route, snapshot)
    SELECT route, snapshot FROM {_rows(20, route="text", snapshot="text")}, free ORDER BY route
    ON CONFLICT (route) DO UPDATE SET snapshot = excluded.snapshot
), settled AS (
    INSERT INTO rampway_settings (name, value)
    SELECT name, value FROM {_rows(22, name="text", value="text")}, free ORDER BY name
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
), answered AS (
    INSERT INTO rampway_commands (id, answer)
    SELECT id, answer FROM {_rows(24, id="text", answer="text")}, free ORDER BY n
    ON CONFLICT (id) DO UPDATE SET answer = excluded.answer
), used AS (
    INSERT INTO rampway_receipts (mark) SELECT mark FROM {_rows(26, mark="text")}, free ORDER BY n
    ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM held) AS held, (SELECT route FROM fence) AS route,
    (SELECT stored FROM fence) AS stored,
    (SELECT pg_notify('rampway', current_schema() || ' moved') FROM free) AS hint
"""  # noqa: S608 - of constants
"""See the module. Answers whether the lease is held, and which route stands elsewhere."""

JOURNAL: Final = (
    f"SELECT {_NAMES}, id FROM rampway_journal WHERE id > $1 "  # noqa: S608 - of constants
    "AND ($2::text IS NULL OR route = $2) AND ($3::float8 IS NULL OR at <= $3) "
    "ORDER BY id DESC LIMIT $4"
)
ANSWER: Final = "SELECT answer FROM rampway_commands WHERE id = $1"
REVISIONS: Final = "SELECT route, revision FROM rampway_routes"


def _tidy(table: str, most: int) -> str:
    newest = f"(SELECT max(number) FROM {table})"  # noqa: S608 - of constants
    return f"DELETE FROM {table} WHERE number <= {newest} - {most}"  # noqa: S608 - of constants


TIDY: Final = (
    _tidy("rampway_commands", COMMAND_IDS_MAX), _tidy("rampway_receipts", RECEIPTS_MAX),
)  # fmt: skip
"""What is remembered for a while only."""


async def migrated(db: Any, where: str) -> None:
    """Bring the tables to the present, by whoever comes first. Raises StoreDamaged."""
    async with db.transaction():
        await db.execute(
            "SELECT pg_advisory_xact_lock($1, "
            "(SELECT oid::int4 FROM pg_namespace WHERE nspname = current_schema()))", _LOCK,
        )  # fmt: skip
        if not await db.fetchval("SELECT to_regclass('rampway_schema') IS NOT NULL"):
            await db.execute(_VERSION)
        version = await db.fetchval("SELECT max(version) FROM rampway_schema") or 0
        newer(version, where)
        for number, step in enumerate(MIGRATIONS[version:], version + 1):
            await db.execute(step)
            await db.execute("INSERT INTO rampway_schema VALUES ($1)", number)


def newer(version: int, where: str) -> None:
    """Raises StoreDamaged for tables of a router of after this one."""
    if version > len(MIGRATIONS):
        raise StoreDamaged(
            f"store: {where}: its tables are of version {version}, this router knows "
            f"{len(MIGRATIONS)}; start the router that made them, or a newer one"
        )


async def loaded(db: Any, where: str) -> Stored:
    """Everything that a start needs. Raises StoreDamaged for what cannot be understood."""
    async with db.transaction(isolation="repeatable_read", readonly=True):
        settings = await db.fetch("SELECT name, value FROM rampway_settings")
        routes = await db.fetch("SELECT route, record FROM rampway_routes")
        evidence = await db.fetch("SELECT route, snapshot FROM rampway_evidence")
        marks = await db.fetch("SELECT mark FROM rampway_receipts ORDER BY number")
    at = "rampway_settings"
    try:
        kept = {name: json.loads(value) for name, value in settings}
        held = layout.settings_of(kept)
        records = {}
        for name, text in routes:
            at = f"rampway_routes {name}"
            records[name] = RouteRecord.from_json(json.loads(text))
        at = "rampway_evidence"
        found = {route: TrialState.read(json.loads(text)) for route, text in evidence}
        snapshots = {route: one for route, one in found.items() if one is not None}
        at = "rampway_receipts"
        used = tuple(int(mark, 16) for (mark,) in marks)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(
            f"store: {where}: {at} cannot be understood ({error!r}); put a dump of the database "
            "in its place, or start the router that wrote it"
        ) from error
    return Stored(float(kept.get("clock", 0.0)), records, snapshots, held, used)


def entries_of(rows: Sequence[Any]) -> list[JournalEntry]:
    """As :data:`JOURNAL` finds them."""
    return [layout.entry_of(tuple(row)) for row in rows]


@dataclass(slots=True)
class Swap:
    """Several changes as one, and from which revision each of their routes goes on."""

    known: Mapping[str, int]
    """Revisions that the server has."""
    change: Change = field(default_factory=lambda: Change(0.0))
    revisions: dict[str, int] = field(default_factory=dict)
    """Those that it has afterwards, of the routes of the change."""

    def add(self, change: Change) -> None:
        """One more. Raises Fenced for a revision older than what is there, or comes before."""
        for record in change.records:
            stored = self.revisions.get(record.route, self.known.get(record.route, 0))
            check_fence(record, stored)
            self.revisions[record.route] = record.revision
        before = self.change
        records = {one.route: one for one in (*before.records, *change.records)}
        self.change = replace(
            change, records=tuple(records.values()), entries=(*before.entries, *change.entries),
            evidence=before.evidence | change.evidence,
            settings=change.settings.over(before.settings),
            commands=tuple((dict(before.commands) | dict(change.commands)).items()),
            receipts=(*before.receipts, *change.receipts),
        )  # fmt: skip

    def arguments(self) -> list[Any]:
        """For :data:`COMMIT`, behind holder and term. Raises TypeError or ValueError."""
        change = self.change
        routes = [(one.route, self.known.get(one.route, 0), one.revision, text_of(one.to_json()))
                  for one in change.records]  # fmt: skip
        entries = [[plain(one) for one in layout.entry_row(entry)] for entry in change.entries]
        settings = (*layout.setting_rows(change.settings), ("clock", text_of(change.clock)))
        return [
            *_columns(routes, 4),
            *_columns(entries, len(_ENTRY)),
            *_columns(_snapshots(change.evidence), 2),
            *_columns([(plain(name), value) for name, value in settings], 2),
            *_columns(
                [(plain(name), layout.answer_text(said)) for name, said in change.commands], 2
            ),
            [f"{mark:x}" for mark in change.receipts],
        ]


def _snapshots(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """As text. What cannot be JSON is left out: a decision is not."""
    rows = []
    for route, snapshot in evidence.items():
        with net("evidence"):
            rows.append((route, text_of(msgspec.to_builtins(snapshot))))
    return rows


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    return [[row[i] for row in rows] for i in range(count)]


def plain(value: Any) -> Any:
    """A text without what PostgreSQL has no place for: a zero, half a surrogate pair."""
    return layout.plain(value.replace("\0", "\ufffd") if isinstance(value, str) else value)
