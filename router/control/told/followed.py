"""A router that follows another one, as people and their probes see it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from router import __version__
from router.control.told.answers import HealthView, LeaderView, ReadyView
from router.control.told.health import worker_views
from router.loops import BOOKS
from router.telemetry.metrics import Gauge, labels
from router.telemetry.processes import exposition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.control.fleet.follower import Follower
    from router.control.fleet.own_counts import OwnCounts
    from router.control.state.postgres_exchange import LeaderAddress


class Followed:
    """What such a router can say by itself; everything else is who leads to say."""

    def __init__(self, follower: Follower, own: OwnCounts) -> None:
        self._follower, self._own = follower, own

    def __repr__(self) -> str:
        return f"<Followed {self._follower!r}>"

    @property
    def name(self) -> str:
        """Of this router."""
        return self._follower.me.replica

    @property
    def network(self) -> str:
        """Where its loopback addresses are."""
        return self._follower.me.network

    @property
    def leader(self) -> LeaderAddress | None:
        """Who leads, as far as is heard."""
        return None if self._follower.troubles() else self._follower.leader

    def health(self) -> HealthView:
        """Liveness. Not ok where workers should serve and none does; whom it hears is no matter."""
        follower, workers = self._follower, self._follower.workers.states()
        term, generation = follower.rank
        alive = bool(workers) or not follower.began
        said = [*follower.workers.troubles(), *follower.troubles(), *BOOKS.problems()]
        if follower.waits:
            said.append(follower.waits)
        leader = self.leader
        return HealthView(
            ok=alive,
            problems=[*said, *([] if alive else ["no worker runs"])],
            workers=worker_views(workers),
            term=term,
            generation=generation,
            replica=self.name,
            leader=LeaderView(replica=leader.name, admin=leader.admin) if leader else None,
            listen=follower.workers.listen,
        )  # fmt: skip

    def ready(self) -> ReadyView:
        """Readiness: every worker has the newest table that this router knows.

        One that hears nobody is ready all the same: it serves, as every other then does.
        """
        workers = self._follower.workers
        ready, problems = workers.ready(), workers.troubles()
        if not ready and not problems:
            problems = ["not every worker serves the newest table yet"]
        return ReadyView(ok=ready, problems=problems, generation=self._follower.rank[1])

    async def metrics_text(self, *, openmetrics: bool = False) -> str:
        """What its workers count, and how it follows."""
        if (table := self._follower.workers.table) is not None:
            self._own.keep_only(table)
        gauges = (self._own.gauges(), self._gauges())
        text = await self._own.metrics.render(gauges, openmetrics=openmetrics)
        pids = {"control": os.getpid()}
        for worker in self._follower.workers.states():
            if worker.pid is not None:
                pids[f"worker-{worker.who.number}"] = worker.pid
        return text + await asyncio.to_thread(exposition, pids, openmetrics=openmetrics)

    def _gauges(self) -> Iterator[Gauge]:
        follower = self._follower
        yield "leads", (), 0
        yield "leader_heard", (), 1 if follower.heard() else 0
        yield "words_waiting", (), follower.telling.words
        yield "table_generation", (), follower.rank[1]
        yield "workers", (), len(follower.workers.states())
        for loop, kept in BOOKS.failures.items():
            yield "loop_failures_total", labels(process="control", loop=loop), kept.count
        yield "build_info", labels(version=__version__), 1
