"""The judge: one answer from all gates, the same after a restart."""

import json
import math
import random

import numpy as np
import pytest

from router.core.alarm import RINGS
from router.core.evidence import Ramp
from router.core.evidence.users import ROUND_S
from router.core.gates import GATES, Gate, Measurement
from router.core.gates.gate import BRAKE_BP, COMPARED_BP
from router.core.gates.guard import TRIAL_BP
from router.core.gates.verdict import Verdict
from router.core.judge import Judge, JudgeSettings
from router.core.policy.rollout import RolloutPolicy
from router.core.rollout.events import Action
from router.core.unanswered import UNANSWERED_MIN, UNANSWERED_S
from router.core.wire.baseline import Baseline
from router.core.wire.histogram import BUCKETS, bucket_of
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Pairs, UserCounts
from router.core.wire.sampled import Facts, PredictedRow, SampleFacts

PAST = Baseline(5_000, 50, (), 50.0)
QUERY = {"url": "http://127.0.0.1:9090", "query": "up", "at_least": 1.0}


def gate(kind, **fields) -> Gate:
    return GATES[kind].model_validate(fields)


def cells(cb=0, sb=0, co=0, so=0, weight_bp=500, **more):
    return Batch("r", 1, (Cell(weight_bp, ArmCounts(co, cb), ArmCounts(so, sb)),), **more)


def judge(*gates, baseline=PAST, **settings):
    return Judge(gates or (gate("error_rate"),), JudgeSettings(**settings), baseline, 0.0)


def told(j, now):
    """What is said after the decider's look at ``now``."""
    j.tick(now)
    return j.judgement()


def ramped(j, now):
    """The ramp's weight after the decider's look at ``now``."""
    j.tick(now, ramping=True)
    return j.auto_weight_bp


def latency_past(count=5_000):
    draw, buckets = random.Random(1), [0] * BUCKETS
    for _ in range(count):
        buckets[bucket_of(draw.lognormvariate(-2.3, 0.5))] += 1
    return Baseline(5_000, 50, tuple(buckets), 50.0)


# --- users who count anew ---------------------------------------------------------------------


def known(j, unit, *, bad=False, round_=0):
    """One request of a user to the candidate, the first of its round."""
    counts = UserCounts((unit,), bad=(unit,) * bad, betting=1, betting_good=1 - bad,
                        first_bad=(unit,) * bad)  # fmt: skip
    arm = ArmCounts(ok=1 - bad, bad=int(bad), arrived=1, users=counts)
    cell = Cell(500, arm, ArmCounts(users=UserCounts()), sticky=True, round=round_)
    j.observe(Batch("r", 1, (cell,)), 1.0)


def used_up(j):
    """Many requests of users of whom nothing more can be evidence."""
    arms = [ArmCounts(ok=n, arrived=n, users=UserCounts()) for n in (100, 2_000)]
    j.observe(Batch("r", 1, (Cell(500, *arms, sticky=True),)), 1.0)


def test_a_candidate_that_turns_bad_when_all_users_are_known_is_taken_back():
    j = judge(gate("error_rate"), gate("guard"), sticky=True)
    for unit in range(40):
        known(j, unit)
    used_up(j)
    assert j.tick(2.0) is Action.CONTINUE
    storm = ArmCounts(bad=2, arrived=2, users=UserCounts())
    j.observe(Batch("r", 1, (Cell(500, storm, ArmCounts(users=UserCounts()), sticky=True),)), 3.0)
    assert (j.cap.round, j.cap.bp) == (1, None), "an alarm: they count anew, the share stays"
    for unit in range(6):
        known(j, unit, bad=True, round_=1)
    assert j.cap.round == 1, "the guard's trial goes on with those who were met since"
    said = told(j, 4.0)
    assert said.action is Action.ROLLBACK
    assert "since they count anew" in said.sentence


def test_users_who_are_new_enough_go_on_counting_at_an_alarm():
    j = judge(gate("error_rate"), gate("guard"), sticky=True)
    for unit in range(3):
        known(j, unit, bad=True)
    assert j.alarm.level > RINGS
    assert j.cap.round == 0


