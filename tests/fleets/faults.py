"""Mistakes that a fleet of routers could have, put in one at a time: the simulation must find each.

An edit of a function's source, as for the nights; of a statement, what it does in memory.
"""

from __future__ import annotations

from router.control.fleet import follower, replicated, telling
from router.control.state import postgres
from router.proxy import worker
from tests.fleets import statements
from tests.nights.faults import edited_in

FIRST = "[one.key for one in await take(db, str(self._lease.me), heard, waits)]"
DELETED = f"take(db, str(self._lease.me), {FIRST}, waits)"
FAULTS = {
    "a batch counted twice": (
        (
            replicated.Replicated._is_new,
            "(batch.boot, batch.number) > self._booked.get(batch.replica, (0, 0))",
            "True",
        ),
    ),
    "a batch deleted before it is booked": (
        (
            replicated.Replicated._take,
            "batches = await take(db, str(self._lease.me), heard, waits)",
            f"batches = await {DELETED}",
        ),
    ),
    "a batch deleted while a failure of it waits": (
        (replicated.Replicated._take, "self._hears.told", "self._hears.held"),
    ),
    "evidence of an earlier term counted": (
        (
            telling.ReplicaWords._of_this_term,
            "floor = self._floor.get(who, 0)",
            "floor = 0",
        ),
    ),
    "who is asked waits until slow requests are told": (
        (worker.Worker._on_message, "self._urgent.asked()", "self._urgent.soon()"),
    ),
    "hints relied on": (
        (follower.Follower._pause, "asyncio.timeout(TURN_S)", "asyncio.timeout(60)"),
    ),
    "a table that could not be put is forgotten": (
        (replicated.Replicated._put_newest, "if not held:\n            self._put.set()", "pass"),
    ),
    "a word that may not have been heard is not said again": (
        (follower.Follower._tell, "if not self._sent[1]:", "if True:"),
    ),
    "workers are told that control lives while nobody leads": (
        (follower.Follower.heard, "time.monotonic() - self._led_s < LEASE_S", "True"),
    ),
    "whatever a router says is taken for a leader's word": (
        (
            worker.Worker._on_message,
            "if isinstance(message, Beat):\n        self._heard()\n    elif",
            "self._heard()\n    if",
        ),
    ),
    "a leader that lost its lease is not ended": (
        (postgres.PostgresStore._end, "self._over.set()", "pass"),
    ),
    "who was cut off leads on after another": (
        (statements.lease_take, "(term or not row[2] < db.now)", "not row[2] < db.now"),
    ),
    "a lease taken without a new term": (
        (statements.lease_take, "max(row[1], term)) + 1", "row[1])"),
    ),
    "a stale lease accepted": (
        (statements.commit, "held = db.held(holder, term)", "held = True"),
    ),
    "a table of who does not lead accepted": (
        (statements.table_put, "held = db.held(holder)", "held = True"),
        (statements.table_put, "db.table[1:3] < (term, generation)", "True"),
    ),
}  # fmt: skip
"""Name -> edits: a function, what its source has, what stands there instead."""


def put_in(name):
    """The product, or the rim, with one mistake."""
    return edited_in(FAULTS[name])
