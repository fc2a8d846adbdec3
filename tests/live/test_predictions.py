"""A canary without a mirror reads predictions: policy, real bytes, verdict.

One router with a route a case, two real services; the candidate's faults are switched between the
cases. Who asks sees only good answers in the usual time, so nothing else can take it back.
"""

import http.client
import json
import time

import pytest

from tests.cli.conftest import rampway
from tests.reliability.whole import PREDICT, Router, Service, until

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("predictions")]  # one router, in order

CASES = {
    "nulls": ("nulls: {}", {"null_rate": 0.05}),
    "nan": ("nulls: {}", {"nan_rate": 0.05}),
    "unknown": ("nulls: {}", {"unknown_rate": 0.05}),
    "classes": ("classes: {}", {"score_shift": -0.3}),
    "scores": ("scores: {}", {"score_factor": 0.6}),
}
"""Case: its gate, and the fault that it has to find."""

SAMPLED = "sample: 100%, label: predict, score: predict_proba, classes: [0, 1], range: [0, 1]"

TOP = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/rampway.db
recording: {{file: "{folder}/rec", keep: 9}}
routes:
"""
ROUTE = """\
  - name: {name}
    match: {{headers: {{X-Case: {{exact: {name}}}}}}}
    payload: open_inference_v2
    predictions: {{{sampled}, features: [flight_id]}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 50%, hold: 1h}}], bake: 1h}}}}
      gates: [error_rate, {{{gate}}}]
"""
ASKED_S_MAX = 120


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("services")
    made = [Service(name, folder) for name in ("v1", "v2")]
    for service in made:
        service.serving()
    yield made
    for service in made:
        service.end()


@pytest.fixture(scope="module")
def router(tmp_path_factory, both):
    folder = tmp_path_factory.mktemp("router")
    v1, v2 = (service.url for service in both)
    routes = [
        ROUTE.format(name=name, sampled=SAMPLED, gate=gate, v1=v1, v2=v2)
        for name, (gate, _) in [*CASES.items(), ("same", ("nulls: {}", {}))]
    ]
    policy = folder / "policy.yaml"
    policy.write_text(TOP.format(folder=folder) + "".join(routes))
    made = Router(folder, policy)
    made.serving()
    yield made
    made.end()


def asked(number, rows=1):
    flights = [f"UA{1 + (number + 7 * i) % 9_000}.EWR.2013-01-01.0515" for i in range(rows)]
    inputs = [{"name": "flight_id", "shape": [rows], "datatype": "BYTES", "data": flights}]
    return json.dumps({"id": str(number), "inputs": inputs}).encode()


def ask(router, case, done, headers=None):
    """Ask one by one until ``done()``; how many were asked. Every answer is a good one.

    Where the reader has no time, what comes is not sampled: how many it takes says nothing.
    """
    client = http.client.HTTPConnection("127.0.0.1", router.port, timeout=20)
    named = {"X-Case": case, "Content-Type": "application/json"} | (headers or {})
    deadline = time.monotonic() + ASKED_S_MAX
    number = 0
    while time.monotonic() < deadline:
        client.request("POST", PREDICT, asked(number), named)
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200
        number += 1
        if number % 25 == 0 and done():
            client.close()
            return number
    raise AssertionError(status(router, case))


def status(router, route):
    return router.api(f"/api/v1/rollouts/{route}")[1]


def ready(router, route):
    until(lambda: not status(router, route)["waits_for"].endswith("is not ready"))


def decided(router, route):
    return status(router, route)["phase"] == "rolled_back"


@pytest.mark.parametrize("case", CASES)
def test_what_it_predicts_takes_it_back(router, both, case):
    gate, faults = CASES[case]
    both[1].faults(**faults)
    ready(router, case)
    count = ask(router, case, lambda: decided(router, case))
    until(lambda: decided(router, case), what="a rollback")
    reason = status(router, case)["reason"]
    print(f"{case}: after {count} requests: {reason}")
    assert reason.startswith(gate.partition(":")[0] + ": ")


def test_the_same_version_passes(router, both):
    both[1].faults()
    ready(router, "same")
    ask(router, "same", lambda: read(router, "same") > 400)  # what comes too fast is not sampled
    gates = {gate["gate"]: gate for gate in status(router, "same")["gates"]}
    assert read(router, "same") > 400
    assert status(router, "same")["phase"] == "progressing"
    assert gates["nulls"]["candidate"]["bad"] == 0


def read(router, route):
    return sum(
        gate["candidate"]["total"] + gate["stable"]["total"]
        for gate in status(router, route)["gates"]
        if gate["gate"] == "nulls"
    )


def test_what_was_decided_is_decided_again_from_the_recording(router):
    """The facts are in it; labels, scores and segments of sampled requests, no bodies."""
    said = rampway("replay", str(router.folder / "rec"), "-o", "json")
    decisions = said.json["decisions"]
    assert [one for one in decisions if one["difference"]] == []
    assert sum(one["action"] == "rollback" for one in decisions) == len(CASES)


def test_samples_are_counted(router):
    text = router.api("/metrics")[1]
    rows = [row for row in text.splitlines() if row.startswith("rampway_samples_total")]
    read = [row for row in rows if 'result="read"' in row and 'route="nulls"' in row]
    assert {row.split('version="')[1][:2] for row in read} == {"v1", "v2"}
    assert not [row for row in rows if 'result="lost"' in row]