def test_once_a_day_users_count_anew_if_they_are_used_up():
    j, fresh = (judge(gate("error_rate"), sticky=True) for _ in range(2))
    used_up(j)
    for one in (j, fresh):
        one.tick(ROUND_S - 1.0)
        assert one.cap.round == 0
        one.tick(ROUND_S)
    assert (j.cap.round, fresh.cap.round) == (1, 0)
    j.tick(2 * ROUND_S)
    assert j.cap.round == 1, "nobody is used up yet"
    known(j, 1, round_=1)
    known(j, 1, round_=1)
    assert j.promotion.requests == 1, "the proof counts each user once in all rounds"


# --- actions --------------------------------------------------------------------------------


def test_a_failing_candidate_is_rolled_back_with_one_sentence_and_for_good():
    j = judge(gate("error_rate"), gate("guard"))
    j.observe(cells(so=60), 1.0)
    assert j.tick(1.0) is Action.CONTINUE
    for n in range(3):
        j.observe(cells(cb=1), 2.0 + n)
    said = told(j, 5.0)
    assert said.action is Action.ROLLBACK
    assert said.capital >= said.limit == 100.0
    assert said.sentence.startswith("error_rate: failed: candidate ")
    assert "all gates together" in said.sentence
    assert said.reports[0].verdict is Verdict.FAIL
    j.observe(cells(sb=500, co=500), 6.0)
    later = told(j, 6.0)
    assert later.capital < 3
    assert (later.action, later.sentence) == (Action.ROLLBACK, said.sentence)
    assert later.reports[0].verdict is Verdict.FAIL


def test_suspicion_holds_and_passes_again():
    j = judge()
    j.observe(cells(cb=1, so=20), 1.0)
    j.observe(cells(cb=1, so=10), 1.0)
    said = told(j, 1.0)
    assert said.action is Action.HOLD
    assert "no more traffic at 3 : 1 or above" in said.sentence
    j.observe(cells(sb=3, co=200), 2.0)
    assert told(j, 2.0).action is Action.CONTINUE


def test_min_bad_removes_rollbacks():
    for min_bad, action in ((1, Action.ROLLBACK), (2, Action.HOLD)):
        j = judge(min_bad=min_bad, baseline=Baseline(10**6, 0, (), 50.0))
        j.observe(cells(cb=1, so=5_000, weight_bp=10), 1.0)
        assert j.capital > 100
        assert j.tick(1.0) is action


def test_a_budget_of_bad_answers_is_the_operator_s_own_rule():
    j = judge(max_bad_responses=5)
    j.observe(cells(cb=4, sb=80, co=96, so=1_820), 1.0)
    assert j.tick(1.0) is Action.CONTINUE
    j.observe(cells(cb=1, sb=20), 1.0)
    assert j.tick(1.0) is Action.ROLLBACK
    assert told(j, 1.0).sentence == (
        "max_bad_responses: candidate failed in 5 of 101 (5.0 %), limit 5 bad answers"
    )


@pytest.mark.parametrize(("aborts", "action"), [(False, Action.HOLD), (True, Action.ROLLBACK)])
def test_silence(aborts, action):
    j = judge(no_data_after_s=60.0, no_data_aborts=aborts)
    assert j.tick(59.0) is Action.CONTINUE
    assert j.tick(60.0) is action
    assert told(j, 60.0).sentence == (
        "on_no_data: no candidate answer for 1m, limit 1m; 0 answers so far"
    )
    j.observe(cells(so=100), 61.0)
    assert j.tick(61.0) is action
    j.observe(cells(co=1), 62.0)
    assert j.tick(121.0) is Action.CONTINUE
    assert j.tick(200.0, expecting=False) is Action.CONTINUE
    assert j.tick(259.0) is Action.CONTINUE


