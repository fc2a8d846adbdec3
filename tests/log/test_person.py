"""A person is shadowed, over real sockets: nobody is served by the model until it was judged."""

import asyncio
import http.client
import json

import pytest

from tests.log import flights
from tests.log.conftest import service
from tests.reliability.whole import Router, until

pytestmark = [pytest.mark.log, pytest.mark.xdist_group("person")]

BEGIN = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/r.db
prediction_log: {{file: "{folder}/log.db"}}
routes:
  - name: {name}
    payload: v1
    predictions: {{label: late, score: p, features: [distance]}}
    versions: {{desk: {{person: true}}, model: {{endpoints: ["{model}"]}}}}
    log: {{}}
"""
POLICY = (
    BEGIN
    + """\
    stable: desk
    rollout:
      candidate: model
      strategy: {{shadow: {{mirror: 100%, until: {{samples: 60}},
        then: {{canary: {{steps: [{{weight: 100%, hold: 1s}}], bake: 1s}}}}}}}}
      gates: [agreement: {{at_least: 60%}}, guard: {{error_rate: 20%}}]
      detect: {{times: 100, points: 50%}}
"""
)


class Desk:
    """A client of the router, and the people who answer later."""

    def __init__(self, router):
        self.router = router
        self.link = http.client.HTTPConnection(router.host, router.port)

    def ask(self, request_id, distance, **headers):
        body = json.dumps({"instances": [{"distance": distance}]})
        self.link.request("POST", "/p", body, {
            "Content-Type": "application/json", "X-Request-Id": request_id, **headers,
        })  # fmt: skip
        answer = self.link.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers

    def answer(self, *answers):
        body = {"answers": [{"request_id": i, "answer": late} for i, late in answers]}
        status, said = self.router.api("/api/v1/truth", "POST", body)
        assert status == 200, said
        return said


@pytest.fixture
def desk(tmp_path):
    made = []

    def make(predict):
        model = service(predict)
        policy = tmp_path / "policy.yaml"
        url = f"http://127.0.0.1:{model.server_address[1]}"
        policy.write_text(POLICY.format(folder=tmp_path, model=url, name="flights"))
        router = Router(tmp_path, policy).serving()
        made.append((router, model))
        one = Desk(router)

        def copied():
            one.ask("probe", 100)
            return (router.status()["shadow"] or {"awaited": 0})["awaited"] > 0

        if "rollout:" in POLICY:
            until(copied, 20, "the first step, which copies")
        return one

    yield make
    for router, model in made:
        router.end()
        model.shutdown()


def test_a_model_that_agrees_takes_over(desk):
    one = desk(lambda row: {"late": row["distance"] > 500, "p": row["distance"] / 1000})
    cases = {f"case-{n}": 900 if n % 3 == 0 else 100 for n in range(90)}
    early = one.answer(("case-0", True))  # a person may be faster than the log
    assert early["waiting"] == 1
    for request_id, distance in cases.items():
        status, body, headers = one.ask(request_id, distance)
        assert (status, body) == (202, {"request_id": request_id})
        assert headers["X-Request-Id"] == request_id
    router = one.router
    until(lambda: router.status()["shadow"]["awaited"] >= 88, 10)
    assert router.status()["shadow"]["pairs"] <= 1
    assert one.answer(("nobody", True))["waiting"] == 1
    said = one.answer(*((i, d > 500) for i, d in cases.items() if i != "case-0"))
    assert (said["joined"] + said["waiting"], said["duplicates"]) == (89, 0)  # the log may lag
    until(lambda: one.ask("later", 900)[0] == 200, 20, router.status())
    assert one.ask("later", 900)[1] == {"predictions": [{"late": True, "p": 0.9}]}
    until(lambda: one.ask("on", 9)[0] and router.status()["phase"] == "completed", 15)
    until(lambda: _agreed(router) == (90, 0), 10)


def _agreed(router):
    why = router.api("/api/v1/rollouts/flights/shadow")[1]["versions"]["model"]
    return why["agreed"], why["disagreed"]


def _compared(status, pairs):
    return status["phase"] != "progressing" or status["shadow"]["pairs"] >= pairs


def test_a_model_that_does_not_never_serves(desk):
    one = desk(lambda _row: {"late": False, "p": 0.1})
    asked = 0
    router = one.router
    while router.status()["phase"] == "progressing" and asked < 100:
        batch = [f"case-{n}" for n in range(asked, asked + 10)]
        for request_id in batch:
            assert one.ask(request_id, 900)[0] == 202
        asked += 10
        until(lambda: router.api("/api/v1/log")[1]["held"].get("predictions", 0) >= 2 * asked, 10)  # noqa: B023
        one.answer(*((request_id, True) for request_id in batch))
        until(lambda: _compared(router.status(), asked), 10)  # noqa: B023
    told = router.status()
    assert told["phase"] == "rolled_back", told
    assert "disagreed with stable" in told["sentence"] or "differed" in json.dumps(told)
    assert one.ask("after", 900)[0] == 202
    shown = router.api("/api/v1/rollouts/flights/shadow")[1]["versions"]["model"]
    assert shown["disagreed"] <= 40
    assert shown["worst"][0]["differences"][0]["stable"] == "True"


def test_chunked_head_and_large(desk):
    one = desk(lambda row: {"late": False, "p": 0.1})
    host, port = one.router.host, one.router.port
    link = http.client.HTTPConnection(host, port)
    body = json.dumps({"instances": [{"distance": 1}]}).encode()
    link.request("POST", "/p", iter([body[:5], body[5:]]), encode_chunked=True)
    answer = link.getresponse()
    assert answer.status == 202
    assert json.loads(answer.read())["request_id"] == answer.headers["X-Request-Id"]
    link.request("HEAD", "/p")
    answer = link.getresponse()
    assert (answer.status, answer.read()) == (202, b"")


REVIEW = (
    BEGIN
    + """\
    inputs: {{refuse: {{range: {{distance: [0, 5000]}}}}, then: review}}
    stable: model
"""
)


def test_what_the_model_should_not_answer_is_reviewed_by_people(desk, monkeypatch):
    monkeypatch.setattr("tests.log.test_person.POLICY", REVIEW)
    one = desk(lambda _row: {"late": False, "p": 0.1})
    assert one.ask("usual", 900)[:2] == (200, {"predictions": [{"late": False, "p": 0.1}]})
    status, body, headers = one.ask("odd", 90_000)
    assert (status, body) == (202, {"request_id": "odd"})
    assert headers["X-Rampway-Version"] == "desk"
    until(lambda: one.router.api("/api/v1/log")[1]["held"].get("predictions", 0) >= 2, 10)
    assert one.answer(("odd", True))["joined"] == 1
    until(lambda: 'rampway_inputs_to_review_total{route="flights"} 1'
          in one.router.api("/metrics")[1], 10)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "phase"),
    [("v2", "completed"), ("v1", "rolled_back"), ("broken-zero", "rolled_back")],
)
def test_a_shadowed_dispatcher_of_the_flights(version, phase):
    """An hour's lag, in virtual time; all versions: `python -m tests.log.flights`."""
    pytest.importorskip("sklearn")
    found = asyncio.run(flights.shadowed(version, 1_500))
    print(version, found)
    assert found["phase"] == phase
    if phase == "rolled_back":
        assert found["answered"] < 300, "before it would have served anybody"
    else:
        assert found["answered"] >= 300
