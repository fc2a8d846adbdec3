"""What each statement of the product does to the tables, in memory: one function a statement.

A statement is found by its text, which is the product's own constant: one that is not in
:data:`MEANS` is an error. `tests/fleets/test_statements.py` plays random ones here and in a real
server, and compares every answer and every row.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from router.control.state import lease
from router.control.state import postgres_exchange as exchange
from router.control.state import postgres_layout as layout

SCHEMA = "public"
ENTRY = 13
"""Columns of a journal entry."""


@dataclass
class Tables:
    """All rows. ``now`` is the server's clock, ``hints`` what a statement has notified."""

    now: float = 0.0
    lease: dict = field(default_factory=dict)
    """name -> [holder, term, expires]"""
    routes: dict = field(default_factory=dict)
    """route -> (revision, term, record)"""
    journal: dict = field(default_factory=dict)
    """(route, revision, action, at, reason) -> row"""
    evidence: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    commands: dict = field(default_factory=dict)
    receipts: dict = field(default_factory=dict)
    table: tuple | None = None
    """(holder, term, generation, body)"""
    replicas: dict = field(default_factory=dict)
    """replica -> [boot, told, states, seen, leads, admin, network]"""
    batches: dict = field(default_factory=dict)
    """(replica, boot, number) -> [term, taken, body]"""
    hints: list = field(default_factory=list)

    def hint(self, what):
        self.hints.append(f"{SCHEMA} {what}")

    def held(self, holder, term=None):
        """Whether this router leads, at this term."""
        row = self.lease.get("leader")
        mine = row is not None and row[0] == holder and row[2] > self.now
        return mine and term in (None, row[1])


# --- the lease ------------------------------------------------------------------------------------


def lease_take(db, holder, term, lasts_s):
    row = db.lease.get("leader")
    if row is not None and row[0] != holder and (term or not row[2] < db.now):
        return []
    new = (term if row is None else max(row[1], term)) + 1
    db.lease["leader"] = [holder, new, db.now + lasts_s]
    return [{"term": new}]


def lease_renew(db, holder, lasts_s):
    row, waits = db.lease.get("leader"), db.lease.get("next")
    leader, mine = row[0] if row else None, row is not None and row[0] == holder
    if mine:
        row[2] = db.now + lasts_s
    after = waits[0] if waits and waits[2] > db.now else None
    return [{"mine": int(mine), "leader": leader, "next": after}]


def lease_wait(db, holder, lasts_s):
    term = db.lease["next"][1] if "next" in db.lease else 0
    db.lease["next"] = [holder, term, db.now + lasts_s]
    return []


def lease_release(db, holder):
    for row in db.lease.values():
        if row[0] == holder:
            row[2] = float("-inf")
    return []


def lease_leader(db):
    row = db.lease.get("leader")
    return [{"holder": row[0], "lives": row[2] > db.now}] if row else []


def lease_hint(db):
    db.hint("waits")
    return []


# --- changes --------------------------------------------------------------------------------------


def commit(db, holder, term, *columns):
    held = db.held(holder, term)
    given = list(zip(*columns[:4], strict=True))
    stands = [(route, db.routes.get(route, (0,))[0], was) for route, was, _, _ in given]
    fence = next(((route, stored) for route, stored, was in stands if stored != was), None)
    if held and fence is None:
        _write(db, term, given, columns[4:])
        db.hint("moved")
    route, stored = fence or (None, None)
    return [{"held": int(held), "route": route, "stored": stored, "hint": None}]


def _write(db, term, given, columns):
    for route, _, revision, record in given:
        db.routes[route] = revision, term, record
    for row in zip(*columns[:ENTRY], strict=True):
        at, _, route, _, revision, _, action = row[:7]
        db.journal.setdefault((route, revision, action, at, row[11]), row)
    kept = zip((db.evidence, db.settings, db.commands), range(ENTRY, ENTRY + 6, 2), strict=True)
    for place, first in kept:
        place |= dict(zip(columns[first], columns[first + 1], strict=True))
    for mark in columns[ENTRY + 6]:
        db.receipts.setdefault(mark, len(db.receipts))