def test_compared_copies_are_answers_too():
    j = judge(gate("agreement"), no_data_after_s=60.0)
    j.observe(Batch("r", 1, pairs=Pairs(agreed=5, failed=1)), 50.0)
    assert j.tick(100.0) is Action.CONTINUE
    assert (j.pairs, j.answers) == (6, 0)


@pytest.mark.parametrize(
    ("value", "action", "word"),
    [
        (1.0, Action.CONTINUE, "pass"),
        (0.0, Action.ROLLBACK, "fail"),
        (math.nan, Action.HOLD, "inconclusive"),
        (math.inf, Action.HOLD, "pending"),
    ],
)
def test_gates_that_ask_outside_hold_until_they_know(value, action, word):
    j = judge(gate("error_rate"), gate("prometheus", **QUERY))
    assert j.tick(0.0) is Action.HOLD
    assert told(j, 0.0).sentence.startswith("prometheus: nothing measured yet")
    assert j.due(0.0) == ("prometheus",)
    j.measure("prometheus", Measurement((value,)), 0.0)
    said = told(j, 0.0)
    assert (said.action, said.reports[1].verdict.word) == (action, word)
    assert j.due(1.0) == ()


def test_a_dry_run_gate_reports_and_can_do_nothing():
    j = judge(gate("error_rate", dry_run=True), gate("prometheus", **QUERY, dry_run=True))
    j.measure("prometheus", Measurement((0.0,)), 0.0)
    j.observe(cells(cb=50, so=100), 1.0)
    said = told(j, 1.0)
    assert said.action is Action.CONTINUE
    assert [r.verdict for r in said.reports[:2]] == [Verdict.FAIL, Verdict.FAIL]
    assert all(r.dry_run for r in said.reports[:2])
    assert said.capital == 1.0
    assert said.sentence == "all gates together 1 : 1, limit 100 : 1"


def test_a_broken_coin_is_the_router_s_bug():
    j = judge()
    arms = ArmCounts(ok=50, arrived=500), ArmCounts(ok=950, arrived=500)
    j.observe(Batch("r", 1, (Cell(500, *arms),)), 1.0)
    said = told(j, 1.0)
    assert said.action is Action.HOLD
    assert said.sentence.startswith("router bug, not the candidate's: 500 of 1,000 (50.0 %)")
    sticky = judge(sticky=True)
    sticky.observe(Batch("r", 1, (Cell(500, *arms, sticky=True),)), 1.0)
    assert sticky.tick(1.0) is Action.CONTINUE


# --- combination ----------------------------------------------------------------------------


def test_requests_that_nobody_answers_are_news_after_seconds():
    j = judge()
    sent = ArmCounts(arrived=UNANSWERED_MIN), ArmCounts(ok=90, arrived=90)
    j.observe(Batch("r", 1, (Cell(500, *sent, source=1, slice=1),)), 1.0)
    assert j.tick(1.0 + UNANSWERED_S) is Action.HOLD
    assert "none was answered" in j.judgement().sentence
    answered = ArmCounts(ok=1, arrived=UNANSWERED_MIN), ArmCounts(ok=90, arrived=90)
    j.observe(Batch("r", 1, (Cell(500, *answered, source=1, slice=1),)), 7.0)
    assert j.tick(99.0) is Action.CONTINUE


def test_shares_and_the_average():
    j = judge(gate("error_rate"), gate("guard"), gate("slo", slower_than="300ms", share="20%"))
    assert j.shares == pytest.approx({"slo": 0.2, "error_rate": 0.72, "guard": 0.08})
    j.observe(cells(cb=2, so=40), 1.0)
    parts = (j.shares[t] * j.states[t].capital for t in j.shares)
    assert j.capital == pytest.approx(sum(parts))
    assert j.states["error_rate"].context.limit == pytest.approx(100 / 0.72)


def test_a_gate_with_no_share_never_convicts():
    j = judge(gate("error_rate", share="0%"), gate("guard"))
    j.observe(cells(cb=2, so=80), 1.0)
    assert j.states["error_rate"].capital > 100
    assert j.leader == "guard"


