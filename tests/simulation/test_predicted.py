"""A simulated world feeds gates on predictions: an equal candidate leaves its steps."""

from pathlib import Path

import numpy as np
import pytest

from router.config.check import load
from router.core.gates.by import SegmentKeys
from router.core.gates.classes import Classes
from router.core.gates.nulls import Nulls
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.simulation.predicted import GAP_MAX, RUN_MAX, Predicted
from router.simulation.run import Setup, run_once
from router.simulation.scenario import Scenario

EXAMPLE = Path(__file__).parents[2] / "configs/predictions.yaml"

NOTHING = SegmentKeys(())


def cell(candidate, stable, **more):
    return Cell(500, ArmCounts(ok=candidate), ArmCounts(ok=stable), **more)


@pytest.mark.simulated
def test_the_example_is_promoted_and_none_of_its_gates_is_idle():
    route = load(EXAMPLE, {}).policy.routes[0]
    setup = Setup.of(route.rollout, sampled=route.sampled)
    run = run_once(setup, Scenario(requests_per_s=50, duration_s=86_400), 1)
    assert run.outcome == "promoted", run


def test_samples_have_the_odds_of_the_coin_and_are_bounded():
    made = Predicted(np.random.default_rng(1), 1.0, NOTHING)
    found = [one for _ in range(1_000) for one in made.of(Batch("r", 1, (cell(50, 950),)))]
    assert len(found) == RUN_MAX
    assert 100 < sum(one.candidate for one in found) < 310
    few = Predicted(np.random.default_rng(1), 1.0, NOTHING).of(Batch("r", 1, (cell(1, 2),)))
    assert len(few) == 3
    assert len(
        Predicted(np.random.default_rng(1), 1.0, NOTHING).of(Batch("r", 1, (cell(0, 99),)))
    ) == (GAP_MAX)


def test_where_there_is_no_coin_or_no_gate_nothing_is_sampled():
    assert Predicted(np.random.default_rng(1), 0.0, NOTHING).of(Batch("r", 1, (cell(5, 5),))) == ()
    forced = Batch("r", 1, (cell(5, 5, forced=True),))
    assert Predicted(np.random.default_rng(1), 1.0, NOTHING).of(forced) == ()
    assert Predicted(np.random.default_rng(1), 1.0, NOTHING).of(Batch("r", 1)) == ()


def test_requests_have_what_a_gate_tells_segments_apart_by():
    by = [Nulls(by={"header": "X-Country"}), Classes(by={"feature": "carrier"})]
    first, *_ = Predicted(np.random.default_rng(1), 1.0, SegmentKeys(by)).of(
        Batch("r", 1, (cell(5, 5),))
    )
    assert len(first.segments) == len(first.facts.rows[0].features) == 1
