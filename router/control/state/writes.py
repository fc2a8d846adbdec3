"""Writes that are answered later: what the disk says goes to whoever must know.

The decider never waits for the disk; it is called back. A slip in such a callback is counted with
the failures of the decider's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from router.control.state.errors import StoreUnavailable
from router.control.state.ports import Listener
from router.control.state.receipts import Receipts
from router.control.state.record import Change
from router.control.state.store import Store, failure_of
from router.loops import net


class Writes:
    """See the module. ``wake`` is called after every answer."""

    def __init__(self, store: Store, listener: Listener, wake: Callable[[], None]) -> None:
        self.store = store
        self.listener = listener
        self.error = ""
        """Why the last write failed; empty while the store works."""
        self.receipts = Receipts()
        self._wake = wake

    def __repr__(self) -> str:
        return f"<Writes {self.error or 'fine'}>"

    def quietly(self, change: Change) -> None:
        """A write that nobody waits for; its failure is told all the same."""

        def told(done: asyncio.Future[None]) -> None:
            error = failure_of(done)
            self.failed(error) if error else self.works()

        self.then(self.commit(change), told)

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Hand one transaction to the store, with the receipts that it does not have yet."""
        marks = self.receipts.unsaved
        if not marks:
            return self.store.commit(change)
        written = self.store.commit(replace(change, receipts=marks))

        def saved(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and done.exception() is None:
                self.receipts.saved(marks)

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

    def works(self) -> None:
        """A write succeeded."""
        if self.error:
            self.error = ""
            self.listener.store_works()
