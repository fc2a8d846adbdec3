"""Tells everybody who listens what happened: subscribers, log and metrics."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

from router.control.state.answers import Announcement
from router.control.state.clock import Clock
from router.control.state.errors import StoreUnavailable
from router.control.state.record import JournalEntry
from router.control.told.answers import EntryView
from router.core.wire.reporter import WorkerId
from router.telemetry.log import get_logger

BEHIND_MAX: Final = 256
"""Announcements a listener may be behind; then it loses the oldest (ids show the gap)."""

REPEAT_AFTER_S: Final = 30.0
"""A store that stays broken is told this often, not at every retry."""

log = get_logger("router.control")


class _Mailbox:
    def __init__(self, route: str | None) -> None:
        self.route = route
        self.letters: deque[Announcement] = deque(maxlen=BEHIND_MAX)
        self.arrived = asyncio.Event()


class Announcer:
    """The listener of the reconciler, and the source of ``GET /api/v1/events``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_id = 1
        self._boxes: set[_Mailbox] = set()
        self._store_told_s = float("-inf")

    def __repr__(self) -> str:
        return f"<Announcer {len(self._boxes)} listeners, {self._next_id - 1} told>"

    def announce(
        self, kind: str, route: str, text: str, data: dict[str, Any] | None = None
    ) -> None:
        """Put it into every mailbox; never waits."""
        letter = Announcement(self._next_id, kind, self._clock.wall(), route, text, data or {})
        self._next_id += 1
        for box in self._boxes:
            if box.route is None or route in ("", box.route):
                box.letters.append(letter)
                box.arrived.set()

    async def subscribe(self, route: str | None = None) -> AsyncIterator[Announcement]:
        """Announcements from the first iteration on, until the caller closes the iterator."""
        box = _Mailbox(route)
        self._boxes.add(box)
        try:
            while True:
                while box.letters:
                    yield box.letters.popleft()
                box.arrived.clear()
                await box.arrived.wait()
        finally:
            self._boxes.discard(box)

    # --- what the reconciler says -----------------------------------------------------------------

    def moved(self, entry: JournalEntry) -> None:
        """A transition is in force."""
        self.announce("transition", entry.route, entry.line, EntryView.like(entry).to_json())
        log.info(
            entry.action,
            route=entry.route,
            rollout=entry.rollout,
            revision=entry.revision,
            phase=entry.phase_to,
            step=entry.step,
            weight_bp=entry.weight_bp,
            actor=entry.actor,
            line=entry.line,
            reason=entry.reason,
        )

    def store_failed(self, error: StoreUnavailable) -> None:
        """A write failed; said once in a while."""
        if self._clock.now() - self._store_told_s < REPEAT_AFTER_S:
            return
        self._store_told_s = self._clock.now()
        self.announce("store", "", f"the store cannot be written: {error}", {"ok": False})
        log.error("store_failed", error=str(error))

    def store_works(self) -> None:
        """The first write after a failure."""
        self._store_told_s = float("-inf")
        self.announce("store", "", "the store can be written again", {"ok": True})
        log.info("store_works")

    def worker(self, text: str, who: WorkerId) -> None:
        """Something about a worker process."""
        self.announce("worker", "", text, {"worker": who.number})
        log.warning("worker", worker=who.number, replica=who.replica, text=text)
