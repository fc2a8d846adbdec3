"""Mistakes, most of them of the past, put back one at a time: the nights must find each.

A mistake is an edit of a function's source. Where the product's text has moved on, the edit fails
loudly: a fault that is not put in would look like one that is not found.
"""

from __future__ import annotations

import inspect
import textwrap
from contextlib import contextmanager

from router.control import plane
from router.control.outside import hooks
from router.control.reviews import book, inbox
from router.control.rollouts import lifecycle, reconciler, run
from router.control.state import sqlite
from router.control.told import controller
from tests.nights import policies

TWICE = (
    "now = self.clock.now(); live.trial.observe(batch, now); "
    "live.trial.observe(replace(batch, cells=tuple("
    "replace(cell, source=cell.source + 64) for cell in batch.cells)), now)"
)
"""As of another worker."""

FAULTS = {
    "the never-answered order": (
        (run.Run.write_first, 'former.fail(NotPossible(f"overtaken: {why}"))', "pass"),
    ),
    "the dead writer": (
        (sqlite.SqliteStore._write_one, "except Exception as error:", "except KeyError as error:"),
        (sqlite.SqliteStore.commit, "not self._writer.is_alive()", "False"),
        (sqlite.SqliteStore._writer_ended, "if job is not None:", "if job is self:"),
    ),
    "the stale hook's go": (
        (hooks.Hooks.look, "(not standing.go or standing.under_way)", "not standing.go"),
    ),
    "the clock read twice": (
        (
            reconciler.Reconciler._follow,
            "orders.followed(run, live, observed, now)",
            "orders.followed(run, live, observed, self.clock.now())",
        ),
    ),
    "the convicted version restarted by an edit": (
        (
            lifecycle.candidate_key,
            'f"{name}@{version.which}" if version.which else name',
            'f"{name}@{len(version.endpoints)}{str(version.endpoints[0])[-4:]}"',
        ),
    ),
    "the narrow Idempotency-Key": (
        (controller.Controller._once, 'old.asked not in ("", key.asked)', "False"),
    ),
    "the start that writes before it binds": (
        (
            plane.Plane.start,
            "await self.fleet.bind()",
            "self.outreach.open(); self.source.adopted(self.loaded); await self.fleet.bind()",
        ),
    ),
    "the freed slot": (
        (controller.Controller.command, "self._waiting -= 1", "self._waiting -= key is None"),
    ),
    "a lost wake-up of the decider": (
        (
            reconciler.Reconciler._step,
            "self.wake.clear()\n    due = self.turn()",
            "due = self.turn()\n    self.wake.clear()",
        ),
    ),
    "a table published half": (
        (
            reconciler.Reconciler.adopt,
            "with self.tables.gathered():",
            "with contextlib.nullcontext():",
        ),
    ),
    "a rollback that waits for the disk": (
        (lifecycle.adds_risk, "_ends_badly(after) or", "False or"),
        (lifecycle.adds_risk, "return now >= then", "return True"),
    ),
    "an evidence batch counted twice": (
        (
            reconciler.Reconciler._take_in,
            "live.trial.observe(batch, self.clock.now())",
            TWICE,
        ),
    ),
    "a question given twice": (
        (book.ReviewBook.claim, "(lease < ? OR holder = ?)", "(lease < ? + 9e9 OR holder = ?)"),
    ),
    "a question said to be kept before it is": (
        (inbox.ReviewInbox.keep, "kept = [False] * len(rows)", "kept = [True] * len(rows)"),
    ),
}  # fmt: skip
"""Name -> edits: a function, what its source has, what stood there."""


NEEDS = {
    "the dead writer": ("disk",),
    "the convicted version restarted by an edit": ("edit", "rename", "revert"),
    "the narrow Idempotency-Key": ("order",),
    "the start that writes before it binds": ("address_taken",),
    "a rollback that waits for the disk": ("slow_disk", "stuck_disk", "disk"),
}
"""Without one of these events a night cannot show the mistake: it is passed over."""


def may_show(name, made):
    """Whether the night of a :class:`~tests.nights.night.Setup` has what a mistake needs."""
    if name == "the stale hook's go":
        return "confirm_" in str(policies.base(made.base))
    if "a question" in name:
        return made.people
    return name not in NEEDS or any(kind in NEEDS[name] for _, kind, _ in made.events)


def put_back(name):
    """The product with one mistake."""
    return edited_in(FAULTS[name])


@contextmanager
def edited_in(edits_of):
    """The same for edits of any table."""
    codes = [(function, function.__code__) for function, _, _ in edits_of]
    try:
        for function in {function for function, _, _ in edits_of}:
            edits = [(now, then) for one, now, then in edits_of if one is function]
            function.__code__ = _edited(function, edits)
        yield
    finally:
        for function, code in codes:
            function.__code__ = code


def _edited(function, edits):
    source = textwrap.dedent(inspect.getsource(function))
    for now, then in edits:
        if source.count(now) != 1:
            raise LookupError(f"{function.__qualname__} no longer has {now!r} once")
        source = source.replace(now, then)
    made = {}
    exec(compile(source, f"<{function.__name__}>", "exec"), function.__globals__, made)
    return made[function.__name__].__code__
