"""A route that serves two protocols: each path is read by its own, in canary and shadow.

And segments of a number, which are read from such requests.
"""

import http.client
import itertools
import time

import pytest

from tests.json_service import JsonService, serving
from tests.live import test_predictions as canary
from tests.reliability.whole import Router, until

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("payload paths")]

PATHS = ("/v1/models/m:predict", "/v2/models/m/infer")
TOP = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/rampway.db
routes:
"""
ROUTE = """\
  - name: {name}
    match: {{headers: {{X-Case: {{exact: {name}}}}}}}
    payload: open_inference_v2
    payload_paths: {{/v1/*: v1}}
    predictions:
      {{label: label, score: p, classes: [0, 1], range: [0, 1], sample: 100%, features: [n]}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {strategy}
      gates: [{{{gate}}}]
"""
CASES = {
    "canary": ("{canary: {steps: [{weight: 50%, hold: 1h}]}}", "nulls: {}"),
    "shadow": ("{shadow: {mirror: 100%, hold: 1h}}", "agreement: {at_least: 95%}"),
}


PARTS = "nulls: {at_most: 30%, by: {feature: n, parts: 5}}"
"""A fifth of the answers may be faulty, but not all where ``n`` is large."""


class Model(JsonService):
    """Says yes by both protocols; a broken one has no label in V1 answers to a large ``n``."""

    def answer(self, body):
        large = b'"n": 9' in body
        first = self.path.startswith("/v1/")
        label = None if self.server.broken and large and first else 1
        if first:
            return self.say({"predictions": [{"label": label, "p": 0.75}]})
        outputs = [
            {"name": name, "datatype": kind, "shape": [1], "data": [value]}
            for name, kind, value in (("label", "INT64", 1), ("p", "FP64", 0.75))
        ]
        return self.say({"outputs": outputs})


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    servers = [serving(Model, broken=False) for _ in range(2)]
    v1, v2 = (one.url for one in servers)
    text = TOP.format(folder=folder) + "".join(
        ROUTE.format(name=name, strategy=strategy, gate=gate, v1=v1, v2=v2)
        for name, (strategy, gate) in [*CASES.items(), ("parts", (CASES["canary"][0], PARTS))]
    )
    (folder / "policy.yaml").write_text(text)
    router = Router(folder, folder / "policy.yaml")
    router.serving()
    router.v2 = servers[1]
    yield router
    router.end()
    for one in servers:
        one.shutdown()
        one.server_close()


V1, V2 = (
    '{"instances": [{"n": %d}]}',
    '{"inputs": [{"name": "n", "shape": [1], "datatype": "INT64", "data": [%d]}]}',
)


def ask(router, case, done, numbers=(9,)):
    """Both protocols in turn."""
    bodies = [V1 % n for n in numbers for _ in range(2)]
    bodies[1::2] = [V2 % n for n in numbers]
    client = http.client.HTTPConnection("127.0.0.1", router.port, timeout=20)
    deadline = time.monotonic() + canary.ASKED_S_MAX
    for number in itertools.count():
        body = bodies[number % len(bodies)].encode()
        client.request("POST", PATHS[number % 2], body, {"X-Case": case})
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200
        if number % 20 == 19 and done():
            break
        assert time.monotonic() < deadline, canary.status(router, case)
    client.close()


def seen(router, case):
    (gate,) = [g for g in canary.status(router, case)["gates"] if g["gate"] != "promotion"]
    return gate["candidate"]


@pytest.mark.parametrize("case", CASES)
def test_both_protocols_are_read_and_one_that_breaks_is_found(lab, case):
    lab.v2.broken = False
    canary.ready(lab, case)
    ask(lab, case, lambda: seen(lab, case)["total"] >= 60)
    assert seen(lab, case)["total"] >= 60
    assert seen(lab, case)["bad"] == 0, canary.status(lab, case)["gates"]
    lab.v2.broken = True
    ask(lab, case, lambda: canary.decided(lab, case))
    until(lambda: canary.decided(lab, case), what=f"{case}: {canary.status(lab, case)}")
    assert canary.status(lab, case)["reason"].startswith(CASES[case][1].partition(":")[0])


def test_what_breaks_where_a_number_is_large_is_found_there(lab):
    """Each of five numbers is a part; half of what is said to the largest is wrong."""
    lab.v2.broken = True
    canary.ready(lab, "parts")
    several = [2, 4, 6, 8, 9]
    ask(lab, "parts", lambda: canary.decided(lab, "parts"), several)
    until(lambda: canary.decided(lab, "parts"), what=f"parts: {canary.status(lab, 'parts')}")
    assert "n above 8" in canary.status(lab, "parts")["reason"]
