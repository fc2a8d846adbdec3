"""What this router's own workers count, whoever decides: for the metrics of one of several routers.

Each router tells what its own workers did, so that what a monitor asks of all of them adds up, and
no counter begins anew when another router leads. It is booked here, once, and then passed on.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.control.fleet.counted import CountsWaiting
from router.control.fleet.fleet import Hears, Reply
from router.core.wire.counts import VersionCounts
from router.core.wire.reporter import WorkerId
from router.core.wire.table import RoutingTable
from router.link.messages import AskPeople, LookAgain, PairReport, Report, SampleReport, SpanReport
from router.telemetry.metrics import Gauge, Metrics, labels


class OwnCounts:
    """See the module: what workers tell, in front of ``to``."""

    def __init__(self, to: Hears) -> None:
        self.metrics = Metrics()
        self._to = to
        self._lag_s: dict[int, float] = {}
        self._connections: dict[int, int] = {}
        self._counted = CountsWaiting(self._book)
        self._known: set[tuple[str, str]] | None = None

    def __repr__(self) -> str:
        return f"<OwnCounts {self.metrics!r} in front of {self._to!r}>"

    def report(self, who: WorkerId, report: Report) -> None:
        """Passed on first: it may be what a decision waits for."""
        self._to.report(who, report)
        self._counted.put(who.number, report.versions)
        self.metrics.add_mirrors(report.mirrors)
        self.metrics.add_routes(report.routes)
        self.metrics.add_rejected(report.rejected)
        for loop, number in report.failures.items():
            series = labels(process=f"worker-{who.number}", loop=loop)
            self.metrics.count("loop_failures_total", series, number)
        self._lag_s[who.number] = report.loop_lag_s
        self._connections[who.number] = report.connections

    def _book(self, _worker: int, counts: tuple[VersionCounts, ...]) -> None:
        self.metrics.add_versions(counts)

    def pairs(self, who: WorkerId, report: PairReport) -> None:
        """Answers to compare."""
        self._to.pairs(who, report)
        if report.shed:
            self.metrics.add_rejected({"pairs_shed": report.shed})

    def sampled(self, who: WorkerId, report: SampleReport) -> None:
        """Requests with their predictions."""
        self._to.sampled(who, report)

    def traced(self, who: WorkerId, report: SpanReport) -> None:
        """Spans that have ended; their traces are exemplars."""
        self._to.traced(who, report)
        self.metrics.traced(report.spans)

    def asked(self, asked: AskPeople | LookAgain, reply: Reply) -> None:
        """A question for people."""
        self._to.asked(asked, reply)

    def noticed(self, who: WorkerId, text: str) -> None:
        """Something about a worker."""
        self._to.noticed(who, text)

    def gone(self, who: WorkerId, text: str) -> None:
        """It has ended."""
        self._counted.rest()
        self._to.gone(who, text)
        self._connections.pop(who.number, None)
        self.metrics.count("worker_restarts_total", labels(worker=str(who.number)))

    def gauges(self) -> Iterator[Gauge]:
        """As the workers said last."""
        for worker, lag_s in self._lag_s.items():
            yield "event_loop_lag_seconds", labels(process=f"worker-{worker}"), lag_s
        for worker, connections in self._connections.items():
            yield "connections", labels(worker=str(worker)), connections

    def keep_only(self, table: RoutingTable) -> None:
        """Forget the series of versions that are not in the table any more."""
        known = {(entry.name, one.name) for entry in table.routes for one in entry.versions}
        if known != self._known:
            self._known = known
            for part in self.metrics.keeping_only(known):
                part()
