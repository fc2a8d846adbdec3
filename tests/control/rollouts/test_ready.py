"""A candidate that is not ready takes no more traffic, however long it waits."""

from __future__ import annotations

import pytest

from router.core.rollout.rollout import Phase
from router.core.wire.counts import EndpointState
from tests.control.rollouts.test_rules_of_policy import view

HALF = "[{weight: 50%, hold: 5s, until: {samples: 0}}]"


def tell(w, *, healthy=False, ejected=False, error="probe answered 503", ready=None):
    state = EndpointState(
        "r", "v2", "http://127.0.0.1:9002", healthy, ejected, 0, 0, last_error=error, ready=ready
    )
    w.reconciler.observatory.endpoints(0, (state,))


@pytest.mark.parametrize("state", [{"healthy": False}, {"healthy": True, "ejected": True}])
@pytest.mark.parametrize("where", ["step", "bake"])
async def test_what_is_not_ready_is_not_promoted(world, policy, state, where):
    w = await world(policy(steps=HALF, bake="5s")).start()
    tell(w, healthy=True, ready=True)
    await w.run(2)
    if where == "bake":
        await w.run(7)
    before = w.rollout.phase
    tell(w, **state)
    await w.run(100)
    assert w.rollout.phase is before
    assert view(w)["waits_for"] == "v2 is not ready: probe answered 503"
    tell(w, healthy=True)
    await w.run(30)
    assert w.rollout.phase is Phase.COMPLETED


async def test_what_was_never_ready_stands_without_traffic_and_begins_by_itself(world, policy):
    w = await world(policy(steps=HALF, bake="5s")).start()
    tell(w, healthy=True, ready=False, error="connection refused")
    await w.run(60)
    split = w.reconciler.runs["r"].record.live.split
    assert w.rollout.standing
    assert (split.candidate_bp, split.mirror_bp) == (0, 0)
    assert view(w)["waits_for"].startswith("v2 is not ready: connection refused")
    tell(w, healthy=True, ready=True)
    await w.run(2)
    assert not w.rollout.standing
    assert w.rollout.step == 0  # its clock began with the candidate
    assert w.reconciler.runs["r"].record.live.split.candidate_bp == 5_000
    await w.run(30)
    assert w.rollout.phase is Phase.COMPLETED


async def test_what_was_ready_and_died_does_not_stand(world, policy):
    w = await world(policy(steps=HALF, bake="5s")).start()
    tell(w, healthy=True, ready=True)
    await w.run(2)
    tell(w, healthy=True, ready=False, error="connection refused")
    await w.run(60)
    assert not w.rollout.standing
    assert w.rollout.phase is Phase.PROGRESSING
    assert w.reconciler.runs["r"].record.live.split.candidate_bp == 5_000
