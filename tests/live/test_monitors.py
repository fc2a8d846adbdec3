"""Data that move, seen from outside: policy, real bytes, a rollout that waits, an alert, a page.

One router with a route a case and two real services that compute their score from what they are
asked; what clients ask, or what the candidate answers, is changed in the middle.
"""

import csv
import http.client
import itertools
import json
import random
import time

import pytest

from tests.cli.conftest import rampway
from tests.json_service import JsonService, serving
from tests.reliability.whole import Router, until

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("monitors")]  # one router, in order

FILED = """\
reference: {folder}/{name}.csv, by: {{feature: plan}}, season: 168s, window: 4s, requests: 60"""
MONITORS = "reference: {past: 4s}, season: 168s, window: 4s, requests: 60"
TOP = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/rampway.db
recording: {{file: {folder}/rec}}
prediction_log: {{file: {folder}/log.db}}
alerts: [{{url: "{hook}", on: [drift]}}]
routes:
"""
ROUTE = """\
  - name: {name}
    match: {{path: /{name}}}
    payload: json
    predictions: {{score: score, features: [age, plan], sample: 100%}}
    monitors: {{{monitors}}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 40%, hold: 1s}}, {{weight: 50%, hold: 1h}}]}}}}
      gates: [error_rate, {{guard: {{error_rate: 50%}}}}]
      detect: {{times: 100, points: 50%}}
