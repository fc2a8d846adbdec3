"""What plots show: bounded, whole back to the beginning, and nothing invented between."""

from __future__ import annotations

import math

import pytest

from router.control.told.history import POINTS_MAX, SPACING_MAX_S, History, RouteHistory, view_of
from router.core.wire.counts import VersionCounts
from router.core.wire.outcomes import Outcome
from tests.control.conftest import World, canary


def counts(version="v1", ok=9, bad=1, role="stable"):
    outcomes = [0] * len(Outcome)
    outcomes[Outcome.OK], outcomes[Outcome.SERVER_ERROR] = ok, bad
    return VersionCounts("r", version, role, tuple(outcomes), (0,) * 5, ((40, ok + bad),))


def grown(points):
    kept = RouteHistory()
    kept.begin(("r-1", 1), 1.0)
    now = 0.0
    for number in range(points):
        now += kept.spacing_s
        kept.point(now, 1_000 + now, {"share": number / points})
    return kept


def test_it_reaches_back_to_the_beginning_and_stays_bounded():
    told = view_of("r", grown(POINTS_MAX * 2), None, 0.0)
    assert POINTS_MAX / 2 <= len(told.at) < POINTS_MAX
    assert told.every_s == 4.0
    assert told.at[0] < 1_000 + 3 * told.every_s
    assert told.at == sorted(told.at)
    assert {len(column) for column in (told.share, told.measured)} == {len(told.at)}
    assert told.share == sorted(told.share)


def test_at_its_widest_the_oldest_go():
    kept = grown(POINTS_MAX * 7)
    assert kept.spacing_s == SPACING_MAX_S
    assert len(kept.at) < POINTS_MAX
    assert kept.at[0] > 1_000 + 10 * SPACING_MAX_S


def test_rates_shares_and_quantiles_of_what_was_counted():
    history = History()
    history.add([counts()])
    kept = history._routes["r"]
    kept.point(0.0, 1_000.0, {})
    history.add([counts(), counts("v2", 4, 1, "candidate"), counts("v2", 9, 9, "shadow")])
    kept.point(2.0, 1_002.0, {"share": 0.3}, "v2")
    told = view_of("r", kept, None, 0.0)
    assert told.versions["v1"].requests_per_s == [5.0]
    assert told.versions["v1"].error_ratio == [0.1]
    assert told.versions["v2"].requests_per_s == [2.5]
    assert told.measured == [pytest.approx(1 / 3, rel=1e-5)]
    assert told.versions["v1"].p99_s[0] > 0
    assert history.rate("r") == (7.5, pytest.approx(2 / 15))


def test_a_curve_that_begins_late_has_nothing_before():
    history = History()
    history.add([counts("v9")])
    kept = grown(3)
    kept.since = history._routes["r"].since
    kept.point(4.0, 1_004.0, {"share": 0.5, "agreement": 0.9})
    told = view_of("r", kept, None, 0.0)
    assert told.agreement == [None, None, 0.9]
    assert told.versions["v9"].requests_per_s[:2] == [None, None]
    later = view_of("r", kept, None, told.at[-2])
    assert (later.at, later.agreement) == ([1_004.0], [0.9])


async def test_of_a_live_rollout_it_knows_evidence_and_limits():
    world = await World(canary()).start()
    history, runs = History(), world.reconciler.runs
    for _ in range(4):
        for part in history.due(runs, world.clock.now()):
            history.sample(part, world.clock.now(), world.clock.wall())
        world.clock.advance(1.0)
    told = history.view(runs["r"])
    assert told.rollout == "r-1"
    assert len(told.evidence) == len(told.at) == 3
    assert told.evidence_limit == 100.0
    assert all(x is not None and math.isfinite(x) for x in told.evidence)
    assert told.gates
    assert history.due({}, world.clock.now()) == []
    assert repr(history) == "<History 0 routes>"
