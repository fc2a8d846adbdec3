"""What a router's own workers count is booked once, whoever decides, and passed on."""

from types import SimpleNamespace

from router.control.fleet.own_counts import OwnCounts
from router.core.wire.counts import VersionCounts
from router.core.wire.reporter import WorkerId
from router.core.wire.table import RoutingTable
from router.link.messages import PairReport, Report, SpanReport

WHO = WorkerId("b", 7, 0)


class Told:
    """Whoever is told, by name of what it is told."""

    def __init__(self):
        self.heard = []

    def __getattr__(self, name):
        return lambda *_: self.heard.append(name)


async def rendered(own):
    return await own.metrics.render((own.gauges(),))


async def test_each_word_is_passed_on_and_counts_are_booked():
    told = Told()
    own = OwnCounts(told)
    counts = VersionCounts("r", "v1", "stable", (), (0, 3))
    own.report(WHO, Report(
        versions=(counts,), rejected={"busy": 2}, failures={"sweep": 1}, connections=4,
    ))  # fmt: skip
    own.pairs(WHO, PairReport((), shed=5))
    own.sampled(WHO, SimpleNamespace())
    own.traced(WHO, SpanReport(()))
    own.asked(SimpleNamespace(), lambda _: True)
    own.noticed(WHO, "it hangs")
    text = await rendered(own)
    assert 'rampway_requests_total{route="r",version="v1",role="stable",code_class="2xx"} 3' in text
    assert 'rampway_rejected_total{cause="busy"} 2' in text
    assert 'rampway_rejected_total{cause="pairs_shed"} 5' in text
    assert 'rampway_loop_failures_total{process="worker-0",loop="sweep"} 1' in text
    assert 'rampway_connections{worker="0"} 4' in text
    own.gone(WHO, "it ended")
    text = await rendered(own)
    assert "rampway_connections" not in text
    assert 'rampway_worker_restarts_total{worker="0"} 1' in text
    assert told.heard == ["report", "pairs", "sampled", "traced", "asked", "noticed", "gone"]


async def test_versions_that_left_the_table_are_forgotten():
    own = OwnCounts(Told())
    own.report(WHO, Report(versions=(VersionCounts("r", "v1", "stable", (), (0, 3)),)))
    own.keep_only(RoutingTable(1, ()))
    assert 'version="v1"' not in await rendered(own)
