"""The page reads what the router says: every key that the script asks for is there."""

from __future__ import annotations

import re

import pytest

from router.admin.dashboard import FILES
from router.control.told import status
from router.core.pairs.tally import Tally
from tests.control.conftest import World, canary

SCRIPT = FILES["app.js"].body.decode()
PAGE = FILES["index.html"].body.decode()
ADDED = {"commands"}
"""By the admin server itself."""


def asked(name):
    return set(re.findall(rf"\b{name}\??\.([a-z_]+)\b(?!\()", SCRIPT))


@pytest.fixture
async def world():
    return await World(canary()).start()


def told(world):
    reconciler = world.reconciler
    run = reconciler.runs["r"]
    rollout = status.rollout_view(
        run, run.record.carried, reconciler.observatory, 1, world.clock.now()
    )
    return rollout.to_json(), status.summary(run).to_json()


async def test_rollouts_and_routes(world):
    rollout, summary = told(world)
    assert asked("rollout") - ADDED <= set(rollout)
    assert asked("route") <= set(summary)
    assert {"shares_bp", "waits_for", "next_advance_at", "draining", "feedback"} <= asked("rollout")


async def test_steps_approvals_and_shadows(world):
    rollout, _ = told(world)
    assert asked("plan") <= set(rollout["plan"])
    assert asked("step") <= set(rollout["plan"]["steps"][0])
    brief = Tally(world.reconciler.runs["r"].trial.policy.compare).brief()
    assert asked("shadow") - {"learning"} <= set(brief)


def test_every_place_that_the_script_fills_is_on_the_page():
    places = set(re.findall(r'\bat\("([a-z-]+)"\)', SCRIPT))
    assert places == {place for place in places if f'id="{place}"' in PAGE}
    assert len(places) > 15
