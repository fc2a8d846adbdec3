"""What routers on one database tell each other: the table, what was counted, and how far each is.

The leader puts its newest routing table; the others (*replicas*) read it, and put what their
workers say as *batches*, numbered by (replica, boot). The leader marks a batch as its own in the
statement that hands it over, and deletes it with a later one: a statement whose answer was lost
hands it over again to the same router, never to another. What a leader has taken and not booked
when it ends is lost with it, as with the link of a worker.

Each of these is one statement. Hints (``NOTIFY``) wake whoever waits; everything is read again
without them, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, unquote

import msgspec

from router.core.wire.reporter import WorkerId
from router.core.wire.table import RoutingTable
from router.loops import BOOKS

TOLD: Final = "told"
FAILED: Final = "failed"
TABLE: Final = "table"
"""What hints end with: a replica has told something that is urgent; this is that a candidate
failed, so everybody tells what was counted before; there is a new table."""
SILENT_S: Final = 2.0
"""A replica that said nothing for so long may be started again under its name, and is waited for
no more."""
FORGOTTEN_S: Final = 60.0
"""One that is silent for so long is nobody's any more."""

MIGRATION: Final = """
CREATE TABLE rampway_table (
    name text PRIMARY KEY, holder text NOT NULL, term bigint NOT NULL, generation bigint NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE rampway_replicas (
    replica text PRIMARY KEY, boot bigint NOT NULL, told bigint NOT NULL, states bytea NOT NULL,
    seen timestamptz NOT NULL
);
CREATE TABLE rampway_batches (
    replica text NOT NULL, boot bigint NOT NULL, number bigint NOT NULL, term bigint NOT NULL,
    taken text NOT NULL, body bytea NOT NULL, PRIMARY KEY (replica, boot, number)
);
"""

ADMIN_MIGRATION: Final = """
ALTER TABLE rampway_replicas ADD COLUMN leads text NOT NULL DEFAULT '',
    ADD COLUMN admin text NOT NULL DEFAULT '', ADD COLUMN network text NOT NULL DEFAULT '';
"""

_HELD: Final = (
    "held AS (SELECT FROM rampway_lease WHERE name = 'leader' AND holder = $1 "
    "AND expires > clock_timestamp())"
)
_PUT: Final = f"""
WITH {_HELD}, put AS (
    INSERT INTO rampway_table AS t (name, holder, term, generation, body)
    SELECT 'now', $1, $2::bigint, $3::bigint, $4::bytea FROM held
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = excluded.term,
        generation = excluded.generation, body = excluded.body
    WHERE (t.term, t.generation) < (excluded.term, excluded.generation) RETURNING 1
)
SELECT (SELECT count(*) FROM held) AS held,
    (SELECT pg_notify('rampway', current_schema() || ' {TABLE}') FROM put) AS hint
"""  # noqa: S608 - of constants
_TELL: Final = f"""
WITH me AS (
    INSERT INTO rampway_replicas AS r
        (replica, boot, told, states, seen, leads, admin, network)
    VALUES ($1, $2::bigint, $3::bigint, $4::bytea, clock_timestamp(), $10, $11, $12)
    ON CONFLICT (replica) DO UPDATE SET boot = excluded.boot, told = excluded.told,
        states = excluded.states, seen = excluded.seen, leads = excluded.leads,
        admin = excluded.admin, network = excluded.network
    WHERE (r.boot = excluded.boot AND r.told < excluded.told) OR (r.boot < excluded.boot
        AND r.seen < clock_timestamp() - {SILENT_S} * interval '1 s')
    RETURNING 1
), put AS (
    INSERT INTO rampway_batches (replica, boot, number, term, taken, body)
    SELECT $1, $2, $3, $5::bigint, '', $6::bytea FROM me WHERE $6 IS NOT NULL
    ON CONFLICT DO NOTHING
), hint AS (
    SELECT pg_notify('rampway', current_schema() || ' ' || $7::text) FROM me WHERE $7 <> ''
)
SELECT (SELECT count(*) FROM me) AS mine, (SELECT count(*) FROM hint) AS hinted,
    (SELECT boot FROM rampway_replicas WHERE replica = $1) AS boot,
    l.holder, coalesce(l.expires > clock_timestamp(), false) AS lives,
    t.holder AS publisher, t.body, n.replica AS leader, n.admin, n.network
FROM (SELECT 1) AS one LEFT JOIN rampway_lease l ON l.name = 'leader'
    LEFT JOIN rampway_replicas n ON n.leads = l.holder
    LEFT JOIN rampway_table t ON (t.term, t.generation) > ($8::bigint, $9::bigint)
"""  # noqa: S608 - of constants
_TAKE: Final = f"""
WITH {_HELD}, done AS (
    SELECT * FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS d (replica, boot, number)
), known AS (
    SELECT * FROM unnest($5::text[], $6::bigint[], $7::bigint[]) AS k (replica, boot, number)
), gone AS (
    DELETE FROM rampway_batches b USING held
    WHERE b.taken NOT IN ('', $1) OR (b.replica, b.boot, b.number) IN (SELECT * FROM done)
), old AS (
    DELETE FROM rampway_replicas r USING held
    WHERE r.seen < clock_timestamp() - {FORGOTTEN_S} * interval '1 s'
), got AS (
    UPDATE rampway_batches b SET taken = $1 FROM held
    WHERE b.taken IN ('', $1) AND (b.replica, b.boot, b.number) NOT IN (
        SELECT * FROM done UNION ALL SELECT * FROM known)
    RETURNING b.replica, b.boot, b.number, b.term, b.body
)
SELECT replica, boot, number, term, body FROM got ORDER BY boot, number
"""  # noqa: S608 - of constants
_REPLICAS: Final = (
    "SELECT replica, boot, states, extract(epoch FROM clock_timestamp() - seen)::float8 AS silent "
    "FROM rampway_replicas"
)
_LEAVE: Final = "DELETE FROM rampway_replicas WHERE replica = $1 AND boot = $2"


