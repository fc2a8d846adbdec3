"""The drawn worlds have the rates they were asked for, whether they skip or follow."""

import numpy as np
import pytest

from router.core.rollout.traffic import Split
from router.core.wire.histogram import BUCKETS, bucket_of
from router.simulation.scenario import Bursts, LatencyModel, Scenario
from router.simulation.world import CountingWorld, TimedWorld, burst_rates


def totals(world, split, seconds, *, quiet):
    """(candidate bad, stable bad, candidate ok, stable ok) over some time."""
    now, sums = 0.0, np.zeros(4)
    while now < seconds:
        now = world.advance(now, split, seconds, quiet=quiet)
        for cell in world.take().cells:
            c, s = cell.candidate, cell.stable
            sums += (c.bad, s.bad, c.ok, s.ok)
    assert now == seconds
    return sums


@pytest.mark.parametrize("quiet", [False, True])
def test_skipping_keeps_the_rates(quiet):
    scenario = Scenario(stable_rate=0.1, candidate_rate=0.1, requests_per_s=100.0)
    world = CountingWorld(scenario, np.random.default_rng(1))
    found = totals(world, Split(2_000), 1_000.0, quiet=quiet)
    expected = np.array([2_000, 8_000, 18_000, 72_000])
    assert found == pytest.approx(expected, rel=0.08)
    assert world.exposed == found[0] + found[2]


def test_the_candidate_changes_at_its_time():
    scenario = Scenario(candidate_rate=1.0, requests_per_s=100.0, change_at_s=100.0)
    world = CountingWorld(scenario, np.random.default_rng(2))
    before = totals(world, Split(1_000), 100.0, quiet=True)
    assert before[0] < 40
    now, bad = 100.0, 0
    while now < 110.0:
        now = world.advance(now, Split(1_000), 110.0, quiet=True)
        cell = world.take().cells[0]
        assert cell.candidate.bad <= 1  # a bad candidate is followed answer by answer
        bad += cell.candidate.bad
    assert bad == pytest.approx(100, rel=0.4)


def test_bursts_hit_both_versions():
    scenario = Scenario(requests_per_s=100.0, bursts=Bursts(per_day=200.0, rate=0.5))
    draw = np.random.default_rng(3)
    rates = burst_rates(scenario, draw)
    assert len(rates) > 100
    assert {rate for _, rate in rates} == {0.01, 0.5}
    assert [at for at, _ in rates] == sorted(at for at, _ in rates)
    world = CountingWorld(scenario, draw)
    found = totals(world, Split(5_000), 20_000.0, quiet=True)
    assert found[0] / found[1] == pytest.approx(1.0, abs=0.05)
    assert found[0] / (found[0] + found[2]) > 0.05


def test_no_weight_no_cells_and_mirrored_pairs():
    scenario = Scenario(candidate_rate=0.1, requests_per_s=100.0, disagree_rate=0.2)
    world = CountingWorld(scenario, np.random.default_rng(4))
    assert world.advance(0.0, Split(0), 60.0, quiet=False) == 60.0
    assert world.take() == world.take()
    world.advance(0.0, Split(0, mirror_bp=5_000), 100.0, quiet=False)
    pairs = world.take().pairs
    assert pairs.failed == pytest.approx(500, rel=0.2)
    assert pairs.disagreed == pytest.approx(900, rel=0.2)
    assert pairs.agreed == pytest.approx(3_600, rel=0.1)


def test_users_keep_their_arm():
    scenario = Scenario(stable_rate=0.2, candidate_rate=0.2, requests_per_s=50.0, users=500)
    world = CountingWorld(scenario, np.random.default_rng(5))
    arms = {}
    now = 0.0
    while now < 100.0:
        now = world.advance(now, Split(1_000), 100.0, quiet=False)
        for cell in world.take().cells:
            assert cell.sticky
            for arm in (cell.candidate, cell.stable):
                assert len(arm.users.drawn) >= len(arm.users.bad)
                assert arm.users.betting == arm.users.betting_good + len(arm.users.first_bad)
                for unit in arm.users.drawn + arm.users.first_bad:
                    arms.setdefault(unit, set()).add(arm is cell.candidate)
    assert len(arms) > 50
    assert all(len(seen) == 1 for seen in arms.values())
    assert world.users.share(0) == 0.0


def test_a_hanging_candidate_shows_by_age_and_errs_at_its_timeout():
    scenario = Scenario(
        stable_rate=0.0, candidate_rate=0.0, requests_per_s=100.0,
        latency=LatencyModel(hang=True, timeout_s=5.0),
    )  # fmt: skip
    world = TimedWorld(scenario, np.random.default_rng(6), (0.1, 0.5), 0.1)
    now, bad_at, cells = 0.0, None, {}
    while now < 6.0:
        now = world.advance(now, Split(5_000), 6.0, quiet=False)
        for cell in world.take().cells:
            cells[cell.slice] = cell
            if bad_at is None and cell.candidate.bad:
                bad_at = now
            assert (cell.thresholds_s, cell.tolerance) == ((0.1, 0.5), 0.1)
        slow = sum(cell.candidate.slow[1] for cell in cells.values())
        fast = sum(cell.candidate.fast[1] + cell.candidate.ok for cell in cells.values())
        stable_slow = sum(cell.stable.slow[0] for cell in cells.values())
        if now == pytest.approx(2.0):
            assert slow == pytest.approx(0.5 * 100 * (2.0 - 0.55), rel=0.4)
    assert fast == 0
    assert bad_at == pytest.approx(5.0, abs=0.3)
    assert stable_slow == pytest.approx(150, rel=0.3)
    assert world.exposed > 200


