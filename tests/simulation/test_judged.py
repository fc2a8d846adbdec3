"""A simulated world has a judge who prefers nobody, so that his gate has its sample."""

import numpy as np
import pytest

from router.config.check import loads
from router.core.gates.error_rate import ErrorRate
from router.core.gates.judge import JudgeGate
from router.core.wire.outcomes import Batch, Pairs
from router.simulation.judged import RUN_MAX, Judging
from router.simulation.run import Setup, run_once
from router.simulation.scenario import Scenario

GATE = JudgeGate(url="http://127.0.0.1:1/", sample="50%")
PAIRS = Batch("r", 1, pairs=Pairs(agreed=400, disagreed=600))
POLICY = """
routes:
  - name: r
    payload: json
    versions:
      v1: {endpoints: [http://127.0.0.1:1]}
      v2: {endpoints: [http://127.0.0.1:2]}
    stable: v1
    rollout:
      candidate: v2
      strategy: {shadow: {mirror: 100%, hold: 1m, then: {blue_green: {bake: 1m}}}}
      gates: [judge: {url: "http://127.0.0.1:3", sample: 50%}]
"""


def test_verdicts_follow_a_fair_coin_and_pairs_that_agree_cost_nothing():
    found = Judging(np.random.default_rng(1), [GATE, ErrorRate()]).of(PAIRS)
    asked = [one for one in found if one.asked]
    assert 150 < len(found) - len(asked) < 250
    assert 250 < len(asked) < 350
    assert {one.worse for one in asked} == {-1.0, 1.0} == {float(one.first) for one in asked}
    assert abs(sum(one.worse for one in asked)) < 60


def test_there_are_none_without_pairs_or_a_judge_and_no_more_than_a_run_has():
    draw = np.random.default_rng(1)
    assert Judging(draw, [ErrorRate()]).of(PAIRS) == ()
    assert Judging(draw, [GATE]).of(Batch("r", 1)) == ()
    made = Judging(draw, [GATE])
    assert sum(len(made.of(PAIRS)) for _ in range(20)) == RUN_MAX


@pytest.mark.parametrize("seed", range(3))
def test_a_step_waits_for_the_judge_s_sample_and_ends(seed):
    rollout = loads(POLICY).policy.routes[0].rollout
    run = run_once(Setup.of(rollout), Scenario(requests_per_s=5, duration_s=3_600), seed)
    assert run.outcome == "promoted"
    shown_at = run.timeline[0][0]
    assert shown_at > 120.0, "513 verdicts are half of 1,026 pairs, five a second"
