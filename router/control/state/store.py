"""Where rollouts and the journal are kept: the interface.

Every commit is one transaction and is fenced: a record with an older revision than the stored one
never overwrites it (it fails with :class:`Fenced`), so two writers cannot undo each other.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Final, Protocol

from router.control.state.answers import AnsweredOrder
from router.control.state.errors import StoreUnavailable
from router.control.state.record import Change, JournalEntry, RouteRecord, Stored

COMMAND_IDS_MAX: Final = 10_000
"""Command ids remembered for repeated orders."""

RECEIPTS_MAX: Final = 100_000
"""Receipts remembered as used (about 15 MB); beyond, the oldest could be counted again."""

JOURNAL_PAGE_MAX: Final = 1_000
"""Entries of one answer."""


class Unwritable(StoreUnavailable):
    """It is the change that cannot be written, whatever the disk does: nobody tries it again."""


class Fenced(StoreUnavailable):
    """The store holds a newer revision: somebody else has written; this process must not."""

    code = "fenced"

    def __init__(self, text: str, route: str) -> None:
        super().__init__(text)
        self.route = route
        """Whose record it is."""


class Superseded(StoreUnavailable):
    """Another router leads: this one writes nothing more, whatever it does."""

    code = "superseded"


class Store(Protocol):
    """What the control plane needs of a store."""

    async def open(self) -> Stored:
        """Take the store for this process, in a new term, and read it.

        Raises StoreDamaged or StoreLocked.
        """

    async def lost(self) -> str:
        """Done when another process may have taken it: why, in a sentence.

        What is decided from then on is of a term that is over.
        """

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Queue one transaction; done when it is on disk, failed with StoreUnavailable."""

    async def journal(
        self, route: str | None, *, since: int, until: float | None, limit: int
    ) -> list[JournalEntry]:
        """Entries with id > ``since`` and wall time <= ``until``, newest first."""

    async def answer(self, command_id: str) -> AnsweredOrder | None:
        """The answer to a command carried out before, None for a new id."""

    def successor(self) -> bool:
        """Whether another process waits to take the store over: then workers need not stop."""

    async def close(self) -> None:
        """Finish what is queued and give the store up to another process."""


def failure_of(done: asyncio.Future[None]) -> StoreUnavailable | None:
    """Why a commit failed; None when it did not. Raises what is no failure of a store."""
    if done.cancelled():
        return StoreUnavailable("the store was closed")
    error = done.exception()
    if error is None or isinstance(error, StoreUnavailable):
        return error
    raise error


def check_fence(record: RouteRecord, stored: int) -> None:
    """Raises Fenced when the revision in the store is newer than ``record``; 0: none is there."""
    if stored > record.revision:
        raise Fenced(
            f"{record.route}: the store is at revision {stored}, this router at "
            f"{record.revision}; another router has written",
            record.route,
        )


async def under_all_names(
    store: Store, names: Sequence[tuple[str | None, float]],
    since: int, until: float | None, limit: int,
) -> list[JournalEntry]:  # fmt: skip
    """As :meth:`Store.journal`, of a route under all names that it had.

    With each the wall time up to which it had it; 0: it has it, or that is not known.
    """
    found: list[JournalEntry] = []
    for name, left_at in names:
        last = min(left_at or math.inf, until or math.inf)
        ends = last if math.isfinite(last) else None
        found += await store.journal(name, since=since, until=ends, limit=limit)
    return sorted(found, key=lambda entry: entry.id, reverse=True)[:limit]
