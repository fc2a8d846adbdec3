"""Gate prometheus: judging measurements. (Fetching them is the control plane's work.)"""

import math

import pytest
from pydantic import ValidationError

from router.core.gates import GateContext, Measurement
from router.core.gates.prometheus import Prometheus
from router.core.gates.verdict import Verdict

BASE = {"url": "http://127.0.0.1:9090", "query": "up"}
PASS, PENDING, INCONCLUSIVE, FAIL = (
    Verdict.PASS, Verdict.PENDING, Verdict.INCONCLUSIVE, Verdict.FAIL,
)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "answers", "expected"),
    [
        ({"at_least": 0.95}, [(0.95,)], [PASS]),
        ({"at_least": 0.95}, [(0.94,)], [FAIL]),
        ({"at_most": 5.0}, [(5.0,), (5.1,)], [PASS, FAIL]),
        ({"at_least": 1.0, "at_most": 2.0}, [(1.5, 2.0), (1.5, 2.5)], [PASS, FAIL]),
        ({"at_most": 5.0, "failure_limit": 1}, [(9.0,), (1.0,), (9.0,)], [PENDING, PASS, FAIL]),
        (
            {"at_most": 5.0, "consecutive_failure_limit": 1},
            [(9.0,), (1.0,), (9.0,), (1.0,), (9.0,), (9.0,)],
            [PENDING, PASS, PENDING, PASS, PENDING, FAIL],
        ),
        (
            {"at_most": 5.0, "failure_limit": 2, "consecutive_failure_limit": 1},
            [(9.0,), (1.0,), (9.0,), (1.0,), (9.0,)],
            [PENDING, PASS, PENDING, PASS, FAIL],
        ),
        ({"at_most": 5.0, "consecutive_success": 2}, [(1.0,), (1.0,)], [PENDING, PASS]),
        ({"at_most": 5.0}, [()], [INCONCLUSIVE]),
        ({"at_most": 5.0}, [(math.nan,), (1.0,)], [INCONCLUSIVE, PASS]),
        ({"at_most": 5.0}, [(0.5, math.nan), (0.5, 1.0)], [INCONCLUSIVE, PASS]),
        ({"at_most": 5.0}, [(9.0, math.nan)], [FAIL]),
        ({"at_most": 5.0, "no_data": "pass"}, [(0.5, math.nan)], [PASS]),
        ({"at_most": 5.0, "no_data": "fail"}, [(0.5, math.nan)], [FAIL]),
        ({"at_most": 5.0, "no_data": "pass"}, [()], [PASS]),
        ({"at_most": 5.0, "no_data": "fail"}, [()], [FAIL]),
        ({"at_most": 5.0, "no_data": "fail"}, [(), (1.0,)], [FAIL, PASS]),
    ],
)
def test_verdicts(fields, answers, expected):
    state = Prometheus.model_validate(BASE | fields).start(GateContext())
    found = []
    for number, values in enumerate(answers):
        state.measure(Measurement(values), 60.0 * number)
        found.append(state.verdict)
    assert found == expected


def test_the_sentence_has_value_range_and_limit():
    gate = Prometheus.model_validate(BASE | {"at_least": 0.95, "at_most": 1.0})
    state = gate.start(GateContext())
    state.measure(Measurement((0.99, 0.5)), 0.0)
    assert state.sentence() == (
        "measured 0.5; tolerated: at least 0.95, at most 1; outside in 1 of 1 measurement, limit 0"
    )


def test_the_sentence_tells_which_limits_there_are():
    in_row = BASE | {"at_most": 1.0, "consecutive_failure_limit": 2}
    for fields, end in (
        (in_row, "outside in 2 of 2 measurements, 2 in a row, limit 2"),
        (in_row | {"failure_limit": 5}, "2 of 2 measurements, limit 5, 2 in a row, limit 2"),
    ):
        state = Prometheus.model_validate(fields).start(GateContext())
        for at in (0.0, 60.0):
            state.measure(Measurement((3.0,)), at)
        assert state.sentence().endswith(end)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"at_least": 2.0, "at_most": 1.0},
        {"at_least": math.nan},
        {"at_most": 1.0, "interval": "10ms"},
        {"at_most": 1.0, "url": "ftp://x"},
    ],
)
def test_nonsense_is_refused(fields):
    with pytest.raises(ValidationError):
        Prometheus.model_validate(BASE | fields)


def test_a_range_with_two_equal_ends_is_legal():
    gate = Prometheus.model_validate(BASE | {"at_least": 0.0, "at_most": 0.0})
    assert gate.range_text == "at least 0, at most 0"