class FailureQuestion(NamedTuple):
    """A candidate failed at a router: everybody tells what was counted before, and says so."""

    replica: str
    boot: int
    number: int
    """Of the failures there; who answers one has answered those before it."""

    @property
    def hint(self) -> str:
        """As it is notified."""
        return f"{self.boot} {self.number} {quote(self.replica)} {FAILED}"

    @staticmethod
    def hinted(payload: str) -> FailureQuestion | None:
        """Which one this is; None: another hint, or one of a release that says it otherwise."""
        if not payload.endswith(f" {FAILED}"):
            return None
        try:
            _, boot, number, replica, _ = payload.rsplit(" ", 4)
            return FailureQuestion(unquote(replica), int(boot), int(number))
        except ValueError:
            return None

    def answered_by(self, other: FailureQuestion | None) -> bool:
        """Whether who has answered ``other`` has answered this."""
        return other is not None and self[:2] == other[:2] and self.number <= other.number


class Word(NamedTuple):
    """Something that a worker said, or that is said of it."""

    who: WorkerId
    message: bytes
    """As on the link; empty where there is a text or a question."""
    text: str = ""
    ended: bool = False
    """With a text: it is gone."""
    question: FailureQuestion | None = None
    """It is about the failure that is told next."""
    answered: bool = False
    """With a question: everything that it asks for has been told."""


class WorkerRank(NamedTuple):
    """What a worker serves by."""

    who: WorkerId
    port: int
    term: int
    generation: int


BatchKey = tuple[str, int, int]
"""Replica, boot and number."""


class ReplicaBatch(NamedTuple):
    """What one replica told at once."""

    replica: str
    boot: int
    number: int
    term: int
    """Of the table that it followed."""
    words: tuple[Word, ...]

    @property
    def key(self) -> BatchKey:
        """Which one it is."""
        return self.replica, self.boot, self.number


class Replica(NamedTuple):
    """A router that carries traffic, as it said last."""

    name: str
    boot: int
    workers: tuple[WorkerRank, ...]
    silent_s: float


class LeaderAddress(NamedTuple):
    """A router as another one may ask it."""

    name: str
    admin: str
    """URL of its admin interface, as others reach it."""
    network: str
    """Where its loopback addresses are, see :mod:`router.control.fleet.peers`."""


