"""Writes that are answered later: what the disk says goes to whoever must know.

The decider never waits for the disk; it is called back. A slip in such a callback is counted with
the failures of the decider's loop.

What nobody waits for (notes, what an edit changed of a record, the salt) is *owed* when its write
fails, and written again until the disk has it: otherwise memory and disk would differ until the
route's next move, and health would go on telling of a disk that works again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from router.control.state.errors import StoreUnavailable
from router.control.state.ports import Listener
from router.control.state.receipts import Receipts
from router.control.state.record import Change, JournalEntry, RouteRecord
from router.control.state.settings import StoreSettings
from router.control.state.store import Fenced, Store, Unwritable, failure_of
from router.loops import net

AGAIN_S: Final = 1.0
"""From a failure to the next try of what is owed."""

ENTRIES_OWED_MAX: Final = 1_000
"""Journal entries that are owed; the oldest are dropped beyond."""


class Owed:
    """What a disk failed to take and nobody else will write. Later things take an older's place."""

    def __init__(self) -> None:
        self.records: dict[str, RouteRecord] = {}
        self.settings = StoreSettings()
        self.entries: list[JournalEntry] = []
        self.clock = 0.0

    def __repr__(self) -> str:
        return f"<Owed {len(self.records)} records, {len(self.entries)} entries>"

    def __bool__(self) -> bool:
        return bool(self.records or self.settings or self.entries)

    def add(self, change: Change) -> None:
        """This one failed."""
        self.records |= {record.route: record for record in change.records}
        self.settings = change.settings.over(self.settings)
        known = {id(entry) for entry in self.entries}
        fresh = [entry for entry in change.entries if id(entry) not in known]
        self.entries = [*self.entries, *fresh][-ENTRIES_OWED_MAX:]
        self.clock = max(self.clock, change.clock)

    def written(self, change: Change) -> None:
        """The disk has this one, or will never have it; what it says is not older."""
        for record in change.records:
            self.records.pop(record.route, None)
        self.settings = self.settings.without(change.settings)
        if self.entries:
            there = {id(entry) for entry in change.entries}
            self.entries = [entry for entry in self.entries if id(entry) not in there]

    def fenced(self, change: Change, route: str) -> None:
        """All of it failed since the disk has a newer record of this route: that one stays."""
        self.records.pop(route, None)
        others = tuple(record for record in change.records if record.route != route)
        self.add(replace(change, records=others))

    def change(self) -> Change:
        """All of it, as one transaction; empty, it asks whether the disk works."""
        return Change(
            self.clock, tuple(self.records.values()), tuple(self.entries),
            settings=self.settings,
        )  # fmt: skip


class Writes:
    """See the module. ``wake`` is called after every answer."""

    def __init__(self, store: Store, listener: Listener, wake: Callable[[], None]) -> None:
        self.store = store
        self.listener = listener
        self.error = ""
        """Why the last write failed; empty while the store works."""
        self.receipts = Receipts()
        self.ended = False
        """This router stops: what it decided now would be forgotten by whoever goes on."""
        self._wake = wake
        self._owed = Owed()
        self._again: asyncio.TimerHandle | None = None

    def refuse_late(self) -> None:
        """Raises StoreUnavailable for an order to a router that has let go of its store."""
        if self.ended:
            raise StoreUnavailable(
                "this router is stopping; send the order to the one that goes on"
            )

    def __repr__(self) -> str:
        return f"<Writes {self.error or 'fine'}>"

    def quietly(self, change: Change) -> None:
        """A write that nobody waits for; its failure is told, and it is tried again."""

        def told(done: asyncio.Future[None]) -> None:
            error = failure_of(done)
            if error is None:
                self.works()
                return
            if isinstance(error, Fenced):  # a newer record is there; the rest is not
                self._owed.fenced(change, error.route)
            elif isinstance(error, Unwritable):
                self._owed.written(change)
            elif not done.cancelled():
                self._owed.add(change)
            self.failed(error)

        self.then(self.commit(change), told)

    def _try(self) -> None:
        """What is owed, once more; or only whether the disk works again."""
        self._again = None
        if self.error or self._owed:
            self.quietly(self._owed.change())

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Hand one transaction to the store, with the receipts that it does not have yet."""
        if marks := self.receipts.unsaved:
            change = replace(change, receipts=marks)
        written = self.store.commit(change)

        def saved(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and done.exception() is None:
                self.receipts.saved(marks)
                self._owed.written(change)

        written.add_done_callback(saved)
        return written

    def then(
        self, written: asyncio.Future[None], then: Callable[[asyncio.Future[None]], None]
    ) -> None:
        """Call back when the disk has answered."""

        def call(done: asyncio.Future[None]) -> None:
            with net("decider"):
                then(done)
            self._wake()

        written.add_done_callback(call)

    def failed(self, error: StoreUnavailable) -> None:
        """A write failed."""
        self.error = str(error)
        self.listener.store_failed(error)
        if self._again is None:
            self._again = asyncio.get_running_loop().call_later(AGAIN_S, self._try)

    def works(self) -> None:
        """A write succeeded."""
        if self.error:
            self.error = ""
            self.listener.store_works()
