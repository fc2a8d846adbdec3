"""`rampway simulate` shows every fault of the past when it is put back, one at a time.

The command as somebody types it, on a policy file; the faults are those that once let good
candidates be taken back, and bad ones through. Each is put back where it was, in the counting of a
worker, in the evidence or in a gate.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from router.core import judge
from router.core.evidence import promote
from router.core.evidence.waits import Waits
from router.core.gates import error_rate
from router.core.gates.guard import GuardState
from router.core.wire.baseline import Baseline
from router.simulation import world
from router.simulation.run import Setup
from router.simulation.world import SimulatedUsers
from router.telemetry.slices import LiveSlice
from tests.cli.conftest import rampway

POLICY = """
routes:
  - name: r
    match: {path: /*}
    MORE
    versions:
      v1: {endpoints: [http://127.0.0.1:9001]}
      v2: {endpoints: [http://127.0.0.1:9002]}
    stable: v1
    rollout:
      candidate: v2
      strategy: STRATEGY
      gates: [error_rate, guard]
"""
UNBRAKED = "      hold_level: 99\n"
"""The share stays as it is: the fault is older than the brake."""
CANARY = "{canary: {steps: [{weight: 50%, hold: HOLD}], bake: HOLD}}"
PREVIEW = "{blue_green: {hold: 10m, until: {samples: 0}, bake: 1m}}"


@pytest.fixture
def told(tmp_path):
    """What the command says of a policy in a world, of three rollouts."""

    def simulated(*options, strategy=CANARY, hold="10m", more="pin: true", alone=False):
        text = POLICY.replace("STRATEGY", strategy).replace("HOLD", hold).replace("MORE", more)
        if alone:
            text = text.replace("guard]", "{guard: {dry_run: true}}]") + UNBRAKED
        file = tmp_path / "policy.yaml"
        file.write_text(text)
        said = rampway("simulate", str(file), *options, "--runs", "3", "-o", "json")
        assert said.code == 0, said.err
        return said.json

    return simulated


# --- the faults -------------------------------------------------------------------------------


def counted_when_they_end(patch):
    """Answers count as they come; what is under way is not there."""
    whole = LiveSlice.news

    def news(self):
        before, now = self.told, whole(self)
        if now is None:
            return None
        return replace(now, slice=0, candidate=less(now.candidate, before and before.candidate),
                       stable=less(now.stable, before and before.stable))  # fmt: skip

    patch.setattr(LiveSlice, "news", news)


def less(arm, before):
    ok, bad = (before.ok, before.bad) if before else (0, 0)
    made = replace(arm, ok=arm.ok - ok, bad=arm.bad - bad)
    return replace(made, arrived=made.ok + made.bad)


def every_failure_by_itself(patch):
    """Failures with one cause count as many."""
    patch.setattr(Baseline, "together", property(lambda _: 1))


def guard_alone(patch):
    """A limit that both versions break convicts the candidate, without a witness."""
    patch.setattr(GuardState, "_supported", property(lambda _: True))
    patch.setattr(GuardState, "wants_trial", property(lambda _: False))


def stable_proves_it(patch):
    """Good answers of stable alone are a proof, and nothing is open."""
    counted_when_they_end(patch)
    patch.setattr(promote, "ANSWERS_PER_MARGIN", 0.0)
    patch.setattr(judge, "ANSWERS_PER_MARGIN", 0.0)


def who_leaves_has_seen_nothing(patch):
    """Clients that gave up are dropped."""
    patch.setattr(Waits, "of", classmethod(lambda cls, _past: cls(math.inf, True)))


def refusals_are_the_clients(patch):
    """4xx are nobody's, whoever gives them."""
    patch.setattr(error_rate, "refusals", lambda arm: (arm.arrived, 0, arm.ok + arm.left, 0))
    patch.setattr(GuardState, "refuses", property(lambda _: False))


def cohorts_are_no_evidence(patch):
    """What pins and rules send is not looked at."""
    patch.setattr(
        "router.core.gates.guard.all_error_rows",
        lambda batch, *, forced: () if forced else error_rate.all_error_rows(batch, forced=False),
    )


def silence_is_consent(patch):
    """A step is left by its time, whatever its gates have seen."""
    made = Setup.of.__func__
    patch.setattr(Setup, "of", classmethod(
        lambda cls, policy, **more: replace(made(cls, policy, **more), detect=None)
    ))  # fmt: skip


def users_are_used_up(patch):
    """Each user's first failure is evidence, however late: the better version's come last."""
    patch.setattr(world, "bets_of", lambda *_: 10**9)
    patch.setattr(SimulatedUsers, "arm", fails_free(SimulatedUsers.arm))


def fails_free(arm):
    """Good requests of users do not pay for the tolerance, and first requests bet on nothing."""

    def told(self, *args):
        counted = arm(self, *args)
        return replace(counted, betting=len(counted.first_bad), betting_good=0, drawn=(), bad=())

    return told


def false_rollbacks(said):
    return said["outcomes"]["rolled back"]


def missed(said):
    return 1.0 - said["outcomes"]["rolled back"]


def promoted(said):
    return said["outcomes"]["promoted"]


def proven(said):
    return said["proven"]


def late(said):
    """Whoever met it before it was taken back."""
    return missed(said) or said["seconds_to_rollback"]["median"] > 120


ROWS = {
    "failures are sooner than answers": (
        counted_when_they_end, false_rollbacks,
        ("--rate", "50/s", "--stable", "5%", "--failures", "30ms", "--latency", "500ms",
         "--slower", "10", "--duration", "30s"), {},
    ),
    "failures with one cause": (
        every_failure_by_itself, false_rollbacks,
        ("--rate", "50/s", "--stable", "5%", "--together", "5", "--duration", "200s"), {},
    ),
    "users are used up": (
        users_are_used_up, false_rollbacks,
        ("--rate", "200/s", "--stable", "40%", "--candidate", "10%", "--users", "1000",
         "--duration", "10m"),
        {"hold": "30m", "more": "sticky: {header: X-User}", "alone": True},
    ),
    "both above the limit": (
        guard_alone, false_rollbacks,
        ("--rate", "20/s", "--stable", "8%", "--duration", "100m"), {"hold": "20m"},
    ),
    "an outage in the bake": (
        guard_alone, false_rollbacks,
        ("--rate", "20/s", "--outages", "288/d", "--duration", "100m"), {"hold": "20m"},
    ),
    "proven by stable's answers": (
        stable_proves_it, proven,
        ("--rate", "200/s", "--stable", "0.1%", "--hang", "--patience", "1m",
         "--duration", "20s"), {},
    ),
    "it hangs and its clients leave": (
        who_leaves_has_seen_nothing, missed,
        ("--rate", "20/s", "--hang", "--patience", "1s", "--duration", "100s"), {},
    ),
    "it refuses everything": (
        refusals_are_the_clients, promoted,
        ("--rate", "20/s", "--refuses", "100%", "--duration", "15m"), {"hold": "2m"},
    ),
    "cohorts of pins and rules": (
        cohorts_are_no_evidence, late,
        ("--rate", "20/s", "--candidate", "100%", "--pinned", "5%", "--duration", "8m"),
        {"strategy": PREVIEW},
    ),
    "no traffic": (
        silence_is_consent, promoted, ("--rate", "0.01/d", "--duration", "1h"), {"hold": "4m"},
    ),
}  # fmt: skip


@pytest.mark.simulated
@pytest.mark.parametrize("row", ROWS)
def test_a_fault_that_is_put_back_shows(row, told, monkeypatch):
    fault, wrong, options, more = ROWS[row]
    assert wrong(told(*options, **more)) == 0
    fault(monkeypatch)
    assert wrong(told(*options, **more)) >= 0.5
