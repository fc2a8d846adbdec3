"""A step that names who may promote it is left, or grows, by nobody else's order."""

import pytest

from router.config.check import loads
from router.config.problems import PolicyError
from router.control.state.errors import NotPermitted
from router.core.rollout.events import Abort, Promote, SetWeight
from tests.control.conftest import World

POLICY = """
admin: {tokens: [{name: ann, role: operator, token: ann-of-these-tests-1}]}
routes:
  - name: r
    versions:
      v1: {endpoints: ["http://127.0.0.1:9001"]}
      v2: {endpoints: ["http://127.0.0.1:9002"]}
    stable: v1
    rollout:
      candidate: v2
      strategy:
        canary:
          steps: [{weight: 10%, approval: {by: [ann]}}, {weight: 50%, hold: 1h}]
      gates: [error_rate]
"""


async def test_only_who_is_named_promotes():
    world = World(POLICY)
    await world.start()
    for order in (Promote("bob"), Promote("bob", full=True), SetWeight("bob", "", 5_000, 60.0)):
        with pytest.raises(NotPermitted, match="names ann"):
            await world.order(order)
    await world.order(SetWeight("bob", "", 500, 60.0))
    await world.order(Promote("ann"))
    assert world.rollout.step == 1
    await world.order(Promote("bob", full=True))


async def test_anybody_takes_traffic_away():
    world = World(POLICY)
    await world.start()
    await world.order(Abort("bob"))
    assert world.weight == 0


def test_a_name_without_a_token_is_told():
    with pytest.raises(PolicyError, match="name of a token in by, got 'carol'"):
        loads(POLICY.replace("by: [ann]", "by: [carol]"))