def test_two_gates_of_a_kind_need_names():
    with pytest.raises(ValueError, match="name"):
        judge(gate("guard"), gate("guard"))
    assert set(judge(gate("guard"), gate("guard", name="strict")).gates) == {"guard", "strict"}


def test_where_nothing_can_be_compared_the_guards_alarm_is_a_trial():
    j = judge(gate("error_rate"), gate("guard"))
    j.observe(cells(sb=40, cb=2, so=1_000, co=60), 1.0)
    assert (j.cap.bp, j.cap.round) == (None, 0)
    j.observe(Batch("r", 1, (Cell(10_000, ArmCounts(bad=6, ok=1)),)), 2.0)
    assert j.tick(2.0) is Action.HOLD
    assert (j.cap.bp, j.cap.round) == (TRIAL_BP, 1)
    assert j.cap.reason.startswith("trial 1: at most 5 %; ")
    j = Judge.restored(list(j.gates.values()), j.settings, json.loads(json.dumps(j.snapshot())))
    before = Cell(10_000, ArmCounts(bad=9))
    j.observe(Batch("r", 1, (before,)), 3.0)
    assert j.tick(3.0) is Action.HOLD, "what was drawn before is not the trial's"
    arms = ArmCounts(bad=6), ArmCounts(ok=54)
    j.observe(Batch("r", 1, (Cell(1_000, *arms, round=1),)), 4.0)
    assert j.tick(4.0) is Action.ROLLBACK
    assert told(j, 4.0).sentence.startswith("guard: ")
    assert "on trial at 5 %, since then failed: candidate 6 of 6 (100 %)" in j.conviction


def test_a_trial_of_an_outage_that_both_share_ends_without_blame():
    j = judge(gate("error_rate"), gate("guard"))
    j.observe(Batch("r", 1, (Cell(10_000, ArmCounts(bad=6, ok=1)),)), 2.0)
    for second in range(3, 9):
        both = ArmCounts(bad=5, ok=5), ArmCounts(bad=45, ok=45)
        j.observe(Batch("r", 1, (Cell(1_000, *both, round=1),)), float(second))
        assert j.tick(float(second)) is Action.HOLD
        assert j.cap.bp is not None
    j.observe(
        Batch("r", 1, (Cell(1_000, ArmCounts(ok=3_000), ArmCounts(ok=27_000), round=1),)), 9.0
    )
    assert (j.cap.bp, j.cap.reason) == (None, "")
    assert j.tick(10.0) is Action.CONTINUE


def test_the_brake_comes_at_the_hold_level_and_goes_at_half_of_it():
    j = judge(gate("error_rate"))
    j.observe(cells(cb=2, so=5, weight_bp=5_000), 1.0)
    while j.capital < 3:
        j.observe(cells(cb=1, co=9, so=10, weight_bp=5_000), 1.0)
    assert j.cap.bp == BRAKE_BP
    assert j.cap.reason.startswith("brake: at most 5 %; error_rate: failed: candidate ")
    while j.capital >= 1.5 or j.alarm.level >= RINGS / 2:
        assert j.cap.bp == BRAKE_BP
        j.observe(cells(co=5, so=95), 2.0)
    assert j.cap.bp is None


def test_the_brake_comes_with_the_alarm_long_before_there_is_evidence():
    j = judge(gate("error_rate"))
    for _ in range(20):
        j.observe(cells(co=500, cb=5, so=500, sb=5, weight_bp=5_000), 1.0)
    assert j.cap.bp is None
    j.observe(cells(cb=2, so=2, weight_bp=5_000), 2.0)
    assert j.capital < 3
    assert (j.cap.bp, j.states["error_rate"].questions[0].evidence.pot.alarms) == (BRAKE_BP, 1)
    j.observe(cells(co=40, so=760), 3.0)
    assert j.cap.bp is None
    users = judge(gate("error_rate"), sticky=True)
    users.observe(cells(cb=5), 2.0)
    assert users.cap.bp is None, "who has moved stays"


