"""A store without a disk, for tests of policies in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from router.control.state import layout
from router.control.state.answers import AnsweredOrder
from router.control.state.errors import StoreUnavailable
from router.control.state.evidence import TrialState
from router.control.state.record import Change, JournalEntry, RouteRecord, Stored
from router.control.state.store import check_fence


@dataclass
class MemoryDisk:
    """What would be on the disk: survives the :class:`MemoryStore` that wrote it."""

    clock: float = 0.0
    term: int = 0
    records: dict[str, RouteRecord] = field(default_factory=dict)
    evidence: dict[str, TrialState] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    """As decoded from JSON."""
    entries: list[JournalEntry] = field(default_factory=list)
    commands: dict[str, AnsweredOrder] = field(default_factory=dict)
    receipts: dict[int, None] = field(default_factory=dict)

    def write(self, change: Change) -> None:
        """Apply one transaction. Raises Fenced."""
        for record in change.records:
            known = self.records.get(record.route)
            check_fence(record, known.revision if known else 0)
        self.clock = max(self.clock, change.clock)
        self.records |= {r.route: RouteRecord.from_json(r.to_json()) for r in change.records}
        self.evidence |= change.evidence
        rows = layout.setting_rows(change.settings)
        self.settings |= {name: json.loads(text) for name, text in rows}
        self.entries += (
            replace(e, id=len(self.entries) + i + 1) for i, e in enumerate(change.entries)
        )
        self.commands |= dict(change.commands)
        self.receipts |= dict.fromkeys(change.receipts)


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
        self.taken = asyncio.Event()
        """Set: another process has it."""
        self._fail_point = fail_point or (lambda _name: None)
        self._waiting: list[tuple[Change, asyncio.Future[None]]] = []

    async def open(self) -> Stored:
        """Everything on the disk."""
        d = self.disk
        d.term += 1
        receipts = tuple(d.receipts)
        settings = layout.settings_of(d.settings)
        return Stored(d.clock, dict(d.records), dict(d.evidence), settings, receipts, d.term)

    async def lost(self) -> str:
        """When a test says so."""
        await self.taken.wait()
        return "the store was taken by another router"

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

    async def answer(self, command_id: str) -> AnsweredOrder | None:
        """The remembered answer."""
        return self.disk.commands.get(command_id)

    def successor(self) -> bool:
        """Nobody waits for memory."""
        return False

    async def close(self) -> None:
        """Nothing is lost, since nothing is buffered."""
        self.release()
