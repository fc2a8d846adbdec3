"""Two models in a row behind a whole router: policy, real processes and bytes, decision.

Flights of March 2013: `absolute` forecasts departure delays better than `squared` (17.92 minutes
off, not 20.75), and the AUC of the model that is fed with them falls from 0.652 to 0.590. `again`
is another training of `squared`.
"""

import http.client
import json
import random
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from prediction_services.dataset import LATE_MIN, load_table
from prediction_services.forecasting import SERVED, ForecastServer, answering
from prediction_services.forecasts import load_forecasts, served_rows
from tests.models_cache import models_cache
from tests.reliability.whole import Router, until

pytestmark = [pytest.mark.cascade, pytest.mark.xdist_group("whole"), pytest.mark.timeout(600)]
"""The first of them may train what the others find in the cache: minutes on a busy machine."""

ROOT = Path(__file__).resolve().parents[2]
SIX_HOURS_S = 6 * 3_600
POLICY = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/r.db
recording: {{file: "{folder}/r.jsonl"}}
prediction_log: {{file: "{folder}/log.db"}}
routes:
  - name: forecast
    match: {{path: /forecast}}
    payload: json
    predictions: {{score: delay_min}}
    versions:
      squared: {{endpoints: ["{squared}"]}}
      other: {{endpoints: ["{other}"]}}
    stable: squared
    feeds: {feeds}
    log: {{}}
    rollout:
      candidate: other
      strategy: {{canary: {{steps: [{{weight: 50%, hold: {hold}}}], bake: 1s}}}}
      detect: {{points: 20%, times: 100}}
      gates:
        - error_rate
        - guard: {{error_rate: 20%}}
        - mae: {{largest: 120.0, margin: 1.0}}
        - cascade: {{ask: {ask}}}
  - name: late
    match: {{path: /late}}
    payload: json
    predictions: {{label: late, score: p, features: [delay_min], range: [0, 1], sample: 100%}}
    versions:
      v1: {{endpoints: ["{late}"]}}
    stable: v1
    log: {{}}