def test_the_brake_leaves_enough_to_compare_predictions():
    """At 5 % hardly any request tells of two shares that differ."""
    j = judge(gate("error_rate"), gate("classes"))
    for number in range(400):
        mine = number % 2 == 0
        told = Facts((PredictedRow("no" if mine or number % 3 else "yes"),))
        sample = SampleFacts(0, 0, 5_000, mine, 0, (), told)
        j.observe(Batch("r", 1, samples=(sample,)), 1.0)
        if j.capital >= 3:
            break
    assert j.cap.bp == COMPARED_BP
    j.cap.brake(2.0, 1.0, COMPARED_BP)
    assert j.cap.bp == BRAKE_BP, "down at once where answers fail"
    j.cap.brake(2.0, 0.0, COMPARED_BP)
    assert j.cap.bp == BRAKE_BP, "and not up again before it is let go"


# --- promotion, warm-up, baseline -------------------------------------------------------------


def test_an_equal_candidate_is_proven_and_stays_so():
    j, draw = judge(), np.random.default_rng(3)
    for second in range(120):
        cb, sb = map(int, draw.binomial([25, 25], 0.01))
        j.observe(cells(cb, sb, 25 - cb, 25 - sb, weight_bp=5_000), float(second))
    said = told(j, 120.0)
    assert said.proven
    assert said.reports[-1].verdict is Verdict.PASS
    assert "not worse than stable + 1 pp" in said.reports[-1].sentence
    j.observe(cells(cb=4, co=20, sb=3, so=20, weight_bp=5_000), 121.0)
    assert j.proven


def test_sticky_promotion_counts_users():
    j = judge(sticky=True)
    everybody = UserCounts(tuple(range(0, 8_000, 2))), UserCounts(tuple(range(1, 8_000, 2)))
    for again in (1, 2):
        arms = (ArmCounts(ok=50_000, users=users) for users in everybody)
        j.observe(Batch("r", 1, (Cell(5_000, *arms, sticky=True),)), 1.0)
        assert j.answers == 50_000 * again
        assert 3_900 < j.promotion.requests <= 4_000
    assert j.proven
    assert j.tick(1.0) is Action.CONTINUE


@pytest.mark.parametrize(
    "warm_up", [{"warm_up_requests": 100}, {"warm_up_s": 30.0}], ids=["requests", "time"]
)
def test_warm_up_is_not_judged(warm_up):
    j = judge(**warm_up)
    j.observe(Batch("r", 1, ()), 50.0)
    j.observe(cells(cb=20, co=80, so=1_900), 100.0)
    assert (j.capital, j.bad, j.answers) == (pytest.approx(1.0), 20, 100)
    j.observe(cells(cb=5, so=90), 140.0)
    assert j.tick(140.0) is Action.ROLLBACK


def test_latency_waits_for_a_past():
    j = judge(gate("error_rate"), gate("latency"))
    assert (j.thresholds_s, j.tolerance) == ((), 0.0)
    report = j.reports()[1]
    assert (report.verdict, "waits for" in report.sentence) == (Verdict.PENDING, True)
    assert j.capital == pytest.approx(1.0)
    assert j.learn(latency_past(100)), "when a client that leaves was failed"
    assert not j.learn(latency_past(100))
    assert not j.settled
    assert j.learn(latency_past())
    assert not j.learn(latency_past())
    assert j.settled
    assert j.thresholds_s == pytest.approx((0.1, 0.227, 0.32), rel=0.03)
    assert j.tolerance == 0.1
    assert j.reports()[1].sentence.startswith("slower than")


