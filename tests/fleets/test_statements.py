"""The database in memory, held to a real server: the same statements, the same rows."""

from __future__ import annotations

import random

import pytest

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.control.state import lease  # noqa: E402
from router.control.state import postgres_exchange as exchange  # noqa: E402
from router.control.state import postgres_layout as layout  # noqa: E402
from router.control.state.postgres_link import connected  # noqa: E402
from tests.fleet.conftest import server, url  # noqa: E402, F401 - fixtures
from tests.fleets.statements import MEANS, Tables  # noqa: E402

STATEMENTS = 600
HOLDERS, NAMES = ("a/1/x", "b/2/y", "c/3/z"), ("r0", "r1", "r2")
ROWS = {
    "lease": "SELECT name, holder, term FROM rampway_lease",
    "routes": "SELECT route, revision, term, record FROM rampway_routes",
    "journal": "SELECT route, revision, action, at, reason, term FROM rampway_journal",
    "table": "SELECT holder, term, generation, body FROM rampway_table",
    "replicas": "SELECT replica, boot, told, states, leads, admin, network FROM rampway_replicas",
    "batches": "SELECT replica, boot, number, term, taken, body FROM rampway_batches",
    "settings": "SELECT name, value FROM rampway_settings",
    "evidence": "SELECT route, snapshot FROM rampway_evidence",
    "commands": "SELECT id, answer FROM rampway_commands",
    "receipts": "SELECT mark FROM rampway_receipts",
}


def rows_in_memory(db):
    """The same of :class:`Tables`; the term of a journal entry is that of its first writing."""
    return {
        "lease": [(name, *row[:2]) for name, row in db.lease.items()],
        "routes": [(route, *row) for route, row in db.routes.items()],
        "journal": list(db.journal),
        "table": [db.table] if db.table else [],
        "replicas": [(name, *row[:3], *row[4:]) for name, row in db.replicas.items()],
        "batches": [(*key, *row) for key, row in db.batches.items()],
        "settings": list(db.settings.items()), "evidence": list(db.evidence.items()),
        "commands": list(db.commands.items()), "receipts": [(mark,) for mark in db.receipts],
    }  # fmt: skip


def change(rnd):
    """Arguments of a change."""
    routes = rnd.sample(("a", "b"), rnd.randrange(3))
    was = [rnd.randrange(3) for _ in routes]
    after = [one + rnd.randrange(2) for one in was]
    entries = [
        (1.0 * rnd.randrange(2), 2.0, "a", "a-1", rnd.randrange(3), "router", "begin", "x", "y", 1,
         500, rnd.choice("pq"), "{}")
        for _ in range(rnd.randrange(3))
    ]  # fmt: skip
    columns = [[row[at] for row in entries] for at in range(13)]
    marks = [f"{rnd.randrange(9)}" for _ in range(rnd.randrange(2))]
    return [routes, was, after, [f"record {n}" for n in after], *columns,
            ["a"], ["1"], ["clock"], [f"{rnd.random()}"], ["id"], ["said"], marks]  # fmt: skip


def drawn(rnd, db):
    """A statement and its arguments."""
    holder, name, term = rnd.choice(HOLDERS), rnd.choice(NAMES), rnd.randrange(4)
    boot, number = rnd.randrange(1, 3), rnd.randrange(1, 9)
    leads = rnd.choice(("", dict(zip(NAMES, HOLDERS, strict=True))[name]))
    address = leads, f"http://{name}", "here"
    told = list(db.batches)
    done, seen = (rnd.sample(told, rnd.randrange(len(told) + 1)) for _ in range(2))
    known = db.lease.get("leader", ("", 0))[1]
    return rnd.choice((
        (lease._TAKE, (holder, rnd.choice((0, 0, term)), 1.5)),
        (lease._RENEW, (holder, 1.5)), (lease._WAIT, (holder, 1.0)), (lease.LEADER, ()),
        (lease._RELEASE, (holder,)),
        (layout.COMMIT, (holder, rnd.choice((known, term)), *change(rnd))),
        (layout.COMMIT, (db.lease.get("leader", (holder,))[0], known, *change(rnd))),
        (layout.REVISIONS, ()), (layout.ANSWER, ("id",)),
        (exchange._PUT, (holder, term, rnd.randrange(4), b"table")),
        (exchange._TELL, (name, boot, number, b"s", term, rnd.choice((None, b"w")),
                          rnd.choice(("", exchange.TOLD, exchange.FAILED)),
                          rnd.randrange(3), rnd.randrange(3), *address)),
        (exchange._TELL, (name, boot, number, b"s", term, b"w", "", 0, 0, *address)),
        (exchange._TAKE, (holder, *([key[at] for key in part] for part in (done, seen)
                                   for at in range(3)))),
        (exchange._REPLICAS, ()), (exchange._LEAVE, (name, boot)),
    ))  # fmt: skip


def plain(text, rows):
    """Without what the clock makes; batches are asked for in order of boot and number alone."""
    rows = [tuple(row.values()) if hasattr(row, "values") else tuple(row) for row in rows]
    if text == exchange._REPLICAS:
        rows = [row[:3] for row in rows]
    rows = [tuple(None if one == "" and text == layout.COMMIT else one for one in row)
            for row in rows]  # fmt: skip
    in_order = [row[1:3] for row in rows] if text == exchange._TAKE else []
    return in_order, sorted(rows, key=repr)


async def test_random_statements_do_the_same_in_memory_and_in_a_server(url):  # noqa: F811
    rnd, tables = random.Random(3), Tables()
    db = await connected(url)
    await layout.migrated(db, "here")
    try:
        for number in range(STATEMENTS):
            if rnd.random() < 0.1:  # time passes, in both
                await older(db, tables, rnd.choice((0.8, 2.5, 70.0)))
            text, values = drawn(rnd, tables)
            tables.now = await db.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
            said = plain(text, await db.fetch(text, *values))
            assert plain(text, MEANS[text](tables, *values)) == said, (number, text, values)
            if number % 50 == 0:
                await same_rows(db, tables)
        await same_rows(db, tables)
    finally:
        db.terminate()


async def older(db, tables, by_s):
    """Every time is so much earlier."""
    await db.execute(f"UPDATE rampway_lease SET expires = expires - {by_s} * interval '1 s'")
    await db.execute(f"UPDATE rampway_replicas SET seen = seen - {by_s} * interval '1 s'")
    for row in tables.lease.values():
        row[2] -= by_s
    for row in tables.replicas.values():
        row[3] -= by_s


async def same_rows(db, tables):
    """What the tables hold."""
    memory = rows_in_memory(tables)
    for name, query in ROWS.items():
        rows = [tuple(row) for row in await db.fetch(query)]
        if name == "journal":
            rows = [row[:5] for row in rows]
        assert sorted(rows, key=repr) == sorted(memory[name], key=repr), name
