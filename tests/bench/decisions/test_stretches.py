"""A world told in stretches has the rates and latencies of one drawn answer by answer."""

import numpy as np
import pytest

from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.rollout.traffic import Split
from router.simulation.scenario import Bursts, LatencyModel, Scenario
from tests.bench.decisions.stretches import STRETCH_S, Stretches, between


def world(scenario, *gates, seed=1):
    judge = Judge([GATES[kind]() for kind in gates], JudgeSettings(), scenario.baseline(), 0.0)
    return Stretches(scenario, judge, np.random.default_rng(seed)), judge


def test_counts_of_a_stretch():
    made, _ = world(Scenario(stable_rate=0.1, candidate_rate=0.2, requests_per_s=1_000.0))
    assert made.advance(0.0, Split(5_000), 60.0, quiet=False) == STRETCH_S
    (cell,) = made.take().cells
    assert cell.candidate.bad == pytest.approx(200, rel=0.3)
    assert cell.stable.bad == pytest.approx(100, rel=0.4)
    assert cell.candidate.arrived == made.exposed == pytest.approx(1_000, rel=0.2)
    assert not made.take().cells


def test_nothing_is_drawn_while_only_copies_are_made():
    made, _ = world(Scenario(candidate_rate=0.5, requests_per_s=100.0))
    made.advance(0.0, Split(0, mirror_bp=5_000), 60.0, quiet=False)
    batch = made.take()
    assert batch.cells == ()
    assert batch.pairs.failed == pytest.approx(batch.pairs.agreed, rel=0.5)


def test_rare_failures_are_waited_for_and_an_outage_ends_a_stretch():
    rare, _ = world(Scenario(requests_per_s=0.5))
    assert rare.advance(0.0, Split(5_000), 1_000.0, quiet=False) == 200.0
    stormy, _ = world(Scenario(requests_per_s=0.5, bursts=Bursts(per_day=86_400.0, mean_s=1.0)))
    assert stormy.advance(0.0, Split(5_000), 1_000.0, quiet=False) < 20.0


def test_slow_ones_are_those_of_the_law():
    scenario = Scenario(requests_per_s=5_000.0, latency=LatencyModel(factor=1.3))
    made, judge = world(scenario, "latency")
    made.advance(0.0, Split(5_000), 60.0, quiet=False)
    (cell,) = made.take().cells
    assert cell.thresholds_s == judge.thresholds_s
    assert cell.stable.slow[0] / cell.stable.arrived == pytest.approx(0.5, abs=0.03)
    law = between(scenario.latency, [limit * 1.1 for limit in judge.thresholds_s], 1.3)
    assert cell.candidate.fast[0] / cell.candidate.arrived == pytest.approx(law[0], abs=0.03)
    assert law.sum() == pytest.approx(1.0)
