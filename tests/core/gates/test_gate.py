"""What every gate has in common."""

import json
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from router.config.descriptions import descriptions
from router.control.told.judgement import report_view
from router.core.gates import GATES, Gate, GateContext, Measurement
from router.core.gates.verdict import Verdict
from router.core.spec import OneOf
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import Batch

MINIMAL = {
    "slo": {"slower_than": "300ms"},
    "shadow_slo": {"slower_than": "300ms"},
    "prometheus": {"url": "http://127.0.0.1:9090", "query": "up", "at_least": 1.0},
    "judge": {"url": "http://127.0.0.1:9000/judge"},
    "webhook": {"url": "http://127.0.0.1:9000/gate"},
    "resources": {"queue": 10.0},
    "cost": {"per_request": 0.01},
    "fairness": {"by": {"feature": "carrier"}},
    "streams": {"gap": "1s"},
}
WRITTEN = TypeAdapter(Annotated[Gate, OneOf(GATES, "gate")])


def made(kind, **more):
    return WRITTEN.validate_python({kind: MINIMAL.get(kind, {}) | more})


@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_written_read_and_started(name, past):
    gate = made(name, dry_run=True, share="20%", name="mine")
    assert WRITTEN.validate_python(json.loads(WRITTEN.dump_json(gate))) == gate
    assert (gate.kind, gate.title, made(name).title) == (name, "mine", name)
    assert type(gate) is GATES[name]
    assert gate.ready(past)
    state = gate.start(GateContext(baseline=past))
    assert (state.name, state.dry_run, state.capital) == ("mine", True, pytest.approx(1.0))
    assert state.verdict is Verdict.PENDING
    state.observe(Batch("route", 1))
    report = state.report()
    assert report.gate == "mine"
    assert report.sentence
    json.dumps(report_view(report).to_json(), allow_nan=False)


@pytest.mark.parametrize("name", GATES)
def test_every_field_says_what_it_is(name):
    said = descriptions(GATES[name])
    for field in GATES[name].model_fields:
        assert said[field].endswith((".", ";")), (name, field)


@pytest.mark.parametrize("name", GATES)
def test_every_state_survives_json(name, past, batch):
    left, right = (made(name).start(GateContext(baseline=past)) for _ in range(2))
    left.observe(batch(2, 3, 40, 900))
    right.restore(json.loads(json.dumps(left.snapshot())))
    assert right.report() == left.report()
    assert right.snapshot() == left.snapshot()


def test_gates_that_count_measure_nothing_outside(past):
    state = made("error_rate").start(GateContext(baseline=past))
    assert not state.due(0.0)
    with pytest.raises(TypeError, match="measures nothing"):
        state.measure(Measurement((1.0,)), 0.0)


def test_the_base_has_no_state():
    with pytest.raises(NotImplementedError):
        Gate().start(GateContext())


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError):
        made("guard", limit="5%")


def test_without_a_past_gates_start_all_the_same_but_latency_waits():
    for name in GATES:
        gate = made(name)
        assert gate.ready(Baseline()) is (name != "latency")
    assert made("latency").limits(Baseline()) == ()
