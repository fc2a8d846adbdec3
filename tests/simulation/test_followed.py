"""Requests followed one by one: what a worker's slices say of them."""

import numpy as np
import pytest

from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.rollout.traffic import Split
from router.core.wire.baseline import Baseline
from router.simulation.followed import FollowedWorld
from router.simulation.popularity import Popularity
from router.simulation.scenario import LatencyModel, Scenario


def played(scenario, seconds, weight_bp=5_000, seed=1, gates=("error_rate",)):
    """The last word of every slice, and the world, after so many seconds."""
    settings = JudgeSettings(sticky=bool(scenario.users))
    judge = Judge([GATES[kind]() for kind in gates], settings, scenario.baseline(), 0.0)
    world = FollowedWorld(scenario, judge, np.random.default_rng(seed))
    now, told = 0.0, {}
    while now < seconds:
        now = world.advance(now, Split(weight_bp), seconds, quiet=False)
        told |= {cell.slice: cell for cell in world.take().cells}
    return list(told.values()), world


def sums(cells, name):
    return sum(getattr(c.candidate, name) for c in cells), sum(
        getattr(c.stable, name) for c in cells
    )


def test_a_quiet_world_has_its_rates():
    cells, world = played(Scenario(stable_rate=0.1, candidate_rate=0.3, requests_per_s=100.0,
                                   failures_s=0.01), 40.0)  # fmt: skip
    arrived, bad = sums(cells, "arrived"), sums(cells, "bad")
    assert arrived == (pytest.approx(2_000, rel=0.1), pytest.approx(2_000, rel=0.1))
    assert bad == (pytest.approx(600, rel=0.2), pytest.approx(200, rel=0.3))
    assert world.exposed == pytest.approx(arrived[0], abs=60)
    assert [c.slice for c in cells] == sorted(c.slice for c in cells)


def test_failures_come_before_answers_that_take_long():
    slow = LatencyModel(median_s=5.0, sigma=0.01)
    cells, _ = played(Scenario(stable_rate=0.1, candidate_rate=0.1, requests_per_s=50.0,
                               failures_s=0.01, latency=slow), 4.0)  # fmt: skip
    assert sums(cells, "ok") == (0, 0)
    assert sum(sums(cells, "bad")) > 5


@pytest.mark.parametrize(("patience_s", "failed"), [(0.2, False), (1.0, True)])
def test_who_leaves_was_failed_where_stable_would_have_answered(patience_s, failed):
    scenario = Scenario(requests_per_s=50.0, patience_s=patience_s, stable_rate=0.0,
                        candidate_rate=0.0, latency=LatencyModel(hang=True))  # fmt: skip
    cells, _ = played(scenario, 5.0)
    bad, left = sums(cells, "bad")[0], sums(cells, "left")[0]
    assert (bad > 50, left > 50) == (failed, not failed)


def test_failures_with_one_cause_are_told_as_such():
    scenario = Scenario(stable_rate=0.3, candidate_rate=0.3, requests_per_s=200.0, together=4)
    assert scenario.baseline().together > 4
    cells, _ = played(scenario, 10.0)
    bad, more = sum(sums(cells, "bad")), sum(sums(cells, "more"))
    assert 0.5 < more / bad < 0.9, "three of four have the cause of another one"
    alone, _ = played(Scenario(stable_rate=0.3, candidate_rate=0.3, requests_per_s=200.0,
                               failures_s=0.01), 5.0)  # fmt: skip
    assert sum(sums(alone, "more")) == 0


def test_refusals_and_cohorts():
    cells, _ = played(Scenario(requests_per_s=50.0, refuses=1.0, pinned=0.1), 10.0, weight_bp=0)
    assert cells
    assert all(cell.forced for cell in cells), "nothing is drawn at 0 %"
    ok, refused = sums(cells, "ok")[0], sums(cells, "refused")[0]
    assert ok == refused == pytest.approx(50, rel=0.5)


def test_slow_ones_show_by_their_age():
    scenario = Scenario(requests_per_s=50.0, patience_s=60.0, stable_rate=0.0, candidate_rate=0.0,
                        latency=LatencyModel(hang=True))  # fmt: skip
    cells, _ = played(scenario, 3.0, gates=("latency",))
    assert all(slow > 30 for slow in map(sum, zip(*(c.candidate.slow for c in cells), strict=True)))
    assert sums(cells, "ok")[0] == 0


def test_users_keep_their_arm_and_their_first_request_is_told():
    scenario = Scenario(stable_rate=0.2, candidate_rate=0.2, requests_per_s=100.0, users=200,
                        failures_s=0.01)  # fmt: skip
    cells, _ = played(scenario, 10.0)
    mine = {unit for cell in cells for unit in cell.candidate.users.drawn}
    others = {unit for cell in cells for unit in cell.stable.users.drawn}
    assert len(mine | others) > 100
    assert not mine & others
    assert all(cell.sticky for cell in cells)


def test_the_candidates_users_stay_while_its_share_grows():
    users = Popularity(50, np.random.default_rng(3))
    early = {user for user in range(50) if users.first(user, 2_000)}
    assert len(early) == users.count(2_000) == 10
    assert early <= {user for user in range(50) if users.first(user, 5_000)}
    assert users.share(10_000) == pytest.approx(1.0)
    assert users.units(np.array([1, 2])) == (users.unit(1), users.unit(2))


def test_without_a_past_nothing_is_known():
    assert Scenario(history=0).baseline() == Baseline(requests_per_s=50.0)
