"""Every world of the level tables can be drawn, judged and named."""

from dataclasses import replace

import numpy as np
import pytest

from tests.bench.decisions.atonce import simulate
from tests.bench.decisions.rollouts import wald
from tests.bench.decisions.worlds import batch_worlds, late_worlds, other_worlds, user_worlds

WORLDS = (*late_worlds(), *user_worlds(), *other_worlds(), *batch_worlds())


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_a_world_convicts_nobody_in_its_first_seconds(world):
    plan = replace(world.plan, length_s=3.0)
    short = replace(world, length_s=3.0)
    found = simulate(short.make, plan, 3, 9, sticky=bool(short.users))
    assert not np.isfinite(found.convicted_s).any()


@pytest.mark.parametrize("world", WORLDS[:2] + WORLDS[15:17], ids=lambda world: world.name)
def test_a_candidate_that_fails_there_is_convicted(world):
    failing = replace(world, failing=(1.0, 0.02), length_s=6.0)
    found = simulate(failing.make, failing.plan, 5, 9, sticky=bool(failing.users))
    assert np.isfinite(found.convicted_s).all()


def test_names_are_unique():
    assert len({world.name for world in WORLDS}) == len(WORLDS)


def test_the_bound_falls_with_the_difference():
    assert wald(1.0) < wald(0.2) < wald(0.05) < wald(0.02)
    assert wald(1.0) == pytest.approx(30.0, abs=12.0)