class Heard(NamedTuple):
    """What a replica is answered."""

    taken: bool
    """False: it was told before."""
    double: bool
    """Another process has this replica's name."""
    led: bool
    """Somebody leads now."""
    table: RoutingTable | None
    """One that is newer than what it has, of who leads now."""
    leader: LeaderAddress | None
    """Who leads now, if it has said so."""


_words = msgspec.msgpack.Decoder(tuple[Word, ...])
_states = msgspec.msgpack.Decoder(tuple[WorkerRank, ...])
_table = msgspec.msgpack.Decoder(RoutingTable)
_encoder = msgspec.msgpack.Encoder()

_Told = TypeVar("_Told")


def _understood(read: Callable[[bytes], _Told], body: bytes, nothing: _Told) -> _Told:
    """What another router wrote; nothing where it is of a release that says it otherwise.

    It is counted, and stops nobody else's words.
    """
    try:
        return read(body)
    except msgspec.MsgspecError as error:
        BOOKS.failed("replicas", error)
        return nothing


class Me:
    """This router among its peers: its name, when it began, and how often it has spoken."""

    def __init__(self, replica: str) -> None:
        self.replica = replica
        self.boot = int(time.time() * 1_000)
        self.number = 0
        self.leads = ""
        """As the lease calls it, while it leads."""
        self.admin = ""
        self.network = ""
        """See :class:`LeaderAddress`."""

    def __repr__(self) -> str:
        return f"<Me {self.replica}, boot {self.boot}, said {self.number}>"


async def put_table(db: Any, holder: str, table: RoutingTable) -> bool:
    """The table that everybody follows; False where this router does not lead (now)."""
    body = _encoder.encode(table)
    row = await db.fetchrow(_PUT, holder, table.term, table.generation, body)
    return bool(row["held"])


async def tell(
    db: Any, me: Me, states: Iterable[WorkerRank], *, rank: tuple[int, int] = (0, 0),
    words: tuple[Word, ...] = (), term: int = 0, hint: str = "",
) -> Heard:  # fmt: skip
    """Say that this router lives, with its next number, and what its workers said.

    ``rank``: of the newest table that it has; ``term``: of the one that the words are about;
    ``hint``: for whom it is urgent, :data:`TOLD` or a :class:`FailureQuestion`'s. Who
    does not know whether it was heard says the same again with the same number.
    """
    body = _encoder.encode(words) if words else None
    row = await db.fetchrow(
        _TELL, me.replica, me.boot, me.number, _encoder.encode(tuple(states)), term, body, hint,
        *rank, me.leads, me.admin, me.network,
    )  # fmt: skip
    double = not row["mine"] and row["boot"] is not None and row["boot"] != me.boot
    newer = row["body"] is not None and row["lives"] and row["publisher"] == row["holder"]
    table = _table.decode(row["body"]) if newer else None
    known = row["lives"] and row["leader"] is not None
    leader = LeaderAddress(row["leader"], row["admin"], row["network"]) if known else None
    return Heard(bool(row["mine"]), double, row["lives"], table, leader)


async def take(
    db: Any, holder: str, done: Iterable[BatchKey], known: Iterable[BatchKey] = ()
) -> list[ReplicaBatch]:
    """What is there for this leader, in the order of each replica. Nothing where it does not lead.

    ``done`` is deleted; ``known`` stays for who leads after this one, and is not told again.
    """
    rows = await db.fetch(_TAKE, holder, *_columns(done), *_columns(known))
    return [
        ReplicaBatch(replica, boot, number, term, _understood(_words.decode, body, ()))
        for replica, boot, number, term, body in rows
    ]


def _columns(keys: Iterable[BatchKey]) -> list[list[Any]]:
    return [list(column) for column in zip(*keys, strict=True)] or [[], [], []]


async def replicas(db: Any) -> list[Replica]:
    """Everybody who is known."""
    rows = await db.fetch(_REPLICAS)
    return [
        Replica(name, boot, _understood(_states.decode, said, ()), silent)
        for name, boot, said, silent in rows
    ]


async def leave(db: Any, me: Me) -> None:
    """This router ends, and its name is free."""
    await db.execute(_LEAVE, me.replica, me.boot)
