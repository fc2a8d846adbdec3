from __future__ import annotations

from dataclasses import replace

import pytest

from router.config.check import loads
from router.control.rollouts import lifecycle
from router.control.state.record import BLOCKED_MAX, Identity, RouteRecord
from router.core.rollout.rollout import Phase


@pytest.fixture
def route(policy):
    return lambda **more: loads(policy(**more)).policy.routes[0]


def settled(route, record=None, **more):
    return lifecycle.settle(route, record, 10.0, **more)


def test_the_first_policy_begins_its_rollout(route):
    first = settled(route())
    assert [deed.action for deed in first.deeds] == ["start"]
    assert first.record.rollout.id == "r-1"
    assert first.record.pinned.policy == route().rollout


def test_the_same_policy_again_asks_for_nothing(route):
    record = settled(route()).record
    assert settled(route(), record) == lifecycle.Settled(record)


def test_ids_and_revisions_only_grow(route):
    record = settled(route()).record
    for candidate in ("v3", "v2", "v3"):
        ended = replace(record, rollout=replace(record.rollout, phase=Phase.ABORTED), blocked=())
        following = settled(route(candidate=candidate), ended).record
        assert following.revision > record.revision
        assert following.number == record.number + 1
        record = following
    assert record.rollout.id == "r-4"


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.ROLLED_BACK])
def test_the_end_of_a_rollout_blocks_its_candidate_only(route, phase):
    record = settled(route()).record
    key = lifecycle.candidate_key("v2", route().versions["v2"])
    end = replace(record.rollout, phase=phase, revision=2)
    ended = lifecycle.advanced(record, record.carried, end)
    assert ended.blocked == (key,)
    assert settled(route(), ended).deeds == ()
    assert settled(route(candidate="v3"), ended).deeds[0].action == "start"
    assert lifecycle.waiting_candidate(route(), ended) == "v2"


def test_what_is_remembered_as_blocked_is_bounded(route):
    record = settled(route()).record
    carried = record.carried
    for n in range(BLOCKED_MAX + 10):
        ended = replace(record.rollout, phase=Phase.ABORTED, revision=n + 2)
        pinned = replace(carried.pinned, identity=Identity(f"v{n}@x", "p"))
        record = lifecycle.advanced(record, replace(carried, pinned=pinned), ended)
    assert len(record.blocked) == BLOCKED_MAX
    assert record.blocked[-1] == f"v{BLOCKED_MAX + 9}@x"


def test_stable_cannot_change_in_mid_rollout(route):
    record = settled(route()).record
    refused = settled(route(stable="v3"), record)
    assert "promote or abort it first" in refused.problems[0]
    assert refused.record is record
    started = settled(route(stable="v3"), record, starting=True)
    assert started.problems == ()
    assert started.record.stable == "v1"
    assert "promote or abort it first" in started.notes[0]
    forced = settled(route(stable="v3"), record, force=True)
    assert [deed.action for deed in forced.deeds] == ["abort", "stable"]
    assert forced.record.stable == "v3"


ONE_OTHER = "routes: [{name: q, versions: {v1: {endpoints: ['http://127.0.0.1:1']}}, stable: v1}]"


def test_a_route_with_a_live_rollout_cannot_go(route):
    record = settled(route()).record
    gone = loads(ONE_OTHER).policy
    for ends in (False, True):
        assert "abort it first" in lifecycle.removal(record, gone, ends=ends)
    assert lifecycle.removal(RouteRecord("r", "v1", "v1"), gone, ends=False) == ""


def test_risk_is_more_for_the_candidate(route):
    record = settled(route()).record
    before = RouteRecord("r", "v1", "v1")
    assert lifecycle.adds_risk(before, record)
    further = replace(record, rollout=replace(record.rollout, step=1))
    assert lifecycle.adds_risk(record, further)
    assert not lifecycle.adds_risk(further, record)
    back = replace(record, rollout=replace(record.rollout, phase=Phase.ROLLED_BACK))
    assert not lifecycle.adds_risk(record, back)


def test_the_next_candidate_s_first_share_is_more_risk_than_the_last_one_s_whole(route):
    record = settled(route()).record
    done = replace(record, stable="v2", rollout=replace(record.rollout, phase=Phase.COMPLETED))
    following = settled(route(candidate="v3"), done).record
    assert following.rollout.candidate == "v3"
    assert lifecycle.adds_risk(done, following)


def test_a_record_survives_json(route):
    record = settled(route()).record
    assert RouteRecord.from_json(record.to_json()) == record
    damaged = record.to_json() | {"revision": 0}
    with pytest.raises(ValueError, match="ahead"):
        RouteRecord.from_json(damaged)