"""
LOT = 25
ROUNDS = 20
"""So often all flights are used again: a candidate that bakes needs traffic to its end."""
ASK = "[errors, inputs, nulls, classes, scores]"
BY_KEY = "{route: late, by: {json: user.id}, within: 7d}"


@pytest.fixture(scope="module")
def models():
    """A service for each, by name."""
    cache = models_cache()
    made = {what: ForecastServer(answering(what, cache)) for what in SERVED}
    for server in made.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    for server in made.values():
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def flights():
    """(id, late, minutes late at departure) of March in one seeded order."""
    table = load_table(models_cache())
    rows = np.random.default_rng(1).permutation(served_rows(table))[:2_000]
    return [
        (table.row_flight(int(row)).flight_id, bool(table.arr_delay[row] > LATE_MIN),
         float(table.dep_delay[row]))
        for row in rows
    ]  # fmt: skip


@pytest.fixture
def start(tmp_path, models):
    """``start(other, ...)``: a router whose candidate is that model."""
    made = []

    def begin(other, *, feeds="[late]", hold="1h", ask=ASK):
        policy = tmp_path / "policy.yaml"
        policy.write_text(POLICY.format(
            folder=tmp_path, feeds=feeds, hold=hold, ask=ask, other=models[other].url,
            squared=models["squared"].url, late=models["late"].url,
        ))  # fmt: skip
        made.append(Router(tmp_path, policy).serving())
        made[-1].folder = tmp_path
        return made[-1]

    yield begin
    for router in made:
        router.end()


class Caller:
    """Who asks the first model, and then the second."""

    def __init__(self, router):
        self.link = http.client.HTTPConnection(router.host, router.port, timeout=20)

    def post(self, path, body, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Content-Type": "application/json", **headers}
        self.link.request("POST", path, json.dumps(body), sent)
        answer = self.link.getresponse()
        said = json.loads(answer.read())
        assert answer.status == 200, said
        return said, answer.headers

    def forecast(self, flight, user):
        return self.post("/forecast", {"flight_id": flight, "user": {"id": user}},
                         X_Request_Id=f"made-{user}")  # fmt: skip

    def late(self, minutes, user, **headers):
        return self.post("/late", {"delay_min": minutes, "user": {"id": user}},
                         X_Request_Id=f"used-{user}", **headers)  # fmt: skip


def position(router):
    return router.api("/api/v1/rollouts/forecast")[1]


def ended(router):
    return position(router)["phase"] in {"completed", "rolled_back", "aborted"}


def rampway(*arguments):
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "router", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def tell(router, name, told):
    """The truth about requests, by the user that they were for."""
    labels = [{"request_id": f"{name}-{user}", "label": label} for user, label in told]
    status, said = router.api("/api/v1/feedback", "POST", {"labels": labels})
    assert (status, said["accepted"]) == (200, len(labels)), said


def by_baggage(router, flights):
    """Each forecast is used at once, and its own truth told soon; how many it took."""
    caller, told = Caller(router), []
    for n, (flight, _, minutes) in enumerate(flights):
        said, headers = caller.forecast(flight, f"u{n}")
        caller.late(said["delay_min"], f"u{n}", Baggage=f"a=b,{headers['X-Rampway-Baggage']}")
        told.append((f"u{n}", minutes))
        if len(told) == LOT:
            tell(router, "made", told)
            told.clear()
            if ended(router):
                break
    return n + 1


def counted_by_the_decision(router):
    """Flights that were evidence when it was taken back."""
    reports = router.api("/api/v1/rollouts/forecast/why")[1]["entry"]["evidence"]["reports"]
    gate = next(one for one in reports if one["gate"] == "cascade")
    return gate["candidate"]["total"] + gate["stable"]["total"]


def replays(router):
    """Nothing of its recording comes out otherwise."""
    router.end()
    code, said = rampway("replay", router.folder / "r.jsonl")
    assert code == 0, said
    return said


def test_a_better_model_is_taken_back_for_what_it_does_to_the_next_by_baggage(start, flights):
    router = start("absolute")
    until(lambda: position(router)["weight_bp"] == 5_000, what="a canary")
    took = by_baggage(router, flights)
    until(lambda: position(router)["phase"] == "rolled_back", what=f"{position(router)}")
    reason = position(router)["reason"]
    counted = counted_by_the_decision(router)
    print(f"by baggage: after {took} flights, {counted} of them counted: {reason}")
    assert reason.startswith("cascade: late, by who made its input: ")
    assert counted <= 1_000, "those that came while it was decided say how fast the machine is"
    assert "in late, which it feeds" in rampway("why", "forecast", "--admin", router.admin)[1]
    told = router.api("/api/v1/pipeline")[1]
    (feed,) = told["feeds"]
    assert (feed["unjoined"], feed["verdict"]) == (0, "fail")
    scores = {arm["version"]: arm["score"] for arm in feed["arms"]}
    assert scores["other"] < 0.18 < scores["squared"]
    assert told["moved_first"]["route"] == "forecast"
    code, text = rampway("pipeline", "--admin", router.admin)
    assert code == 0, text
    assert "forecast (squared; other rolled back) -> late (v1), by baggage" in text
    replays(router)


def test_a_model_that_harms_nobody_is_promoted(start, flights):
    router = start("again", hold="3s")
    until(lambda: position(router)["weight_bp"] == 5_000, what="a canary")
    took = by_baggage(router, flights * ROUNDS)
    assert position(router)["phase"] == "completed", position(router)
    print(f"promoted after {took} flights")
    replays(router)


@pytest.mark.skipif(shutil.which("cc") is None, reason="compiles its clock")
def test_made_at_night_and_used_by_day_without_a_header(start, flights, tmp_path, monkeypatch):
    """Six hours pass on the wall clock of all processes; nobody passes anything on."""
    said, clock = tmp_path / "offset", tmp_path / "wallclock.so"
    source = ROOT / "tests/reliability/wallclock.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", clock, source], check=True)
    said.write_text("0")
    with monkeypatch.context() as patched:
        patched.setenv("LD_PRELOAD", str(clock))
        patched.setenv("WALLCLOCK_OFFSET", str(said))
        router = start("absolute", feeds=BY_KEY)
    until(lambda: position(router)["weight_bp"] == 5_000, what="a canary")
    caller, night = Caller(router), flights[:1_000]
    profiles = {}
    for n, (flight, _, _) in enumerate(night):
        answer, headers = caller.forecast(flight, f"u{n}")
        profiles[f"u{n}"] = answer["delay_min"]
        assert "X-Rampway-Baggage" not in headers
    fresh = said.with_suffix(".new")
    fresh.write_text(str(SIX_HOURS_S))
    fresh.replace(said)
    users = list(profiles)
    random.Random(2).shuffle(users)
    caller.late(5.0, "nobody")
    for n, user in enumerate(users):
        caller.late(profiles[user], user)
        if n % 20 == 19 and ended(router):
            break
    until(lambda: position(router)["phase"] == "rolled_back", what=f"{position(router)}")
    reason = position(router)["reason"]
    print(f"by key: after {n + 1} uses: {reason}")
    assert reason.startswith("cascade: late, by who made its input: ")
    (feed,) = router.api("/api/v1/pipeline")[1]["feeds"]
    assert (feed["by"], feed["unjoined"]) == ("json user.id", 1)
    assert feed["joined"] > 50
    replays(router)


def test_labels_of_the_fed_model_are_split_by_who_made_its_inputs(start, flights):
    router = start("absolute", ask="[errors, accuracy]")
    until(lambda: position(router)["weight_bp"] == 5_000, what="a canary")
    caller, used = Caller(router), flights[:100]
    for n, (flight, _, _) in enumerate(used):
        answer, headers = caller.forecast(flight, f"u{n}")
        caller.late(answer["delay_min"], f"u{n}", Baggage=headers["X-Rampway-Baggage"])
    tell(router, "used", [(f"u{n}", late) for n, (_, late, _) in enumerate(used)])
    until(lambda: _labelled(router) == 100, what="truths")
    until(lambda: _judged(router) > 90, what="their evidence")


def _labelled(router):
    (feed,) = router.api("/api/v1/pipeline")[1]["feeds"]
    return sum(arm["labels"] for arm in feed["arms"])


def _judged(router):
    gate = next(one for one in position(router)["gates"] if one["name"] == "cascade")
    return gate["candidate"]["total"] + gate["stable"]["total"]


def test_the_figures_that_the_story_is_about():
    sklearn = pytest.importorskip("sklearn.metrics")
    forecasts, table = load_forecasts(models_cache()), load_table(models_cache())
    rows = served_rows(table)
    late = table.arr_delay[rows] > LATE_MIN
    found = {}
    for name, minutes in forecasts.minutes.items():
        scores = [forecasts.late_at(float(one)) for one in minutes[rows]]
        mae = np.abs(minutes[rows] - table.dep_delay[rows]).mean()
        found[name] = round(float(mae), 1), round(sklearn.roc_auc_score(late, scores), 2)
    assert found == {"squared": (20.7, 0.65), "again": (20.8, 0.65), "absolute": (17.9, 0.59)}