def test_thresholds_serve_gates_with_different_tolerances():
    j = judge(
        gate("latency", quantiles=[0.5]), gate("slo", slower_than="300ms"), gate("error_rate"),
        baseline=latency_past(),
    )  # fmt: skip
    assert j.tolerance == 0.1
    assert j.thresholds_s == pytest.approx((0.1, 0.3 / 1.1, 0.3), rel=0.02)
    cell = Cell(
        500, ArmCounts(fast=(9, 9, 9), slow=(0, 9, 0)), ArmCounts(fast=(9, 9, 70), slow=(9, 9, 1)),
        j.thresholds_s, j.tolerance,
    )  # fmt: skip
    j.observe(Batch("r", 1, (cell,)), 1.0)
    slo = j.states["slo"]
    assert (slo.candidate.bad, slo.candidate.total) == (9, 18)
    assert (slo.stable.bad, slo.stable.total) == (1, 71)


# --- the ramp ---------------------------------------------------------------------------------


def test_the_ramp_grows_once_a_second_while_clean():
    j = judge(baseline=Baseline(5_000, 50, (), 1_000.0), ramp=Ramp(observe_s=0.5))
    weight, seen = ramped(j, 0.0), []
    for quarter in range(1, 41):
        now = quarter / 4
        n = 250 * weight // 10_000
        j.observe(cells(co=n, so=250 - n, weight_bp=weight), now)
        weight = ramped(j, now)
        seen.append(weight)
    assert seen == sorted(seen)
    assert seen[0] == seen[1] == 200
    assert seen[-1] == 5_000
    j.observe(cells(cb=60, weight_bp=weight), 11.0)
    assert ramped(j, 12.0) <= 5_000
    assert told(j, 12.0).auto_weight_bp == ramped(j, 12.0)


@pytest.mark.parametrize("rate", [math.nan, math.inf, 0.0, -3.0])
def test_nonsense_in_the_baseline_opens_nothing(rate):
    j = judge(baseline=Baseline(100, 1, (), rate), max_duration_s=600.0)
    assert ramped(j, 0.0) == 100
    assert told(j, 0.0).action is Action.CONTINUE
    assert not j.proven


# --- asking and telling -------------------------------------------------------------------------


def test_asking_changes_nothing_and_tells_what_the_decider_saw_last():
    """A decider that is asked all the time and one that is never asked come to the same."""
    policy = {"no_data_after_s": 60.0, "ramp": Ramp(observe_s=0.5)}
    asked = judge(baseline=Baseline(5_000, 50, (), 1_000.0), **policy)
    alone = judge(baseline=Baseline(5_000, 50, (), 1_000.0), **policy)
    for second in range(1, 30):
        before = asked.snapshot()
        for _ in range(50):
            said = asked.judgement()
            assert said.action is asked.judgement().action
        assert asked.snapshot() == before
        for j in (asked, alone):
            j.observe(cells(co=5, so=95), float(second))
            j.tick(float(second), ramping=True, expecting=second % 7 > 0)
        assert asked.snapshot() == alone.snapshot()
    alone.tick(29.0 + 60.0)
    assert (asked.judgement().action, alone.judgement().action) == (Action.CONTINUE, Action.HOLD)
    assert alone.silence
    assert not asked.silence


def test_a_snapshot_from_before_there_were_ticks_is_read():
    j = judge()
    j.observe(cells(cb=1, so=50), 3.0)
    old = j.snapshot()
    old["clock"] = old["clock"][:4]
    assert Judge.restored([gate("error_rate")], JudgeSettings(), old).capital == j.capital


# --- restart ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sticky", [False, True])
def test_a_restored_judge_makes_the_same_decisions(sticky):
    gates = [
        gate("error_rate"), gate("latency"), gate("guard"), gate("agreement"), gate("accuracy"),
        gate("slo", slower_than="300ms"), gate("prometheus", **QUERY),
        gate("webhook", url="http://127.0.0.1/"),
    ]  # fmt: skip
    settings = JudgeSettings(sticky=sticky, max_duration_s=3_600.0)
    j = Judge(gates, settings, latency_past(), 5.0)
    draw = random.Random(8)
    for second in range(6, 60):
        if second % 7 == 0:
            data = json.loads(json.dumps(j.snapshot(), allow_nan=False))
            twin = Judge.restored(gates, settings, data)
            assert told(twin, second) == told(j, second)
            assert repr(twin) == repr(j)
            j = twin
        for title in j.due(float(second)):
            j.measure(title, Measurement((1.0,)), float(second))
        units = (draw.getrandbits(64),)
        arm = ArmCounts(
            ok=draw.randrange(2), bad=1, fast=(1, 1, 2, 2, 1), slow=(1, 1, 0, 0, 0), arrived=3,
            users=UserCounts(units, units if second % 2 else (), (), ((), units, (), (), ()), 1),
        )  # fmt: skip
        other = ArmCounts(ok=60, bad=1, arrived=61 + second % 2, users=UserCounts())
        cell = Cell(
            500, arm, other, j.thresholds_s, j.tolerance, sticky, source=1, slice=second,
        )  # fmt: skip
        j.observe(Batch("r", 1, (cell,), Pairs(5, 1)), float(second))
        ramped(j, float(second))


