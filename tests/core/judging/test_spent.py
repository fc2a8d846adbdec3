"""A judge's budget, from midnight to midnight."""

import json

from router.core.gates.judge import JudgeBudget
from router.core.judging.said import JudgeSaid
from router.core.judging.spent import DAY_S, Spending

BUDGET = JudgeBudget(calls=10, tokens=100, cost=2.0)


def spent(calls=0, tokens=0, cost=0.0):
    made = Spending()
    made.turn(5 * DAY_S)
    made.calls = calls
    made.answered(JudgeSaid(0.0, "", tokens, cost))
    return made


def test_each_of_the_three_ends_it():
    assert spent(9, 99, 1.9).used_up(BUDGET) == ""
    assert spent(10).used_up(BUDGET) == "10 calls"
    assert spent(8).used_up(BUDGET, ahead=2) == "10 calls"
    assert spent(1, 100).used_up(BUDGET) == "100 tokens"
    assert spent(1, 0, 2.5).used_up(BUDGET) == "a cost of 2"
    assert spent(1, 10**6, 10.0**6).used_up(JudgeBudget()) == ""


def test_midnight_gives_it_back_and_a_clock_that_is_set_back_does_not():
    one = spent(10)
    one.turn(5 * DAY_S - 1)
    one.turn(6 * DAY_S - 1)
    assert one.used_up(BUDGET)
    one.turn(6 * DAY_S)
    assert (one.calls, one.tokens, one.used_up(BUDGET)) == (0, 0, "")


def test_it_outlives_a_restart():
    one, again = spent(3, 4, 0.5), Spending()
    again.restore(json.loads(json.dumps(one.snapshot())))
    assert again.snapshot() == one.snapshot()