def test_weights_are_those_of_routing():
    scenario = Scenario(requests_per_s=200.0, latency=LatencyModel(median_s=1.0, sigma=0.01))
    world = TimedWorld(scenario, np.random.default_rng(7), (), 0.0)
    now, seen = 0.0, []
    for weight_bp in [5_000] * 5 + [100] * 15:
        now = world.advance(now, Split(weight_bp), 60.0, quiet=False)
        seen += [cell.weight_bp for cell in world.take().cells]
    assert 5_000 in seen  # they came back half a second after the weight had fallen
    assert now == pytest.approx(2.0)


def test_quiet_times_are_looked_at_less_often():
    slower = Scenario(latency=LatencyModel(factor=1.2), change_at_s=1_000.5)
    world = TimedWorld(slower, np.random.default_rng(8), (), 0.0)
    assert world.advance(0.0, Split(500), 5_000.0, quiet=True) == pytest.approx(0.1)
    assert world.advance(995.0, Split(500), 5_000.0, quiet=True) == 1_000.5, "not over the change"
    assert world.advance(1_000.5, Split(500), 5_000.0, quiet=True) == pytest.approx(1_000.6)
    assert world.advance(2_000.0, Split(500), 5_000.0, quiet=True) == 2_001.0
    assert world.advance(2_001.0, Split(0), 5_000.0, quiet=False) == pytest.approx(2_001.1)


def test_equal_versions_are_drawn_ten_seconds_at_a_time_and_nothing_is_lost():
    world = TimedWorld(Scenario(latency=LatencyModel()), np.random.default_rng(8), (0.1, 0.2), 0.0)
    now, cells = 100.0, {}
    for _ in range(50):
        now = world.advance(now, Split(5_000), 5_000.0, quiet=True)
        cells.update({cell.slice: cell for cell in world.take().cells})
    seen = sum(cell.candidate.answers for cell in cells.values())
    slow = sum(cell.candidate.slow[0] for cell in cells.values())
    assert now == 600.0
    assert seen == pytest.approx(world.exposed, abs=20)
    assert slow == pytest.approx(seen / 2, rel=0.05)


def test_latency_is_drawn_as_an_access_log_has_it():
    past = [0] * BUCKETS
    past[bucket_of(0.01)], past[bucket_of(0.5)] = 300, 100
    scenario = Scenario(latency=LatencyModel(past=tuple(past)), history=4_000)
    assert sum(scenario.baseline().latency_buckets) == 4_000
    world = TimedWorld(scenario, np.random.default_rng(10), (0.02, 0.4), 0.0)
    now, cells = 0.0, {}
    while now < 60.0:
        now = world.advance(now, Split(5_000), 60.0, quiet=False)
        cells.update({cell.slice: cell for cell in world.take().cells})
    for k in (0, 1):
        slow = sum(cell.candidate.slow[k] for cell in cells.values())
        fast = sum(cell.candidate.fast[k] for cell in cells.values())
        assert slow / (slow + fast) == pytest.approx(0.25, abs=0.05)


def test_a_candidate_is_slow_from_its_change_on():
    scenario = Scenario(latency=LatencyModel(factor=50.0, sigma=0.1), change_at_s=5.0)
    world = TimedWorld(scenario, np.random.default_rng(9), (0.5,), 0.0)
    now, slow = 0.0, []
    while now < 9.0:
        now = world.advance(now, Split(5_000), 9.0, quiet=False)
        slow += [now for cell in world.take().cells if cell.candidate.slow[0]]
    assert 5.4 < slow[0] < 6.0


def test_a_timed_world_needs_latency():
    with pytest.raises(ValueError, match="latency"):
        TimedWorld(Scenario(), np.random.default_rng(0), (), 0.0)


@pytest.mark.parametrize("latency", [None, LatencyModel()], ids=["counting", "timed"])
def test_copies_fail_as_often_as_stable_until_the_change(latency):
    scenario = Scenario(candidate_rate=1.0, change_at_s=100.0, latency=latency)
    draw = np.random.default_rng(8)
    world = TimedWorld(scenario, draw, (), 0.1) if latency else CountingWorld(scenario, draw)
    shares = []
    for start in (80.0, 120.0):
        now, failed, copies = start, 0, 0
        while now < start + 10.0:
            now = world.advance(now, Split(0, 10_000), start + 10.0, quiet=False)
            if (pairs := world.take().pairs) is not None:
                failed += pairs.failed
                copies += pairs.failed + pairs.agreed + pairs.disagreed
        shares.append(failed / copies)
    assert shares == [pytest.approx(0.01, abs=0.04), 1.0]


def test_users_are_new_in_a_new_round():
    """A trial compares everybody anew; without it nobody is new on a sticky route after an hour."""
    world = CountingWorld(Scenario(stable_rate=0.2, candidate_rate=0.2, users=50),
                          np.random.default_rng(8))  # fmt: skip

    def met(until):
        now, drawn = until - 60.0, set()
        while now < until:
            now = world.advance(now, Split(2_000), until, quiet=False)
            for cell in world.take().cells:
                drawn.update(cell.candidate.users.drawn, cell.stable.users.drawn)
        return drawn

    everybody = met(60.0)
    assert len(everybody) == 50
    assert met(120.0) == set()
    world.round = 1
    assert met(180.0) == everybody
