"""`simulate` shows the faults of the past when they are put back, one at a time.

The worlds are those that `rampway simulate` draws. It does not draw failures that come sooner than
good answers, failures with one cause, clients that leave, and pins; users that are used
up take minutes: those faults have worlds and tests of their own (tests/bench/decisions,
tests/core).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from router.config import loads
from router.core.gates import error_rate
from router.core.gates.guard import GuardState
from router.simulation import world
from router.simulation.run import Setup, run_once
from router.simulation.scenario import Bursts, Scenario
from tests.simulation.test_promoted import refusing

SEEDS = range(4)
POLICY = """
routes:
  - name: r
    versions:
      v1: {endpoints: [http://127.0.0.1:9001]}
      v2: {endpoints: [http://127.0.0.1:9002]}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 50%, hold: 20m}], bake: 30m}}
      gates: [error_rate, guard]
"""


def outcomes(scenario, hold="20m"):
    rollout = loads(POLICY.replace("20m", hold).replace("30m", hold)).policy.routes[0].rollout
    setup = Setup.of(rollout)
    return [run_once(setup, scenario, seed).outcome for seed in SEEDS]


def guard_alone(patch):
    """A limit that both versions break convicts the candidate, without a witness."""
    patch.setattr(GuardState, "_supported", property(lambda _: True))
    patch.setattr(GuardState, "wants_trial", property(lambda _: False))


def silence_is_consent(patch):
    """A step is left by its time, whatever its gates have seen."""
    made = Setup.of.__func__
    patch.setattr(Setup, "of", classmethod(
        lambda cls, policy, **more: replace(made(cls, policy, **more), detect=None)
    ))  # fmt: skip


def refusals_are_the_clients(patch):
    """4xx are nobody's, whoever gives them."""
    patch.setattr(error_rate, "refusals", lambda arm: (arm.arrived, 0, arm.ok + arm.left, 0))


DAY = Scenario(requests_per_s=20.0, duration_s=6_000.0)
ROWS = {
    "both above the limit": (
        guard_alone, replace(DAY, stable_rate=0.08, candidate_rate=0.08), "rolled back",
    ),
    "an outage in the bake": (
        guard_alone, replace(DAY, bursts=Bursts(per_day=288.0, rate=0.5, mean_s=20.0)),
        "rolled back",
    ),
    "no traffic": (silence_is_consent, replace(DAY, requests_per_s=1e-9), "promoted"),
    "refuses everything": (refusals_are_the_clients, DAY, "promoted"),
}  # fmt: skip


@pytest.mark.simulated
@pytest.mark.parametrize("row", ROWS)
def test_a_fault_that_is_put_back_shows(row, monkeypatch):
    fault, scenario, bad = ROWS[row]
    if row == "refuses everything":
        monkeypatch.setattr(world.CountingWorld, "_count", refusing(world.CountingWorld._count))
    hold = "4m" if row == "no traffic" else "20m"
    assert outcomes(scenario, hold).count(bad) == 0
    fault(monkeypatch)
    assert outcomes(scenario, hold).count(bad) >= len(SEEDS) // 2
