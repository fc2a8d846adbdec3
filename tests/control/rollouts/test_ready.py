"""A candidate that is not ready takes no more traffic, however long it waits."""

from __future__ import annotations

import pytest

from router.core.rollout.rollout import Phase
from router.core.wire.counts import EndpointState
from tests.control.rollouts.test_rules_of_policy import view

HALF = "[{weight: 50%, hold: 5s, until: {samples: 0}}]"


def tell(w, *, healthy=False, ejected=False, error="probe answered 503"):
    state = EndpointState(
        "r", "v2", "http://127.0.0.1:9002", healthy, ejected, 0, 0, last_error=error
    )
    w.reconciler.observatory.endpoints(0, (state,))


@pytest.mark.parametrize("state", [{"healthy": False}, {"healthy": True, "ejected": True}])
@pytest.mark.parametrize("where", ["step", "bake"])
async def test_what_is_not_ready_is_not_promoted(world, policy, state, where):
    w = await world(policy(steps=HALF, bake="5s")).start()
    if where == "bake":
        await w.run(7)
    before = w.rollout.phase
    tell(w, **state)
    await w.run(100)
    assert w.rollout.phase is before
    assert view(w)["waits_for"] == "v2 is not ready: no endpoint answers (probe answered 503)"
    tell(w, healthy=True)
    await w.run(30)
    assert w.rollout.phase is Phase.COMPLETED
