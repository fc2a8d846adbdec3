"""What the failure of a gate does: it rolls back, it holds, or it only tells."""

from __future__ import annotations

import json

import pytest

from router.config.check import loads
from router.core.gates import GATES
from router.core.gates.agreement import Agreement
from router.core.gates.guard import Guard
from router.core.gates.measured import Measured
from router.core.gates.sample import Detect
from router.core.gates.verdict import Verdict
from router.core.judge import Judge, JudgeSettings
from router.core.position import Position
from router.core.proof import holding, missing
from router.core.rollout.events import Action
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Pairs

PAST = Baseline(1_000, 0)


def judge(*gates):
    return Judge(gates, JudgeSettings(), PAST, 0.0)


def differing(number):
    return Batch("r", 1, (), pairs=Pairs(agreed=0, disagreed=number))


def failing(number):
    bad, ok = ArmCounts(bad=number, arrived=number), ArmCounts(ok=number, arrived=number)
    return Batch("r", 1, (Cell(5_000, bad, ok),))


@pytest.mark.parametrize(
    ("on_fail", "action"),
    [("rollback", Action.ROLLBACK), ("hold", Action.HOLD), ("notify", Action.CONTINUE)],
)
@pytest.mark.parametrize("kind", ["agreement", "guard"])
def test_a_failure_does_what_is_written(kind, on_fail, action):
    gate = (Agreement if kind == "agreement" else Guard)(on_fail=on_fail)
    other = Guard if kind == "agreement" else Agreement  # which sees nothing of it
    gates = gate, other(name="other")
    one = judge(*gates)
    batch = differing(40) if kind == "agreement" else failing(40)
    one.observe(batch, 1.0)
    assert one.tick(2.0) is action
    report = next(r for r in one.reports() if r.gate == kind)
    assert report.verdict is Verdict.FAIL
    assert (kind in one.failed) is (on_fail != "rollback")
    if on_fail != "rollback":
        assert one.failed[kind].endswith(f"; on_fail: {on_fail}")
        assert set(one.shares) == {"other"}
    held = [text for text in holding(one) if text.startswith(f"{kind}: ")]
    assert len(held) == (on_fail != "notify")
    kept = json.loads(json.dumps(one.snapshot()))
    again = Judge.restored(gates, JudgeSettings(), kept)
    assert again.failed == one.failed
    assert again.tick(2.0) is action


def test_what_failed_once_holds_until_a_person_decides():
    one = judge(Agreement(on_fail="hold"))
    one.observe(differing(40), 1.0)
    one.observe(Batch("r", 1, (), pairs=Pairs(agreed=100_000)), 2.0)
    assert one.tick(3.0) is Action.HOLD


def test_suspicion_holds_and_only_what_holds_needs_its_sample():
    one = judge(Agreement(on_fail="hold"), Agreement(name="told", on_fail="notify"))
    one.observe(differing(1), 1.0)
    assert not one.failed
    assert one.tick(2.0) is Action.HOLD
    place = Position(0, 10_000, judged=1)
    assert [m.gate for m in missing(one, place, Detect())] == ["agreement"]


def test_every_gate_has_the_key():
    for kind in GATES.values():
        wanted = "hold" if issubclass(kind, Measured) else "rollback"
        assert kind.model_fields["on_fail"].default == wanted


POLICY = """
routes:
  - name: r
    payload: {payload}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{step}, {{weight: 50%, hold: 1h}}]}}}}
      {gates}
"""
MIRROR = "{mirror: 100%, until: {samples: 500}}"


@pytest.mark.parametrize(
    ("payload", "step", "gates", "found"),
    [
        ("json", MIRROR, "", (9_500, "hold")),
        ("v1", MIRROR, "gates: [error_rate, guard]", (9_500, "hold")),
        ("json", MIRROR, "gates: [guard, {agreement: {at_least: 90%}}]", (9_000, "rollback")),
        (
            "json",
            MIRROR,
            "gates: [guard, {agreement: {at_least: 90%, on_fail: notify}}]",
            (9_000, "notify"),
        ),
        ("opaque", MIRROR, "", None),
        ("openai", MIRROR, "", None),
        ("json", "{weight: 1%, hold: 1h}", "", None),
    ],
)
def test_what_is_mirrored_and_can_be_read_is_judged(payload, step, gates, found):
    loaded = loads(POLICY.format(payload=payload, step=step, gates=gates))
    rollout = loaded.policy.routes[0].rollout
    got = [(g.at_least, g.on_fail) for g in rollout.gates if isinstance(g, Agreement)]
    assert got == ([found] if found else [])
    assert ("gates" in rollout.model_fields_set) is bool(gates)
