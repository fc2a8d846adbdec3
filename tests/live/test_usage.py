"""What versions use and cost, from outside: policy, real services, real bytes, a held rollout.

One router with a route a case and two real services; what the candidate uses is changed by their
faults, and each case says what a person then sees.
"""

import json
import time
import urllib.request

import pytest

from tests.cli.conftest import rampway
from tests.reliability.whole import BODY, PREDICT, Router, Service, call, until

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("usage")]  # one router, in order

TOP = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/rampway.db
recording: {{file: {folder}/rec}}
routes:
"""
ROUTE = """\
  - name: {name}
    match: {{headers: {{X-Case: {{exact: {name}}}}}}}
    payload: open_inference_v2
    metrics: {metrics}
    predictions: {{label: predict, sample: 100%}}
    versions:
      v1: {{endpoints: ["{v1}"], price: {price}}}
      v2: {{endpoints: ["{v2}"], price: {price}}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 50%, hold: 1h}}], bake: 1h}}}}
      gates: [error_rate, {gate}]
"""
WATCHED = (
    ("metrics: {metrics}",
     "monitors: {reference: {past: 3s}, season: 168s, window: 4s, requests: 60}"),
    ("label: predict,", "score: predict_proba,"), (", price: {price}", ""), (", {gate}", ""),
)  # fmt: skip
"""What turns the route into one whose data are watched."""
SCRAPED = "{path: /metrics, interval: 1s}"
CASES = {
    "leak": (SCRAPED, "resources: {times_stable: 1.5, interval: 1s}"),
    "queue": (SCRAPED, "resources: {queue: 10, interval: 1s}"),
    "header": ("{orca: true, interval: 1s}", "resources: {queue: 10, interval: 1s}"),
    "silent": (SCRAPED, "resources: {gpu: 90%, interval: 1s, consecutive_error_limit: 1}"),
    "dear": (SCRAPED, "cost: {per_request: 0.001, interval: 1s, answers: 20}"),
    "back": (SCRAPED, "cost: {per_request: 0.001, interval: 1s, answers: 20, on_fail: rollback}"),
}
PRICE = "{per_1k_input_tokens: 0.001, per_1k_output_tokens: 0.002}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    services = [Service(name, folder) for name in ("v1", "v2")]
    for one in services:
        one.serving()
        one.faults(tokens=50)
    text = TOP.format(folder=folder) + "".join(
        ROUTE.format(name=name, metrics=metrics, gate=gate, price=PRICE,
                     v1=services[0].url, v2=services[1].url)
        for name, (metrics, gate) in CASES.items()
    ) + _watched(services)  # fmt: skip
    (folder / "policy.yaml").write_text(text)
    router = Router(folder, folder / "policy.yaml")
    router.serving()
    router.v2, router.folder = services[1], folder
    yield router
    router.end()
    for one in services:
        if one.process.poll() is None:
            one.end()


def _watched(services):
    text = ROUTE
    for old, new in WATCHED:
        text = text.replace(old, new.replace("{", "{{").replace("}", "}}"))
    return text.format(name="watched", v1=services[0].url, v2=services[1].url)


@pytest.fixture(autouse=True)
def well(lab):
    """Each case begins with a candidate that uses little; the last ones have ended it."""
    if lab.v2.process.poll() is None:
        lab.v2.faults(tokens=50)


def status(lab, case):
    return lab.api(f"/api/v1/rollouts/{case}")[1]


def ask(lab, case, done, what, seconds=40):
    """Ask at a steady pace until ``done`` of the status."""
    deadline = time.monotonic() + seconds
    while not (found := status(lab, case)) or not done(found):
        assert time.monotonic() < deadline, (what, json.dumps(found)[:3000])
        for _ in range(10):
            answered = call(f"http://{lab.host}:{lab.port}{PREDICT}", "POST", BODY,
                            {"X-Case": case})  # fmt: skip
            assert answered[0] == 200, answered
        time.sleep(0.05)
    return found


def gate_of(found, name):
    return next(gate for gate in found["gates"] if gate["gate"] == name)


def passing(name):
    return lambda found: gate_of(found, name)["verdict"] == "pass"


def failing(name):
    return lambda found: gate_of(found, name)["verdict"] == "fail"


@pytest.mark.parametrize(
    ("case", "faults", "says"),
    [
        ("leak", {"leak_kib": 1_024}, "memory "),
        ("queue", {"queue": 25}, "queue 25, limit 10"),
        ("header", {"queue": 25}, "queue 25, limit 10"),
    ],
)
def test_what_it_may_not_use_holds_it_and_is_told(lab, case, faults, says):
    ask(lab, case, passing("resources"), "a report")
    lab.v2.faults(tokens=50, **faults)
    found = ask(lab, case, failing("resources"), "a failure")
    assert says in gate_of(found, "resources")["sentence"]
    assert (found["phase"], found["action"]) == ("progressing", "hold")
    assert f"resources: {says}" in found["waits_for"]
    used = found["versions"]["v2"]["usage"]
    assert used["signals"]["memory" if case == "leak" else "queue"] > 10
    assert says in rampway("why", case, "--admin", lab.admin).out
    shown = rampway("get", case, "--admin", lab.admin).out
    assert ("memory" if case == "leak" else "queue") in shown
    if case != "header":
        metrics = str(lab.api("/metrics")[1])
        assert f'rampway_scrapes_total{{route="{case}",version="v2",result="read"}}' in metrics
        assert f'rampway_version_usage{{route="{case}",version="v2",signal="queue"}}' in metrics
    lab.v2.faults(tokens=50)
    if case != "leak":  # the system gives memory back when it likes
        ask(lab, case, passing("resources"), "to go on")


def test_the_load_header_is_the_routers_and_no_clients(lab):
    url = f"http://{lab.host}:{lab.port}{PREDICT}"
    for asks, wanted in ((False, False), (True, True)):
        headers = {"X-Case": "header", "Content-Type": "application/json"}
        headers |= {"endpoint-load-metrics-format": "TEXT"} if asks else {}
        with urllib.request.urlopen(urllib.request.Request(url, BODY, headers)) as answer:
            assert ("endpoint-load-metrics" in answer.headers) is wanted


def test_a_signal_that_nobody_reports_holds(lab):
    found = ask(lab, "silent", lambda f: gate_of(f, "resources")["verdict"] == "error", "an error")
    assert "nobody reports gpu" in found["waits_for"]


def test_a_dear_candidate_is_held_and_its_cost_is_told(lab):
    found = ask(lab, "dear", passing("cost"), "a figure")
    assert found["versions"]["v2"]["usage"]["per_request"] == pytest.approx(0.0002)
    assert found["versions"]["v2"]["usage"]["tokens_out"] >= 20 * 50
    lab.v2.faults(tokens=2_000)
    found = ask(lab, "dear", failing("cost"), "a failure")
    assert "a request costs 0.00" in gate_of(found, "cost")["sentence"]
    assert found["action"] == "hold"
    assert "rampway_token_cost_per_answer" in str(lab.api("/metrics")[1])


def test_on_fail_takes_it_back(lab):
    lab.v2.faults(tokens=2_000)
    found = ask(lab, "back", lambda f: f["phase"] != "progressing", "a rollback")
    assert found["phase"] in ("aborted", "rolled_back")
    assert found["reason"].startswith("cost: a request costs 0.00")


def test_a_candidate_that_begins_to_answer_null_is_taken_back_by_its_monitors(lab):
    """No gate of the route reads predictions: it was well, and alone it is so no more."""

    def learnt():
        found = lab.api("/api/v1/routes/watched")[1]["monitors"]  # null until rows were read
        return found is not None and all(one["sizes"] for one in found["signals"])

    ask(lab, "watched", lambda f: learnt() and f["samples"] > 150, "its first answers")
    lab.v2.faults(null_rate=0.5)
    found = ask(lab, "watched", lambda f: f["phase"] != "progressing", "a rollback")
    assert found["reason"].startswith("candidate drift in score (candidate, sudden): nulls: ")
    assert "stable answers as before, so it is the candidate" in found["reason"]


def test_a_version_that_does_not_answer_is_told(lab):
    lab.v2.end()
    until(
        lambda: "no connection" in status(lab, "queue")["versions"]["v2"]["usage"]["trouble"], 20,
        "trouble",
    )  # fmt: skip
    assert 'result="failed"' in str(lab.api("/metrics")[1])


def test_the_life_of_it_replays_to_the_same_decisions(lab):
    """Runs last: what the others made the router decide."""
    said = rampway("replay", str(lab.folder / "rec"), "-o", "json")
    assert said.code == 0, said
    assert said.json["different"] == 0
    assert {"rollback", "abort"} & {one["action"] for one in said.json["decisions"]}
