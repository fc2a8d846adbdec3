"""Where rollouts and the journal are kept: the interface, and one in memory for tests.

Every commit is one transaction and is fenced: a record with an older revision than the stored one
never overwrites it (it fails with :class:`Fenced`), so two writers cannot undo each other.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from router.control.state.errors import StoreUnavailable
from router.control.state.record import Change, JournalEntry, RouteRecord, Stored

COMMAND_IDS_MAX: Final = 10_000
"""Command ids remembered for repeated orders."""

RECEIPTS_MAX: Final = 100_000
"""Receipts remembered as used (about 15 MB); beyond, the oldest could be counted again."""

JOURNAL_PAGE_MAX: Final = 1_000
"""Entries of one answer."""


class Fenced(StoreUnavailable):
    """The store holds a newer revision: somebody else has written; this process must not."""

    code = "fenced"


class Store(Protocol):
    """What the control plane needs of a store."""

    async def open(self) -> Stored:
        """Take the store for this process and read it. Raises StoreDamaged or StoreLocked."""

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Queue one transaction; done when it is on disk, failed with StoreUnavailable."""

    async def journal(
        self, route: str | None, *, since: int, until: float | None, limit: int
    ) -> list[JournalEntry]:
        """Entries with id > ``since`` and wall time <= ``until``, newest first."""

    async def answer(self, command_id: str) -> dict[str, Any] | None:
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


@dataclass
class MemoryDisk:
    """What would be on the disk: survives the :class:`MemoryStore` that wrote it."""

    clock: float = 0.0
    records: dict[str, RouteRecord] = field(default_factory=dict)
    evidence: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    entries: list[JournalEntry] = field(default_factory=list)
    commands: dict[str, dict[str, Any]] = field(default_factory=dict)
    receipts: dict[int, None] = field(default_factory=dict)

    def write(self, change: Change) -> None:
        """Apply one transaction. Raises Fenced."""
        for record in change.records:
            known = self.records.get(record.route)
            check_fence(record, known.revision if known else 0)
        self.clock = max(self.clock, change.clock)
        self.records |= {r.route: RouteRecord.from_json(r.to_json()) for r in change.records}
        self.evidence |= change.evidence
        self.settings |= change.settings
        self.entries += (
            replace(e, id=len(self.entries) + i + 1) for i, e in enumerate(change.entries)
        )
        self.commands |= dict(change.commands)
        self.receipts |= dict.fromkeys(change.receipts)


def check_fence(record: RouteRecord, stored: int) -> None:
    """Raises Fenced when the revision in the store is newer than ``record``; 0: none is there."""
    if stored > record.revision:
        raise Fenced(
            f"{record.route}: the store is at revision {stored}, this router at "
            f"{record.revision}; another router has written"
        )


class MemoryStore:
    """A store without a disk, with the ways in which a real one fails.

    ``broken`` fails every commit. ``held`` keeps commits waiting until :meth:`release`.
    ``fail_point(name)`` is called at "before" and "after" each write and may raise to crash.
    """

    def __init__(
        self, disk: MemoryDisk | None = None, fail_point: Callable[[str], None] | None = None
    ) -> None:
        self.disk = disk or MemoryDisk()
        self.broken = False
        self.held = False
        self._fail_point = fail_point or (lambda _name: None)
        self._waiting: list[tuple[Change, asyncio.Future[None]]] = []

    async def open(self) -> Stored:
        """Everything on the disk."""
        d = self.disk
        receipts = tuple(d.receipts)
        return Stored(d.clock, dict(d.records), dict(d.evidence), dict(d.settings), receipts)

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Write at once, or when released."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, done))
        if not self.held:
            self.release()
        return done

    def release(self) -> None:
        """Write everything that waits."""
        self.held = False
        waiting, self._waiting = self._waiting, []
        for change, done in waiting:
            if done.cancelled():
                continue
            try:
                self._write(change)
            except StoreUnavailable as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def _write(self, change: Change) -> None:
        if self.broken:
            raise StoreUnavailable("the store is broken: disk full")
        self._fail_point("before")
        self.disk.write(change)
        self._fail_point("after")

    async def journal(
        self, route: str | None, *, since: int, until: float | None, limit: int
    ) -> list[JournalEntry]:
        """Newest first."""
        found = [
            e
            for e in reversed(self.disk.entries)
            if e.id > since
            and (route is None or e.route == route)
            and (until is None or e.at <= until)
        ]
        return found[:limit]

    async def answer(self, command_id: str) -> dict[str, Any] | None:
        """The remembered answer."""
        return self.disk.commands.get(command_id)

    def successor(self) -> bool:
        """Nobody waits for memory."""
        return False

    async def close(self) -> None:
        """Nothing is lost, since nothing is buffered."""
        self.release()


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
