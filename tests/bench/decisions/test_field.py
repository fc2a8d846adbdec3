"""The worlds whose answers take their time: what they tell the judge is what was drawn."""

import pytest

from tests.bench.decisions.field import FAST, World, about, level_worlds, power_worlds, run, runs_of


@pytest.mark.parametrize("users", [0, 50])
def test_a_failing_candidate_is_convicted_and_an_equal_one_is_not(users):
    good = about(0.3), about(0.1)
    failing = World("w", 100, 2_500, (1.0, 0.01), good, (FAST, FAST), 5.0, users=users)
    ended = run(failing, 1)
    assert ended.convicted_s is not None
    assert 2 <= ended.bad <= 12
    equal = World("w", 100, 2_500, (0.02, 0.02), good, (FAST, FAST), 5.0, users=users)
    assert run(equal, 1).convicted_s is None


def test_processes_make_the_same_runs():
    world = power_worlds()[0][0]
    assert runs_of(world, 4, 2) == runs_of(world, 4, 1)


def test_every_world_has_a_name_of_its_own():
    names = [w.name for w in level_worlds()] + [w.name for w, _ in power_worlds()]
    assert len(set(names)) == len(names)