def test_a_snapshot_of_other_gates_is_refused():
    data = judge().snapshot()
    with pytest.raises(ValueError, match="other gates"):
        Judge.restored([gate("guard")], JudgeSettings(), data)


# --- policies -----------------------------------------------------------------------------------


def test_settings_come_from_the_policy():
    policy = RolloutPolicy.model_validate({
        "candidate": "v2",
        "strategy": {"canary": {"ramp": {"auto": {"budget": 7}}}},
        "false_rollback_rate": "2%", "hold_level": 4.0, "min_bad_responses": 3,
        "max_bad_responses": 50, "promotion": {"margin": "2%", "risk": "10%"},
        "on_no_data": {"after": "1m", "then": "abort"}, "max_duration": "2h",
        "warm_up": {"requests": 9, "time": "5s"},
    })  # fmt: skip
    assert JudgeSettings.of(policy, sticky=True) == JudgeSettings(
        false_rollback_rate=0.02, hold_level=4.0, min_bad=3, max_bad_responses=50, margin=0.02,
        risk=0.1, no_data_after_s=60.0, no_data_aborts=True, max_duration_s=7_200.0,
        warm_up_requests=9, warm_up_s=5.0, sticky=True, pairs_share=0.0, ramp=Ramp(budget=7),
    )  # fmt: skip
    j = Judge(policy.gates, JudgeSettings.of(policy, sticky=False), PAST, 0.0)
    assert set(j.gates) == {"error_rate", "guard"}


@pytest.mark.parametrize("sticky", [False, True])
def test_what_a_worker_took_along_saw_no_failure(sticky):
    """Its open requests count as left, in every gate; what is said later is ignored."""
    gates = [gate("error_rate"), gate("guard"), gate("slo", slower_than="300ms")]
    j = Judge(gates, JudgeSettings(sticky=sticky), latency_past(), 0.0)
    j.begin_round(0)
    users = (UserCounts((1,), bad=(1,)), UserCounts(tuple(range(2, 42)), tuple(range(2, 42))))
    arms = ArmCounts(bad=1, arrived=2, users=users[0]), ArmCounts(arrived=40, users=users[1])
    cell = Cell(500, *arms, sticky=sticky, source=3, slice=7)
    j.observe(Batch("r", 1, (cell,)), 1.0)
    waiting = j.capital
    j.abandon(4)
    assert j.capital == waiting, "another one's"
    j.abandon(3)
    assert j.capital > waiting
    assert len(j.promotion.slices) == 0
    after = j.capital
    j.observe(Batch("r", 1, (cell,)), 2.0)
    assert j.capital == after


def test_what_pins_and_rules_send_is_for_absolute_limits():
    j = judge(gate("error_rate"), gate("guard"))
    forced = Cell(10_000, ArmCounts(bad=3, ok=1, arrived=4), source=1, slice=1, forced=True)
    j.observe(Batch("r", 1, (forced,)), 1.0)
    assert (j.bad, j.answers) == (3, 4)
    assert j.states["error_rate"].capital == 1.0
    assert j.states["guard"].capital > 100
    assert not j.router_bug
    assert j.cap.bp == BRAKE_BP
