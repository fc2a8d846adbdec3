"""Gates that ask outside: when they ask, and what errors mean."""

import json
import math

import pytest

from router.core.gates import GateContext, Measurement
from router.core.gates.prometheus import Prometheus
from router.core.gates.verdict import Verdict

GATE = Prometheus.model_validate({
    "url": "http://127.0.0.1:9090", "query": "up", "at_least": 0.95,
    "interval": "30s", "initial_delay": "1m", "consecutive_error_limit": 1,
})  # fmt: skip


def test_it_asks_after_the_delay_and_then_once_an_interval():
    state = GATE.start(GateContext())
    asked = []
    for now in range(0, 200, 5):
        if state.due(float(now)):
            asked.append(now)
            state.measure(Measurement((1.0,)), float(now))
    assert asked == [60, 90, 120, 150, 180]


def test_errors_in_a_row_hold_and_a_good_answer_ends_them():
    state = GATE.start(GateContext())
    verdicts = []
    for measurement in (
        Measurement((1.0,)), Measurement(error="connection refused"),
        Measurement(error="connection refused"), Measurement((1.0,)),
    ):  # fmt: skip
        state.measure(measurement, 0.0)
        verdicts.append(state.verdict)
    assert verdicts == [Verdict.PASS, Verdict.PENDING, Verdict.ERROR, Verdict.PASS]
    assert not state.held


def test_waiting_holds():
    state = GATE.start(GateContext())
    assert (state.held, state.verdict) == (True, Verdict.PENDING)
    assert "nothing measured yet" in state.sentence()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_passes(value):
    state = GATE.start(GateContext())
    for _ in range(3):
        state.measure(Measurement((value, 1.0) if math.isinf(value) else (value,)), 0.0)
        assert state.verdict is not Verdict.PASS


def test_times_survive_a_restart():
    left, right = GATE.start(GateContext()), GATE.start(GateContext())
    assert not left.due(10.0)
    left.measure(Measurement((0.5,)), 80.0)
    right.restore(json.loads(json.dumps(left.snapshot())))
    assert (right.due(109.0), right.due(110.0)) == (False, True)
    assert right.report() == left.report()
