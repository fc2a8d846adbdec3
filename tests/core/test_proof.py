"""What keeps a rollout where it is: gates without their sample, places where nothing is learnt."""

import pytest

from router.core.gates import GATES, Measurement
from router.core.gates.sample import Detect
from router.core.judge import Judge, JudgeSettings
from router.core.position import Position
from router.core.proof import Missing, holding, lacking, missing, place_of, unproven
from router.core.rollout.plan import Ending, Plan, Step
from router.core.rollout.rollout import Phase, begin, moved
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Pairs

PAST = Baseline(5_000, 50, (), 50.0)
DETECT = Detect()
HALF = Position(5_000, seen=1, judged=1_000)
COPIES = Position(0, 10_000, seen=1, judged=1_000)
WHOLE = Position(10_000, seen=1, judged=1_000)
SILENT = Position(0, last=True)


def judge(*gates):
    made = [GATES[k].model_validate(f) for k, f in gates]
    return Judge(made, JudgeSettings(), PAST, 0.0)


GUARD, ERRORS = ("guard", {}), ("error_rate", {})
AGREEMENT = ("agreement", {"at_least": "95%"})
ASKED = ("prometheus", {"url": "http://p:9090", "query": "up", "at_least": 1.0})


def answers(number, weight_bp=5_000):
    return Batch("r", 1, (Cell(weight_bp, ArmCounts(number, 0), ArmCounts(number, 0)),))


@pytest.mark.parametrize(
    ("gates", "place", "lacks"),
    [
        ((ERRORS, GUARD), HALF, ["error_rate", "guard"]),
        ((ERRORS, GUARD), COPIES, ["guard"]),
        ((ERRORS, GUARD), WHOLE, ["guard"]),
        ((ERRORS, GUARD), SILENT, []),
        ((AGREEMENT, GUARD), COPIES, ["agreement", "guard"]),
        ((AGREEMENT,), HALF, []),
        ((AGREEMENT,), Position(5_000, reverse=True), ["agreement"]),
        ((("error_rate", {"dry_run": True}), ASKED), HALF, []),
        ((("latency", {}),), HALF, ["latency"]),
    ],
)
def test_a_gate_is_asked_where_it_can_learn(gates, place, lacks):
    assert [one.gate for one in missing(judge(*gates), place, DETECT)] == lacks


def test_it_is_enough_when_every_gate_had_its_sample():
    j = judge(ERRORS, GUARD)
    assert unproven(j, HALF, DETECT).startswith("not enough yet: error_rate has 0 of ")
    j.observe(answers(100), 1.0)
    assert unproven(j, HALF, DETECT) == "not enough yet: error_rate has 100 of 631 answers"
    j.observe(answers(531), 2.0)
    assert not unproven(j, HALF, DETECT)
    assert not unproven(j, WHOLE, DETECT), "samples are those of the whole attempt"
    fresh = Position(10_000, seen=0, judged=631)
    assert "no answer of the candidate was judged here" in unproven(j, fresh, DETECT)


def test_pairs_are_the_sample_of_a_shadow():
    j = judge(AGREEMENT, GUARD)
    j.observe(Batch("r", 1, (), pairs=Pairs(agreed=30)), 1.0)
    found = list(missing(j, COPIES, DETECT))
    assert [(one.gate, one.seen, one.what) for one in found] == [
        ("agreement", 30, "compared pair"), ("guard", 30, "answer"),
    ]  # fmt: skip
    assert all(one.seen == 30 for one in found)


def test_a_switch_without_copies_needs_something_that_judged():
    j = judge(GUARD)
    assert "nothing judges the candidate" in unproven(j, SILENT, DETECT)
    assert not unproven(j, Position(0), DETECT), "for a share that teaches it may go on"
    assert not unproven(j, Position(0, judged=1, last=True), DETECT)


def test_a_gate_outside_that_passed_is_a_judge():
    j = judge(ASKED)
    assert "nothing judges" in unproven(j, SILENT, DETECT)
    j.measure("prometheus", Measurement((1.0,)), 1.0)
    assert not unproven(j, SILENT, DETECT)


def test_every_gate_that_holds_is_named():
    j = judge(ASKED, GUARD, ("error_rate", {}))
    assert [text.partition(":")[0] for text in holding(j)] == ["prometheus"]
    j.observe(Batch("r", 1, (Cell(5_000, ArmCounts(0, 3), ArmCounts(40, 0)),)), 1.0)
    assert [text.partition(":")[0] for text in holding(j)] == ["error_rate", "prometheus"]


def test_what_is_missing_is_said_in_words():
    assert Missing("latency", 0, 0).sentence().startswith("latency waits for more of stable's past")
    assert Missing("slo", 3, 10**9).sentence() == "slo cannot see answers at this share"


def test_places_of_a_plan():
    plan = Plan((Step(0, 5_000), Step(2_500), Step(10_000)), bake_s=60)
    rollout = begin("r-1", "r", "v1", "v2", revision=1, now=0.0)
    first = place_of(rollout, plan, seen=3, judged=4, reverse=True)
    assert first == Position(0, 5_000, True, 3, 4, last=False)
    assert place_of(moved(rollout, step=1), plan, seen=0, judged=0).last, "then all traffic"
    assert place_of(moved(rollout, step=2), plan, seen=0, judged=0).last
    baking = moved(rollout, step=2, phase=Phase.BAKING)
    assert place_of(baking, plan, seen=0, judged=0) == Position(10_000, last=True)


def test_a_plan_that_keeps_stable_ends_by_its_time():
    plan = Plan((Step(0, 5_000, hold_s=60),), ending=Ending.KEEP)
    rollout = begin("r-1", "r", "v1", "v2", revision=1, now=0.0)
    assert not lacking(judge(GUARD), rollout, plan, COPIES, DETECT)
    assert lacking(judge(GUARD), rollout, Plan((Step(0, 5_000),)), COPIES, DETECT)
