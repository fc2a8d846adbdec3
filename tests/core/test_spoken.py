"""The line that a person would say: short, without odds, true of one stretch."""

import json

import pytest

from router.core.evidence.recent import STRETCHES_MAX, Recent, Stretch
from router.core.gates import Measurement
from router.core.judge import Judge
from router.core.rollout.events import (
    Abort,
    Action,
    Observed,
    Pause,
    Promote,
    Resume,
    Rollback,
    SetWeight,
)
from router.core.rollout.machine import decide
from router.core.rollout.rollout import Phase
from router.core.spoken import WORDS_MAX, headline, held
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Pairs
from tests.core.rollout.test_machine import CANARY, SHADOW, start
from tests.core.test_judge import QUERY, cells, gate, judge, latency_past, told


def obeys(line):
    assert line
    assert len(line.replace(" ...", "").split()) <= WORDS_MAX, line
    assert "evidence" not in line, line
    assert " : 1" not in line, line
    assert "{" not in line, line
    return line


def taken_back(j):
    """The line of the rollback that a judge asks for."""
    said = told(j, 10.0)
    assert said.action is Action.ROLLBACK, said
    event = Observed(said.action, said.sentence, said.plain)
    rollout, plan = start()
    return obeys(decide(rollout, plan, event, 1.0).line)


def slow_cells(j, count, slow, side):
    arm = ArmCounts(count, 0, (count - slow,) * len(j.thresholds_s), (slow,) * len(j.thresholds_s))
    none = ArmCounts(0, 0, (0,) * len(j.thresholds_s), (0,) * len(j.thresholds_s))
    both = (arm, none) if side == "candidate" else (none, arm)
    return Batch("r", 1, (Cell(1_000, *both, j.thresholds_s, j.tolerance),))


def test_the_stretch_that_convicted_is_told_not_the_average():
    j = judge(gate("guard"))
    for _ in range(153):
        j.observe(cells(co=1, so=1), 1.0)
    j.observe(cells(co=1), 1.0)
    for _ in range(60):
        if j.conviction:
            break
        j.observe(cells(cb=1, so=50), 2.0)
    line = taken_back(j)
    bad = j.bad
    assert line == (
        f"v2 was taken back: {bad} of its last {bad} answers failed; v1 failed 0 of {bad * 50}"
    )
    assert "of 15" in j.conviction or "of 16" in j.conviction, "the numbers have the totals"
    assert taken_back(Judge.restored(tuple(j.gates.values()), j.settings, _disk(j))) == line


def _disk(j):
    return json.loads(json.dumps(j.snapshot()))


def test_what_failed_all_the_time_is_told_with_its_totals():
    j = judge(gate("error_rate"))
    for _ in range(40):
        j.observe(cells(cb=1, co=1, so=50), 1.0)
    assert "answers failed; v1 failed 0 of " in taken_back(j)
    assert "last" not in taken_back(j)


CONVICTED = {
    "error_rate": lambda: _fed(judge(gate("error_rate")), cells(cb=5, so=95), 20),
    "guard": lambda: _fed(judge(gate("guard")), cells(cb=5, so=95), 20),
    "agreement": lambda: _fed(
        judge(gate("agreement")), Batch("r", 1, (), Pairs(agreed=1, disagreed=14)), 20
    ),
    "agreement of failures": lambda: _fed(
        judge(gate("agreement")), Batch("r", 1, (), Pairs(agreed=1, failed=14)), 20
    ),
    "prometheus": lambda: _measured(gate("prometheus", **QUERY), 0.5),
    "webhook": lambda: _measured(gate("webhook", url="http://127.0.0.1:1/", ask="rollback"), 1.0),
    "max_bad_responses": lambda: _fed(judge(gate("latency"), max_bad_responses=3), cells(cb=3), 1),
    "shadow_slo": lambda: _fed(
        judge(gate("shadow_slo", slower_than="200ms")),
        Batch("r", 1, (), Pairs(agreed=5, times=((0.1, 0.3),) * 5)),
        40,
    ),
    "positive_rate": lambda: _fed(
        judge(gate("positive_rate")), Batch("r", 1, (), Pairs(agreed=5, scored=5, gained=5)), 40
    ),
    "latency": lambda: _slow(judge(gate("latency"), baseline=latency_past())),
    "slo": lambda: _slow(judge(gate("slo", slower_than="250ms"))),
}


def _fed(j, batch, times):
    for _ in range(times):
        j.observe(batch, 1.0)
    return j


def _measured(one, value):
    j = judge(one)
    j.measure(one.title, Measurement((value,)), 1.0)
    return j


def _slow(j):
    for _ in range(40):
        j.observe(slow_cells(j, 90, 0, "stable"), 1.0)
        j.observe(slow_cells(j, 10, 10, "candidate"), 1.0)
    return j