def revisions(db):
    return [(route, row[0]) for route, row in db.routes.items()]


def answer(db, name):
    return [{"answer": db.commands[name]}] if name in db.commands else []


# --- the exchange ---------------------------------------------------------------------------------


def table_put(db, holder, term, generation, body):
    held = db.held(holder)
    if held and (db.table is None or db.table[1:3] < (term, generation)):
        db.table = holder, term, generation, body
        db.hint(exchange.TABLE)
    return [{"held": int(held), "hint": None}]


def told(db, *values):
    replica, boot, number, states, term, body, hint, *rest = values
    rank, said = tuple(rest[:2]), rest[2:]
    row, leads = db.replicas.get(replica), db.lease.get("leader")
    leader = next(  # as it was before this statement
        ((name, *one[5:]) for name, one in db.replicas.items() if leads and one[4] == leads[0]),
        (None, None, None),
    )
    mine = (
        row is None
        or (row[0] == boot and row[1] < number)
        or (row[0] < boot and row[3] < db.now - exchange.SILENT_S)
    )
    if mine:
        db.replicas[replica] = [boot, number, states, db.now, *said]
        if body is not None:
            db.batches.setdefault((replica, boot, number), [term, "", body])
        if hint:
            db.hint(hint)
    newer = db.table if db.table is not None and db.table[1:3] > rank else None
    return [{
        "mine": int(mine), "hinted": int(mine and hint != ""), "boot": row[0] if row else None,
        "holder": leads[0] if leads else None, "lives": bool(leads and leads[2] > db.now),
        "publisher": newer[0] if newer else None, "body": newer[3] if newer else None,
        "leader": leader[0], "admin": leader[1], "network": leader[2],
    }]  # fmt: skip


def taken(db, holder, *keys):
    if not db.held(holder):
        return []
    over, known = (set(zip(*part, strict=True)) for part in (keys[:3], keys[3:]))
    for key, row in list(db.batches.items()):
        if row[1] not in ("", holder) or key in over:
            del db.batches[key]
    for name, row in list(db.replicas.items()):
        if row[3] < db.now - exchange.FORGOTTEN_S:
            del db.replicas[name]
    found = sorted(db.batches.keys() - known, key=lambda key: key[1:])
    for key in found:
        db.batches[key][1] = holder
    return [(*key, db.batches[key][0], db.batches[key][2]) for key in found]


def replicas(db):
    return [(name, row[0], row[2], db.now - row[3]) for name, row in db.replicas.items()]


def left(db, replica, boot):
    if db.replicas.get(replica, (None,))[0] == boot:
        del db.replicas[replica]
    return []


MEANS = {
    lease._TAKE: lease_take, lease._RENEW: lease_renew, lease._WAIT: lease_wait,
    lease._RELEASE: lease_release, lease.LEADER: lease_leader, lease._HINT: lease_hint,
    layout.COMMIT: commit, layout.REVISIONS: revisions, layout.ANSWER: answer,
    exchange._PUT: table_put, exchange._TELL: told, exchange._TAKE: taken,
    exchange._REPLICAS: replicas, exchange._LEAVE: left,
    "SELECT name, value FROM rampway_settings": lambda db: list(db.settings.items()),
    "SELECT route, record FROM rampway_routes": lambda db: [
        (route, row[2]) for route, row in db.routes.items()
    ],
    "SELECT route, snapshot FROM rampway_evidence": lambda db: list(db.evidence.items()),
    "SELECT mark FROM rampway_receipts ORDER BY number": lambda db: [(m,) for m in db.receipts],
    **dict.fromkeys(layout.TIDY, lambda _db: []),
}  # fmt: skip
"""Text -> what it does: (tables, its arguments) -> the rows of its answer."""
