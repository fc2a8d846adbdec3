"""Gate resources: what versions report of themselves, beside what they may use."""

import math

import pytest
from pydantic import ValidationError

from router.core.gates import GateContext, Measurement
from router.core.gates.resources import Resources
from router.core.gates.verdict import Verdict
from router.core.judge import Judge, JudgeSettings
from router.core.rollout.events import Action
from router.core.usage.seen import UsageFacts as Facts
from router.core.wire.baseline import Baseline

PASS, PENDING, ERROR, FAIL = Verdict.PASS, Verdict.PENDING, Verdict.ERROR, Verdict.FAIL
MIB = 2.0**20


def gate(**fields):
    return Resources.model_validate({"memory": "1GiB", "queue": 10.0} | fields)


def seen(memory=100.0, queue=0.0, stable=100.0, **more):
    own = {"memory": memory * MIB, "queue": queue} | more
    return Facts(candidate=own, stable={"memory": stable * MIB})


def verdicts(one, *looks):
    state, found = one.start(GateContext()), []
    for at, look in enumerate(looks):
        state.measure(one.taken(look), 10.0 * at)
        found.append(state.verdict)
    return found, state


def test_three_looks_in_a_row_beyond_hold_and_one_within_ends_it():
    much = seen(queue=11.0)
    found, state = verdicts(gate(), seen(), much, much, much, seen())
    assert found == [PASS, PENDING, PENDING, FAIL, PASS]
    found, state = verdicts(gate(in_a_row=2), much, seen(), much, much)
    assert found == [PENDING, PASS, PENDING, FAIL]
    assert state.sentence() == "queue 11, limit 10; beyond in 2 in a row of 4 looks, limit 2"
    assert state.held


@pytest.mark.parametrize(
    ("fields", "look"),
    [
        ({"memory": "50MiB"}, seen()),
        ({"times_stable": 1.5}, seen(memory=151.0)),
        ({"cpu": 2.0}, seen(cpu=2.1)),
        ({"gpu": "90%"}, seen(gpu=0.91)),
        ({"gpu_memory": "90%"}, seen(gpu_memory=0.91)),
    ],
)
def test_each_signal_has_its_limit(fields, look):
    assert verdicts(gate(**fields), *[look] * 3)[0][-1] is FAIL


def test_a_leak_shows_beside_stable_before_any_limit():
    """Stable stays at 100 MiB; the candidate grows by 10 MiB a look."""
    one = Resources.model_validate({"times_stable": 1.5})
    found, state = verdicts(one, *(seen(memory=100.0 + 10 * k) for k in range(12)))
    assert found.index(FAIL) == 8
    assert state.sentence().startswith("memory 210 MiB, limit 150 MiB")


def test_a_signal_that_nobody_reports_holds_and_says_so():
    one = gate(gpu="50%")
    found, state = verdicts(one, *[seen()] * 6)
    assert (found[0], found[-1], state.held) == (PENDING, ERROR, True)
    assert "nobody reports gpu" in state.sentence()
    alone = Resources.model_validate({"times_stable": 2.0})
    found, state = verdicts(alone, *[Facts(candidate={"memory": 1.0})] * 6)
    assert found[-1] is ERROR
    assert "stable's memory" in state.sentence()
    found, state = verdicts(one, *[Facts(trouble="http://x:1: no answer")] * 6)
    assert found[-1] is ERROR
    assert "no answer" in state.sentence()


def test_what_is_beyond_counts_whatever_is_not_reported():
    assert verdicts(gate(gpu="50%"), *[seen(queue=99.0)] * 3)[0][-1] is FAIL


def test_damaged_numbers_are_an_error_and_nan_no_value():
    state = gate().start(GateContext())
    state.measure(Measurement((1.0, 2.0)), 0.0)
    assert state.answer == "no report of usage"
    state.measure(Measurement((math.nan,) * 6), 0.0)
    assert state.errors_in_row == 2


@pytest.mark.parametrize(
    ("on_fail", "action"),
    [({}, Action.HOLD), ({"on_fail": "rollback"}, Action.ROLLBACK),
     ({"on_fail": "notify"}, Action.CONTINUE)],
)  # fmt: skip
def test_it_holds_unless_it_says_otherwise(on_fail, action):
    one = gate(**on_fail)
    judge = Judge([one], JudgeSettings(), Baseline(1_000, 0), 0.0)
    for at in range(3):
        judge.measure("resources", one.taken(seen(queue=11.0)), float(at))
    assert judge.tick(4.0) is action
    assert not judge.states["resources"].approved


def test_it_says_something():
    with pytest.raises(ValidationError, match="at least one of memory"):
        Resources.model_validate({})