"""


CONCEPT = (
    ("{score: score,", "{label: label, score: score,"), ("stable: v1", "stable: v1\n    log: {}"),
)  # fmt: skip


class Model(JsonService):
    """Plain JSON; the score of each row follows its age, plus what the fault says."""

    def answer(self, body):
        asked = json.loads(body)
        self.server.seen.append(asked)
        said = [self._row(row) for row in (asked if isinstance(asked, list) else [asked])]
        self.say(said if isinstance(asked, list) else said[0])

    def _row(self, row):
        score = (row.get("age") or 0) / 100 + self.server.fault
        return {"score": score, "label": score > 0.4}


def server():
    return serving(Model, fault=0.0, seen=[])


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    v1, v2, hook = server(), server(), server()
    draw = random.Random(3)
    for name, mean in (("like", 40.0), ("unlike", 60.0)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["age", "plan"])
            lines.writerows((draw.gauss(mean, 10.0), draw.choice("ab")) for _ in range(2_000))
    routes = [
        ("moved", MONITORS), ("broken", MONITORS),
        *((name, FILED.format(folder=folder, name=name)) for name in ("like", "unlike")),
    ]  # fmt: skip
    text = TOP.format(folder=folder, hook=hook.url) + "".join(
        ROUTE.format(name=name, monitors=how, v1=v1.url, v2=v2.url) for name, how in routes
    )
    concept = ROUTE.format(name="concept", monitors=MONITORS, v1=v1.url, v2=v2.url)
    for old, new in CONCEPT:
        concept = concept.replace(old, new)
    text += concept
    (folder / "policy.yaml").write_text(text)
    router = Router(folder, folder / "policy.yaml")
    router.serving()
    router.v2, router.hook, router.folder = v2, hook, folder
    yield router
    router.end()
    for one in (v1, v2, hook):
        one.shutdown()


def ask(router, route, done, *, age=40.0, seconds=60, per_s=150):
    """Ask at a steady pace until ``done()``."""
    draw, client = random.Random(7), http.client.HTTPConnection("127.0.0.1", router.port)
    end = time.monotonic() + seconds
    for number in itertools.count(1):
        body = json.dumps({"age": draw.gauss(age, 10.0), "plan": draw.choice("ab")})
        client.request("POST", f"/{route}", body, {"Content-Type": "application/json"})
        assert client.getresponse().read()
        if number % 20 == 0 and done():
            client.close()
            return
        assert time.monotonic() < end, status(router, route)
        time.sleep(1.0 / per_s)


def status(router, route):
    return router.api(f"/api/v1/rollouts/{route}")[1]


def monitors(router, route):
    return router.api(f"/api/v1/routes/{route}")[1]["monitors"]


def learnt(router, route):
    """Its references are there, and a window since."""
    found = monitors(router, route)  # null until rows were read
    return found is not None and all(one["sizes"] for one in found["signals"])


def test_inputs_that_move_hold_and_take_nobody_back(lab):
    ask(lab, "moved", lambda: learnt(lab, "moved"))
    drifts = lambda: "data drift in age" in status(lab, "moved")["waits_for"]  # noqa: E731
    ask(lab, "moved", drifts, age=60.0)
    found = status(lab, "moved")
    assert found["phase"] == "progressing"
    assert any("nobody is taken back" in note for note in found["notes"])
    until(lambda: any(one.get("trigger") == "drift" for one in lab.hook.seen), 10, "an alert")
    told = next(one for one in lab.hook.seen if one.get("trigger") == "drift")
    assert told["text"].startswith("data drift in")
    text = rampway("monitors", "moved", "--admin", lab.admin).out
    assert "data drift in age" in text
    assert rampway("why", "moved", "--admin", lab.admin).code == 0
    metrics = lab.api("/metrics")[1]
    assert 'rampway_monitor_alarms{route="moved",cause="data drift"}' in str(metrics)
    said = rampway("monitors", "moved", "--accept", "--reason", "campaign", "--admin", lab.admin)
    assert "accepted" in said.out
    until(lambda: "drift" not in status(lab, "moved")["waits_for"], 10, "to go on")


def test_a_candidate_that_alone_breaks_is_taken_back(lab):
    ask(lab, "broken", lambda: learnt(lab, "broken"))
    ask(lab, "broken", lambda: status(lab, "broken")["samples"] > 150)
    lab.v2.fault = 0.3
    try:
        ask(lab, "broken", lambda: status(lab, "broken")["phase"] != "progressing")
    finally:
        lab.v2.fault = 0.0
    found = status(lab, "broken")
    assert found["phase"] in ("aborted", "rolled_back")
    assert "candidate drift in score" in found["reason"]


def ask_and_tell(router, done, *, right, seconds=60):
    """Requests of three rows, and the truth of each row: ``right`` of a hundred as predicted."""
    draw, client = random.Random(9), http.client.HTTPConnection("127.0.0.1", router.port)
    end = time.monotonic() + seconds
    for number in itertools.count():
        rows = [{"age": draw.gauss(40.0, 10.0), "plan": draw.choice("ab")} for _ in range(3)]
        name = f"{right}-{number}"
        headers = {"Content-Type": "application/json", "X-Request-Id": name}
        client.request("POST", "/concept", json.dumps(rows), headers)
        said = json.loads(client.getresponse().read())
        truth = [row["label"] is (draw.random() * 100 < right) for row in said]
        labels = [
            {"request_id": name, "row": place, "label": label} for place, label in enumerate(truth)
        ]
        assert router.api("/api/v1/feedback", "POST", {"labels": labels})[0] == 200
        if number % 20 == 0 and done():
            client.close()
            return
        assert time.monotonic() < end, (status(router, "concept"), monitors(router, "concept"))


def test_labels_that_move_for_equal_inputs_are_named_concept_drift(lab):
    began = time.monotonic()
    ask_and_tell(lab, lambda: learnt(lab, "concept") and time.monotonic() > began + 10, right=95)
    assert monitors(lab, "concept")["alarms"] == []
    ask_and_tell(lab, lambda: monitors(lab, "concept")["alarms"], right=60)
    found = status(lab, "concept")
    assert found["phase"] == "progressing"
    assert "concept drift in labels (wrong, sudden)" in found["waits_for"]
    assert "inputs are as before" in found["waits_for"]
    assert {one["signal"] for one in monitors(lab, "concept")["alarms"]} == {"labels"}
    until(
        lambda: any("concept drift" in str(one.get("text", "")) for one in lab.hook.seen), 10, "it"
    )
    assert 'route="concept",cause="concept drift"' in str(lab.api("/metrics")[1])


@pytest.mark.parametrize("name", ["like", "unlike"])
def test_a_training_file_is_compared_before_any_weight(lab, name):
    until(lambda: "compared with" in status(lab, name)["waits_for"], what="what it waits for")
    assert status(lab, name)["weight_bp"] == 0
    if name == "like":
        ask(lab, name, lambda: status(lab, name)["weight_bp"] > 0)
        assert monitors(lab, name)["alarms"] == []
        assert {one["segment"] for one in monitors(lab, name)["signals"]} == {"", "a", "b"}
        assert "age [a]" in rampway("monitors", name, "--admin", lab.admin).out
        return
    ask(lab, name, lambda: monitors(lab, name)["alarms"])
    found = status(lab, name)
    assert found["weight_bp"] == 0
    assert "reference unlike traffic in age" in found["waits_for"]
    both = {"age [a]", "age [b]"}
    ask(lab, name, lambda: both <= {one["signal"] for one in monitors(lab, name)["alarms"]})
    assert both <= {one["signal"] for one in monitors(lab, name)["alarms"]}


def test_the_life_of_it_replays_to_the_same_decisions(lab):
    """Runs last: what the others made the router decide."""
    said = rampway("replay", str(lab.folder / "rec"), "-o", "json")
    assert said.code == 0, said
    assert said.json["different"] == 0
    assert {"start", "rollback"} & {one["action"] for one in said.json["decisions"]}
