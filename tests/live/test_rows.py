"""A shadow reads predictions row by row: policy, real bytes, verdict.

As in :mod:`tests.live.test_predictions`, with every request copied: each case has the gate that
must find its fault, the rows of a request, and what the sentence says.
"""

import http.client
import itertools
import time

import pytest

from tests.live import test_predictions as canary
from tests.reliability.whole import PREDICT, Router, until

CASES = {
    "differs": ("agreement: {at_least: 95%}", {"swapped_rate": 0.5}, 1, "disagreed with stable"),
    "differs-32": ("agreement: {at_least: 95%}", {"swapped_rate": 0.5}, 32, "compared rows"),
    "apart": ("agreement: {at_least: 50%}", {"previous_rate": 0.3}, 1, "of the range away"),
    "mean": ("positive_rate: {margin: 20%}", {"score_factor": 0.9}, 1, "of the range below"),
    "nothing": ("nulls: {}", {"null_rate": 0.05}, 1, "mostly null"),
    "segment": ("agreement: {at_least: 95%, by: {header: X-Carrier}}", {"wrong_carrier": "UA"}, 1,
                "X-Carrier UA: disagreed"),
}  # fmt: skip
STEP = "{{canary: {{steps: [{{weight: 50%, hold: 1h}}], bake: 1h}}}}"
MIRROR = "{{shadow: {{mirror: 100%, hold: 1h}}}}"

both = canary.both
pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def router(tmp_path_factory, both):
    folder = tmp_path_factory.mktemp("router")
    v1, v2 = (service.url for service in both)
    route = canary.ROUTE.replace(STEP, MIRROR)
    assert MIRROR in route
    typo = "agreement: {at_least: 95%}"
    routes = [
        route.format(name=name, sampled=canary.SAMPLED, gate=gate, v1=v1, v2=v2)
        for name, gate in [*((n, c[0]) for n, c in CASES.items()), ("same-32", typo)]
    ]
    wrong = route.format(name="typo", sampled=canary.SAMPLED, gate=typo, v1=v1, v2=v2)
    routes.append(wrong + "      compare: {decide_on: [predict, prediction]}\n")
    policy = folder / "policy.yaml"
    policy.write_text(canary.TOP.format(folder=folder) + "".join(routes))
    made = Router(folder, policy)
    made.serving()
    yield made
    made.end()


def ask(router, case, rows, done):
    client = http.client.HTTPConnection("127.0.0.1", router.port, timeout=20)
    deadline = time.monotonic() + canary.ASKED_S_MAX
    for number in itertools.count():
        carrier = "UA" if number % 50 == 0 else "AA"
        body = canary.asked(number, rows)
        if carrier != "UA":
            body = body.replace(b"UA", b"AA")
        headers = {"X-Case": case, "X-Carrier": carrier, "Content-Type": "application/json"}
        client.request("POST", PREDICT, body, headers)
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200
        if number % 20 == 19 and done():
            break
        assert time.monotonic() < deadline, canary.status(router, case)
    client.close()


@pytest.mark.parametrize("case", CASES)
def test_what_its_copies_say_takes_it_back(router, both, case):
    gate, faults, rows, said = CASES[case]
    both[1].faults(**faults)
    canary.ready(router, case)
    ask(router, case, rows, lambda: canary.decided(router, case))
    until(lambda: canary.decided(router, case), what="a rollback")
    reason = canary.status(router, case)["reason"]
    assert reason.startswith(gate.partition(":")[0] + ": ")
    assert said in reason


def gate_of(router, route):
    gates = canary.status(router, route)["gates"]
    return next(gate for gate in gates if gate["gate"] == "agreement")


def test_the_same_version_passes_with_32_rows(router, both):
    both[1].faults()
    canary.ready(router, "same-32")
    ask(router, "same-32", 32, lambda: gate_of(router, "same-32")["candidate"]["total"] >= 1_000)
    gate = gate_of(router, "same-32")
    assert gate["candidate"]["bad"] == 0
    assert gate["candidate"]["total"] >= 1_000
    assert canary.status(router, "same-32")["phase"] == "progressing"


def test_a_name_that_no_answer_has_holds(router, both):
    both[1].faults()
    canary.ready(router, "typo")
    ask(router, "typo", 1, lambda: "has prediction" in gate_of(router, "typo")["sentence"])
    assert gate_of(router, "typo")["verdict"] == "pending"
    assert "agreement on it means nothing" in gate_of(router, "typo")["sentence"]
