"""A gate says what it lives on; a policy in which nobody makes it is refused, with the key."""

from __future__ import annotations

import pytest

from router.config.check import loads
from router.config.problems import PolicyError
from router.core.gates import GATES
from router.core.gates.gate import Gate
from router.core.gates.needs import Need
from router.core.policy import producers
from router.core.policy.producers import PRODUCERS, needs_met
from router.simulation.world import MADE

POLICY = """
routes:
  - name: r
    match: {{path: /*}}
    {route}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {strategy}
      gates: {gates}
"""

CANARY = "{canary: {steps: [{weight: 10%, hold: 1h}], bake: 1h}}"
SHADOW = "{shadow: {mirror: 50%, hold: 1h}}"
BLUE_GREEN = "{blue_green: {approval: {}}}"


def told(gates, strategy=CANARY, route=""):
    text = POLICY.format(route=route, strategy=strategy, gates=gates)
    try:
        return [str(finding) for finding in loads(text).warnings], ""
    except PolicyError as error:
        return [], str(error)


def test_every_need_of_a_shipped_gate_has_a_producer():
    """This is what the gate `drift` did not have: a consumer without a producer."""
    assert {need for gate in GATES.values() for need in gate.needs} <= set(PRODUCERS)
    assert all(gate.needs for gate in GATES.values())


@pytest.mark.parametrize(
    ("gates", "strategy", "route", "key"),
    [
        ("[agreement]", CANARY, "payload: json", "begin with - {mirror: 100%"),
        ("[shadow_slo: {slower_than: 300ms}]", CANARY, "", "begin with - {mirror: 100%"),
        ("[error_rate]", BLUE_GREEN, "", "add a step with a weight between 0% and 100%"),
        ("[accuracy]", CANARY, "", "log: {} or feedback: {secret: ${NAME}}"),
        ("[positive_rate]", SHADOW, "", "add payload: json to the route"),
    ],
)
def test_a_need_without_a_producer_names_the_key_that_would_make_it(gates, strategy, route, key):
    _, error = told(gates, strategy, route)
    assert "rollout.gates[0]" in error
    assert key in error


def test_a_gate_in_dry_run_may_be_idle_and_those_that_come_by_themselves_are_silent():
    warnings, error = told("[accuracy: {dry_run: true}]")
    assert error == ""
    assert any("never sees a label" in text for text in warnings)
    text = POLICY.format(route="", strategy=BLUE_GREEN, gates="X").replace("gates: X", "")
    assert loads(text).policy.routes[0].rollout.gates


def test_one_list_of_gates_serves_several_strategies_as_long_as_one_of_them_is_fed():
    warnings, error = told("[error_rate, guard]", BLUE_GREEN)
    assert error == ""
    assert any("error_rate can never be decided" in text for text in warnings)


class Astrology(Gate):
    """A gate of somebody else's package."""

    kind = "astrology"
    needs = frozenset({Need.FEATURES})


def test_a_gate_of_another_package_is_asked_by_its_needs_alone(monkeypatch):
    text = POLICY.format(route="", strategy=CANARY, gates="[error_rate]")
    route = loads(text).policy.routes[0]
    strange = route.rollout.model_copy(update={"gates": (Astrology(),)})
    (finding,) = needs_met(route.model_copy(update={"rollout": strange}))
    assert finding.error
    assert (
        finding.message == "astrology can never be decided: nothing in this version makes features"
    )
    made = producers.Producer(lambda *_: True, "", "")
    monkeypatch.setitem(PRODUCERS, Need.FEATURES, made)
    assert list(needs_met(route.model_copy(update={"rollout": strange}))) == []


def test_the_simulator_says_which_gates_it_never_feeds():
    assert GATES["accuracy"].needs - MADE == {Need.LABELS}
    assert GATES["error_rate"].needs <= MADE


REDACTED = (
    "payload: json\n    log: {redact: [email]}\n"
    "    predictions: {label: email.class, features: [user.email, age]}"
)


@pytest.mark.parametrize(
    ("gates", "more", "place"),
    [
        ("[nulls: {by: {feature: user.email}}]", "", "nulls would tell values of user.email"),
        ("[classes]", "", "classes would tell values of email.class"),
        ("[error_rate]", "\n    monitors: {}", "monitors would keep values of user.email"),
    ],
)
def test_what_is_redacted_is_neither_watched_nor_told(gates, more, place):
    assert place in told(gates, route=REDACTED + more)[1]
    assert not told("[nulls: {by: {feature: age}}]", route=REDACTED)[1]


def test_a_password_in_a_url_would_be_shown_to_people():
    text = POLICY.format(route="", strategy=CANARY, gates="[error_rate]")
    shown = "prediction_log: {file: 'postgresql://log:secret@db/models'}"
    with pytest.raises(PolicyError, match="a URL without a password"):
        loads(shown + text)
    loads(shown.replace(":secret", "") + text)
