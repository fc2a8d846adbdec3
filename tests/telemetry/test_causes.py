"""Failures with one cause: seen where they end, learned from stable's past, bet on as one."""

import math

import numpy as np
import pytest

from router.core.evidence import CompareEvidence, GuardEvidence
from router.core.evidence.bettors import grouped_table, log_table, together
from router.core.evidence.slices import Slice
from router.core.wire.baseline import TOGETHER_MAX, TOGETHER_S, Baseline
from router.core.wire.outcomes import Outcome
from router.telemetry import slices as slices_module
from router.telemetry import versions as versions_module
from router.telemetry.recorder import Recorder
from router.telemetry.slices import SharedCause
from router.telemetry.versions import VersionStats
from tests.bench.decisions.atonce import simulate
from tests.bench.decisions.worlds import Field, batches
from tests.telemetry.test_evidence import entry


def test_failures_that_end_within_the_time_of_the_first_have_its_cause():
    cause = SharedCause()
    times = (0.0, 0.02, TOGETHER_S, 0.06, 0.07, 0.2)
    assert [cause.again(t, 16) for t in times] == [False, True, True, False, True, False]
    full = SharedCause()
    assert [full.again(0.0, 3) for _ in range(7)] == [False, True, True, False, True, True, False]


@pytest.mark.parametrize("size", [2, 3, 8, TOGETHER_MAX])
@pytest.mark.parametrize("factor", [0.03, 0.8, 1.2, 19.0])
def test_a_cause_bets_at_most_linearly_in_its_failures(size, factor):
    first, more = together(math.log(factor), size)
    x = factor - 1.0
    for count in range(1, size + 1):
        bet = math.exp(count * first + (count - 1) * more)
        assert bet <= 1.0 + x * count / size + 1e-12
    assert bet == pytest.approx(factor)
    assert together(math.log(factor), 1) == (math.log(factor), 0.0)


def test_where_each_has_its_own_nothing_changes():
    plain, grouped = log_table(500, 0.01, 0.1, 0.001, True), grouped_table(
        500, 0.01, 0.1, 0.001, True, size=1
    )  # fmt: skip
    assert [tuple(logs[:4]) for logs in grouped] == [tuple(logs) for logs in plain]
    assert all(logs[4:] == (0.0, 0.0) for logs in grouped)


@pytest.mark.parametrize("open_", [0, 2])
def test_one_cause_of_five_is_not_five(open_):
    batch = Slice(500, 5, 5, 0, 95 + open_, 1, 94, 4, 0)
    apart, one = CompareEvidence(0.01), CompareEvidence(0.01, together=5)
    for evidence in (apart, one):
        evidence.book((1, 1), batch)
    assert (apart.capital > 1_000, one.capital < 10) == (True, True)
    limit, single = GuardEvidence(0.05), GuardEvidence(0.05, size=5)
    for guard in (limit, single):
        guard.book((1, 1), batch)
    assert (limit.capital > 1_000, single.capital < 10) == (True, True)


def test_stables_past_tells_how_many_have_one_cause():
    draw = np.random.default_rng(3)
    for mean, low, high in ((1.0, 1, 1), (2.0, 5, 7), (3.0, 8, 11), (5.0, 14, 16)):
        stats = VersionStats("r", "v1", "stable")
        at = np.cumsum(draw.exponential(0.3, 600))
        for stretch in (at / TOGETHER_S).astype(int).tolist():
            for _ in range(draw.geometric(1.0 / mean)):
                stats.fail(stretch)
        bad = 600 if mean == 1.0 else round(600 * mean)
        assert low <= Baseline(100_000, bad, clumped=stats.clumped).together <= high


def test_many_independent_failures_are_no_clump():
    """Fifty a second: two or three in each stretch of time, and none has to do with another."""
    draw = np.random.default_rng(4)
    stats = VersionStats("r", "v1", "stable")
    rates = np.repeat([2.5, 25.0, 2.5], 400)  # an outage in the middle of it
    for stretch, count in enumerate(draw.poisson(rates).tolist()):
        for _ in range(count):
            stats.fail(stretch + 1)
    assert Baseline(100_000, int(rates.sum()), clumped=stats.clumped).together == 1
    assert Baseline(100, 29, clumped=500).together == 1, "too few to say"


def test_a_worker_tells_both(monkeypatch):
    clock = [100.0]
    for module in (versions_module, slices_module):
        monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    recorder = Recorder()
    cell = recorder.cell(entry(together=4))
    version = recorder.version("r", "v2", "candidate")
    for after in (0.0, 0.01, 0.01, 1.0):
        clock[0] += after
        cell.candidate.arrive()
        cell.candidate.end(int(Outcome.SERVER_ERROR), 0.1, 0, 0)
        version.begin()
        version.end(int(Outcome.SERVER_ERROR), 500, 0.1, 0.1)
    (news,) = cell.news()
    assert (news.candidate.bad, news.candidate.more, news.stable.more) == (4, 2, 0)
    assert version.take().clumped == 3 * 3 + 1
    assert version.take().clumped == 0


@pytest.mark.simulated
def test_batches_convict_no_equal_candidate():
    """26 of 100 were convicted where each failure counted for itself."""
    world = Field("b", 50.0, 500, (0.01, 0.01), length_s=200.0, more=batches(3.0), learned=True)
    assert world.plan.size > 5
    found = simulate(world.make, world.plan, 30, 9)
    assert not np.isfinite(found.convicted_s).any()
    alone = Field("b", 50.0, 500, (0.01, 0.01), length_s=200.0, more=batches(3.0))
    assert np.isfinite(simulate(alone.make, alone.plan, 30, 9).convicted_s).sum() >= 3
