"""What protects a model, from the policy to the wire, with the router as processes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.reliability.whole import BODY, PREDICT, Site, until


@pytest.fixture(scope="module")
def protected(tmp_path_factory, both):
    made = Site(tmp_path_factory.mktemp("protected"), both)
    yield made
    made.end()


def ask(life, *, key, body=BODY, headers=()):
    """(status, fields, body) on a connection of its own, so that the kernel picks the worker."""
    connection = http.client.HTTPConnection(life.host, life.port, timeout=30)
    try:
        fields = {"Content-Type": "application/json", "X-Api-Key": key, **dict(headers)}
        connection.request("POST", PREDICT, body, fields)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def metric(life, name):
    text = life.api("/metrics")[1]
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith(name)
    }


ROUTE = """
    quota: {{by: {{header: X-Api-Key}}, rate: 1/h, burst: {burst}}}
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 50%, hold: 1h}}], bake: 1h}}}}
"""


def test_a_quota_of_a_policy_holds_over_workers_and_is_no_evidence(protected):
    protected.write(rollout=ROUTE.format(burst=100), workers=3)
    life = protected.start()
    got = [ask(life, key="a") for _ in range(160)]
    statuses = [status for status, _, _ in got]
    assert statuses == [200] * 100 + [429] * 60
    assert 3_500 < int(got[-1][1]["Retry-After"]) <= 3_600
    assert ask(life, key="b")[0] == 200
    name = 'rampway_quota_refused_total{route="flights"}'
    until(lambda: metric(life, "rampway_quota").get(name) == 60, what="the count of refusals")
    answered = metric(life, "rampway_requests_total")
    assert sum(answered.values()) == 101
    assert not any('code_class="4xx"' in series for series in answered)

    protected.write(protected.file.read_text().replace("burst: 100", "burst: 130"))
    life.api("/api/v1/reload", "POST", {})
    assert [ask(life, key="a")[0] for _ in range(35)] == [200] * 30 + [429] * 5, "an edit counts"
    old = set(life.workers())
    for pid in old:
        os.kill(pid, signal.SIGKILL)

    def others():
        now = life.workers()
        return len(now) == 3 and old.isdisjoint(now) and life.api("/readyz")[0] == 200

    until(others, what="new workers")
    assert ask(life, key="a")[0] == 429, "the count outlives workers"
    life.end()


GUARDED = """
    payload: open_inference_v2
    inputs:
      refuse: {missing: [flight_id], type: {flight_id: text}}
    answers: {round: 1, drop: [predict_proba]}
    fallback: {answer: '{"outputs": []}', status: 200}
    extraction: {by: {header: X-Api-Key}, distinct: 200}
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 50%, hold: 1h}], bake: 1h}}
"""


@pytest.fixture
def hook():
    """A receiver of alerts, and what it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.shutdown()
    thread.join()
    server.server_close()


def with_flight(name):
    said = json.loads(BODY)
    said["inputs"][0]["data"] = [name]
    return json.dumps(said).encode()


def ask_service(service):
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("POST", PREDICT, BODY, {"Content-Type": "application/json"})
    body = connection.getresponse().read()
    connection.close()
    return body


def test_inputs_answers_fallback_and_the_alert_of_a_policy(protected, hook, both):
    url, got = hook
    top = f"alerts: [{{url: '{url}', on: [extraction_suspected]}}]"
    protected.write(rollout=GUARDED, workers=2, top=top)
    life = protected.start()

    names = {one["name"] for one in json.loads(ask_service(both[0]))["outputs"]}
    assert "predict_proba" in names, "or this shows nothing"
    status, fields, body = ask(life, key="a")
    assert status == 200
    assert int(fields["Content-Length"]) == len(body)
    assert {one["name"] for one in json.loads(body)["outputs"]} == names - {"predict_proba"}

    status, _, body = ask(life, key="a", body=b'{"inputs": []}')
    assert (status, json.loads(body)["detail"]) == (422, "flight_id: expected a value")

    for number in range(260):
        ask(life, key="thief", body=with_flight(f"F{number}"))
        ask(life, key="honest")
    (alert,) = until(lambda: got, what="the alert")
    assert (alert["trigger"], alert["severity"]) == ("extraction_suspected", "warn")
    assert alert["route"] == "flights"
    assert "different inputs, limit 200" in alert["text"]
    assert "x-api-key sha256:" in alert["text"]
    assert "thief" not in alert["text"], "a key is a secret"

    for service in both:
        service.faults(error_rate=1.0)
    try:
        status, fields, body = ask(life, key="a")
        assert (status, body, fields["X-Rampway-Fallback"]) == (200, b'{"outputs": []}', "1")
    finally:
        for service in both:
            service.faults()
    wanted = ("rampway_inputs_refused_total", "rampway_answers_shaped_total",
              "rampway_fallbacks_total")  # fmt: skip
    until(lambda: all(metric(life, name) for name in wanted), what="the metrics")
    assert len(got) == 1
    life.end()
