"""All that the control plane says to the outside by itself: one session, one outbox.

The decider knows none of this but the hooks' last answers; what is said here is never waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from router.control.outside.alerts import NOTICE, Alerts, Watch
from router.control.outside.extraction import Extractions
from router.control.outside.hooks import Hooks
from router.control.outside.outbox import CountSent, Outbox
from router.control.outside.outside import outside_session
from router.control.outside.registry import Registries
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.run import Run
from router.control.state.clock import Clock
from router.control.state.record import JournalEntry
from router.control.told.announce import Announcer
from router.core.policy.hooks import Trigger
from router.core.policy.quota import Extraction
from router.core.wire.counts import ClientCounts, MirrorCounts
from router.loops import background, forever, my_turn, net
from router.telemetry.log import get_logger

LOOK_EVERY_S: Final = 1.0
"""How often holds, silence and lost copies are looked for."""

LOOKS_A_TURN: Final = 8
"""Rollouts that are looked at in one turn of the loop, some 0.2 ms each."""

CLOSE_WITHIN_S: Final = 1.0
"""Time that the last messages have when the router stops."""

log = get_logger("router.control")


class Outreach:
    """Hooks, alerts and registries of a running control plane."""

    def __init__(
        self, reconciler: Reconciler, announcer: Announcer, clock: Clock, count: CountSent
    ) -> None:
        self._reconciler = reconciler
        self._announcer = announcer
        self._clock = clock
        self.outbox = Outbox(count)
        self.alerts = Alerts(self.outbox)
        self.registries = Registries(self.outbox, reconciler.note, self.tell)
        self.hooks = Hooks(self.outbox, self._wake, reconciler.note)
        self._extractions = Extractions()
        self._watch = Watch(reconciler.observatory, self.tell)
        self._listening: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Outreach {self.hooks!r} {self.outbox!r}>"

    def open(self) -> None:
        """Listen from now on; called once, before the first policy."""
        session = outside_session()
        self.alerts.session = self.registries.session = self.hooks.session = session
        self._reconciler.restraint.hooks = self.hooks
        self._reconciler.restraint.tell = self.tell
        self._listening = background("alerts", forever("alerts", self._listen))

    async def close(self) -> None:
        """Give what is under way a moment, then let go."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self.outbox.close(CLOSE_WITHIN_S)
        await self.hooks.close()
        session, self.alerts.session = self.alerts.session, None
        self.registries.session = self.hooks.session = None
        if session is not None:
            await session.close()

    def moved(self, entry: JournalEntry) -> None:
        """A journal entry is in force: tell hooks and registries."""
        run = self._reconciler.runs.get(entry.route)
        if run is not None:
            with net("outreach"):
                self.hooks.moved(run, entry)
                self.registries.moved(run, entry)

    def mirrored(self, counts: Iterable[MirrorCounts]) -> None:
        """Workers told what became of copies."""
        self._watch.mirrored(counts, self._clock.now())

    def asked(self, worker: int, counts: Iterable[ClientCounts]) -> None:
        """A worker told of busy clients of routes that watch them."""
        for route, text in self._extractions.found(worker, counts, self._policies):
            if (run := self._reconciler.runs.get(route)) is not None:
                self.tell("extraction_suspected", run, text)

    def _policies(self, route: str) -> Extraction | None:
        run = self._reconciler.runs.get(route)
        return run.route.extraction if run is not None else None

    def tell(self, trigger: Trigger, run: Run, text: str) -> None:
        """Announce what is no transition, for alerts and whoever listens."""
        self._announcer.announce(NOTICE, run.route.name, text, {"trigger": trigger})

    async def watch(self) -> None:
        """Look for what is no transition, for ever."""
        await forever("alerts", self._look)

    async def _look(self) -> None:
        await asyncio.sleep(LOOK_EVERY_S)
        runs = list(self._reconciler.runs.values())
        self._watch.keep_only(self._reconciler.runs)
        for first in range(0, len(runs), LOOKS_A_TURN):
            await my_turn()
            self._watch.look(runs[first : first + LOOKS_A_TURN], self._clock.now())

    async def _listen(self) -> None:
        async for letter in self._announcer.subscribe():
            policy = self._reconciler.policy
            if policy is not None:
                with net("alerts"):
                    run = self._reconciler.runs.get(letter.route)
                    self.alerts.hear(letter, policy, run)
            await asyncio.sleep(0)  # many may be said at once

    def _wake(self, run: Run) -> None:
        run.look_at = 0.0
        self._reconciler.wake.set()