SAYS = {
    "error_rate": "answers failed; v1 failed 0 of",
    "guard": "answers failed; v1 failed 0 of",
    "agreement": "of its predictions differed from v1's",
    "agreement of failures": "answers failed",
    "prometheus": "prometheus measured 0.5, and it should be at least 1",
    "webhook": "webhook: the hook said yes to 'roll back?'",
    "max_bad_responses": "3 of its 3 answers failed, and at most 3 may",
    "shadow_slo": "copied requests it alone was slower than 200ms in",
    "positive_rate": "it alone was positive in",
    "latency": "answers were slower than",
    "slo": "answers were slower than 250ms; v1: 0 of",
}


@pytest.mark.parametrize("name", SAYS)
def test_every_gate_says_why_in_one_line(name):
    assert SAYS[name] in taken_back(CONVICTED[name]())


def test_silence_takes_back_and_holds_in_plain_words():
    j = judge(no_data_aborts=True, no_data_after_s=5.0)
    assert taken_back(j) == "v2 was taken back: it has not answered for 10s"
    j = judge(no_data_after_s=5.0)
    rollout, _ = start()
    assert held(rollout, told(j, 10.0).plain) == "v2 is held: it has not answered for 10s"


def test_every_move_of_the_machine_has_a_line():
    plan, steps = CANARY, [
        Observed(samples=100), Pause("ann", "lunch"), Resume("ann"),
        SetWeight("ann", "", 200, 999.0),
        Observed(Action.HOLD, cap_bp=500, round=0, cap_reason="brake", plain="2 of its 3 failed"),
        Observed(samples=100), Observed(samples=100), Promote("ann"), Rollback("ann"),
    ]  # fmt: skip
    rollout, _ = start(plan)
    for at, event in enumerate(steps):
        after = decide(rollout, plan, event, 100.0 * (at + 1))
        if after is not rollout:
            obeys(after.line)
        rollout = after


ENDINGS = [
    ([Observed(samples=100)], "v2 goes to 10 % (step 2 of 3): step 1 took 1m40s and 100 samples"),
    ([Pause("ann", "lunch")], "v2 is paused by ann: lunch"),
    ([Observed(round=1)], "v2 goes on: all users count anew, since few had not been seen"),
    ([Abort("ann", "no")], "v2 was given up by ann: no"),
    ([Rollback("ann")], "v2 was taken back by ann"),
    ([Observed(samples=100)] * 2 + [Observed(samples=100)],
     "v2 waits for approval (step 3 of 3, 50 %): `promote` it or `abort`"),
    ([Promote("ann", full=True)], "v2 has all traffic and bakes for 10m: promoted by ann"),
    ([Promote("ann", full=True), Promote("ann", "sure")], "v2 is stable: promoted by ann: sure"),
    ([Observed(Action.HOLD, cap_bp=500, plain="2 of its 3 answers failed")],
     "v2 is held at 5 %: 2 of its 3 answers failed"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "line"), ENDINGS)
def test_every_ending_is_told_as_a_person_would(events, line):
    rollout, plan = start()
    for at, event in enumerate(events):
        rollout = decide(rollout, plan, event, 100.0 * (at + 1))
    assert obeys(rollout.line) == line


def test_a_promotion_by_time_and_the_end_of_a_test():
    rollout, plan = start()
    rollout = decide(rollout, plan, Promote("ann", full=True), 1.0)
    rollout = decide(rollout, plan, Observed(samples=1), 700.0)
    assert rollout.phase is Phase.COMPLETED
    assert rollout.line == "v2 is stable: nothing was found against it in 11m39s at 100 %"
    rollout, plan = start(SHADOW)
    rollout = decide(rollout, plan, Observed(samples=1_000), 700.0)
    assert rollout.line == "the test of v2 is over; v1 stays stable"


def test_a_sentence_without_a_line_is_cut():
    assert headline("a 3; evidence 3 : 1, limit 100 : 1") == "a 3"
    assert headline("only 3 : 1") == "only 3 to 1"
    assert len(headline("word " * 40).split()) == WORDS_MAX + 1


def test_stretches_are_bounded_and_what_is_recent_stays_apart():
    recent = Recent()
    for _ in range(STRETCHES_MAX + 40):
        recent.add(Stretch(1, 100, 1, 100))
    recent.add(Stretch(4, 4))
    assert len(recent.snapshot()) == STRETCHES_MAX
    assert recent.telling() == (Stretch(4, 4), True)
    assert recent.whole.total == (STRETCHES_MAX + 40) * 100 + 4
    again = Recent()
    again.restore(recent.snapshot())
    assert again.telling() == recent.telling()


@pytest.mark.parametrize(
    ("replays", "said"),
    [
        ((5, 0), "; asked again, v1 answered all 5 of them"),
        ((4, 1), "; asked again, v1 answered 4 of 5 of them"),
    ],
)
def test_what_stable_answered_when_it_was_asked_again_is_said(replays, said):
    j = judge(gate("error_rate"))
    j.observe(Batch("r", 1, cells(cb=5, so=95).cells, replays=replays), 1.0)
    j = Judge.restored(list(j.gates.values()), j.settings, json.loads(json.dumps(j.snapshot())))
    assert taken_back(j).endswith(said)
