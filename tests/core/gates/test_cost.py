"""Gate cost: prices, and the tokens that answers say they took."""

import random

import pytest
from pydantic import ValidationError

from router.core.gates import GateContext, Measurement
from router.core.gates.cost import Cost
from router.core.gates.verdict import Verdict
from router.core.usage.seen import LEVEL, Spent, half_width
from router.core.usage.seen import UsageFacts as Facts

PASS, PENDING, ERROR, FAIL = Verdict.PASS, Verdict.PENDING, Verdict.ERROR, Verdict.FAIL


def spent(answers, tokens, seed=1, spread=0.3, price=0.001):
    draw, found = random.Random(seed), Spent()
    for _ in range(answers):
        used = round(tokens * draw.lognormvariate(0.0, spread) / 1.046)
        found.add(used * price / 1_000.0, (0, used))
    return found


def look(one, seen, times=3):
    state = one.start(GateContext())
    for at in range(times):
        state.measure(one.taken(seen), 10.0 * at)
    return state


@pytest.mark.parametrize(
    ("fields", "seen", "verdict"),
    [
        ({"per_request": 0.01}, Facts(per_request=0.01), PASS),
        ({"per_request": 0.01}, Facts(per_request=0.011), FAIL),
        ({"per_hour": 10.0}, Facts(per_request=0.001, requests_per_s=1.0, per_hour=6.0), PASS),
        ({"per_hour": 9.0}, Facts(per_request=0.001, requests_per_s=1.0, per_hour=6.0), FAIL),
        ({"per_request": 0.001}, Facts(priced=True, answered=500, spent=spent(500, 500)), PASS),
        ({"per_request": 0.001}, Facts(priced=True, answered=500, spent=spent(500, 1_500)), FAIL),
        (
            {"per_request": 0.001},
            Facts(priced=True, answered=500, spent=spent(500, 1_030)),
            PENDING,
        ),
        ({"per_request": 0.001}, Facts(priced=True, answered=50, spent=spent(50, 500)), PENDING),
        ({"per_1k_tokens": 0.002}, Facts(priced=True, answered=500, spent=spent(500, 900)), PASS),
        ({"per_1k_tokens": 0.0009}, Facts(priced=True, answered=500, spent=spent(500, 900)), FAIL),
    ],
)
def test_verdicts(fields, seen, verdict):
    assert look(Cost.model_validate(fields), seen).verdict is verdict


def test_answers_that_say_no_tokens_are_an_error_that_holds():
    one = Cost.model_validate({"per_request": 0.01})
    state = look(one, Facts(priced=True, answered=200), times=6)
    assert (state.verdict, state.held) == (ERROR, True)
    assert "none of 200 answers says its tokens" in state.sentence()


def test_a_shadow_that_answers_nobody_is_not_held_by_what_cannot_be_known():
    one = Cost.model_validate({"per_request": 0.01})
    assert not look(one, Facts(priced=True)).held
    waiting = look(one, Facts(priced=True, answered=20, spent=spent(20, 500)))
    assert (waiting.verdict, waiting.held) == (PENDING, True)


def test_the_sentence_has_the_figure_its_bound_the_limit_and_the_sample():
    one = Cost.model_validate({"per_request": 0.001})
    state = look(one, Facts(priced=True, answered=500, spent=spent(500, 1_500)))
    assert state.sentence().startswith("a request costs 0.001483")
    assert "(at least 0.0014" in state.sentence()
    assert "limit 0.001; tokens of 500 answers" in state.sentence()
    state.measure(Measurement((1.0,)), 99.0)
    assert state.answer == "no report of costs"


def test_the_bound_holds_at_every_look():
    """400 candidates whose mean is the limit: at most 1 % may ever be beyond it."""
    draw, hits = random.Random(11), 0
    for _ in range(400):
        found = Spent()
        for n in range(1, 601):
            found.add(draw.expovariate(1.0), (0, 1))
            if n >= 100 and found.mean - half_width(n, found.squares, 100) > 1.0:
                hits += 1
                break
    assert hits <= 400 * LEVEL
    assert half_width(1, 0.0, 100) == float("inf")


def test_it_says_something():
    with pytest.raises(ValidationError, match="at least one of per_hour"):
        Cost.model_validate({})
