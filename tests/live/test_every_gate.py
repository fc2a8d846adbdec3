"""Every gate from outside: policy, real bytes, verdict, and what `why`, metrics and API say of it.

One router with a route a case, two real services; the candidate's faults are switched between the
cases, everything else about it is good. A case that says a segment has a fault in one carrier of
four alone.
"""

import contextlib
import http.client
import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from router.core.gates import GATES
from tests.cli.conftest import rampway
from tests.live import test_predictions as live
from tests.live.gates import CASES
from tests.reliability.whole import PREDICT, Router, until

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("every gate")]  # one router, in order

both = live.both
LOT = 25

ROUTE = """\
  - name: {name}
    match: {{headers: {{X-Case: {{exact: {name}}}}}}}
    payload: open_inference_v2
    predictions:
      {{label: predict, score: predict_proba, classes: [0, 1], range: [0, 1], sample: 100%,
       features: [carrier]}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
{log}    rollout:
      candidate: v2
      strategy: {strategy}
      gates: [{gates}]
{compare}"""
COMPARE = "      compare: {segment: {header: X-Carrier}}\n"


class Outside(BaseHTTPRequestHandler):
    """A Prometheus whose every series is at 1, and a hook that says yes."""

    def do_GET(self):
        result = {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]}
        self._say({"status": "success", "data": result})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def _say(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def outside():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Outside)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def route_of(name, case, urls, outside):
    gates = "{" + case.gate.replace("<outside>", outside) + "}"
    if case.outside or not GATES[case.kind].bets:
        gates = "error_rate, " + gates
    return ROUTE.format(
        name=name, v1=urls[0], v2=urls[1], strategy=case.strategy, gates=gates,
        log="    log: {}\n" if case.truth else "",
        compare=COMPARE if case.kind == "agreement" and "by:" in case.gate else "",
    )  # fmt: skip


@pytest.fixture(scope="module")
def router(tmp_path_factory, both, outside):
    folder = tmp_path_factory.mktemp("router")
    urls = [service.url for service in both]
    text = live.TOP.format(folder=folder).replace(
        "routes:\n", f'prediction_log: {{file: "{folder}/log.db", size: 100MiB}}\nroutes:\n'
    )
    policy = folder / "policy.yaml"
    policy.write_text(
        text + "".join(route_of(name, case, urls, outside) for name, case in CASES.items())
    )
    made = Router(folder, policy)
    made.serving()
    yield made
    made.end()


def asked(number, carrier):
    """One flight by its six fields, so that a feature tells its carrier."""
    fields = {
        "carrier": carrier, "flight": 1 + number % 9_000, "origin": "EWR", "month": 1, "day": 1,
        "sched_dep_time": 515,
    }  # fmt: skip
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "INT64",
         "data": [value]}
        for name, value in fields.items()
    ]  # fmt: skip
    return json.dumps({"inputs": inputs}).encode()


def predicted(body):
    outputs = {one["name"]: one["data"] for one in json.loads(body)["outputs"]}
    return outputs["predict"][0], outputs["predict_proba"][-1]


def truth_of(kind, candidate, score):
    """What is told of an answer: stable is right and useful; ``score`` is what stable says."""
    if kind == "label":
        return {"label": int(score >= 0.5)}
    return (
        {"value": 20.0 if candidate else 220.0} if kind == "value" else {"accepted": not candidate}
    )


class Asking:
    """One case while it is asked."""

    def __init__(self, router, both, name, case):
        self.router, self.both, self.name, self.case = router, both, name, case
        self.carriers = itertools.cycle(["UA", "AA", "FL", "DL"])

    def ask(self, client, number):
        carrier = next(self.carriers)
        identity = f"{self.name}-{number}"
        headers = {"X-Case": self.name, "X-Carrier": carrier, "X-Request-Id": identity}
        client.request("POST", PREDICT, asked(number, carrier), headers)
        answer = client.getresponse()
        body = answer.read()
        candidate = answer.headers.get("X-Rampway-Version") == "v2"
        return identity, candidate, answer.status, body, (number, carrier)

    def told(self, lot):
        """The truth of some answers; stable's service itself says what is right."""
        labels = []
        with contextlib.closing(http.client.HTTPConnection(*self.host, timeout=20)) as client:
            for identity, candidate, _, _, (number, carrier) in lot:
                client.request("POST", PREDICT, asked(number, carrier))
                _, score = predicted(client.getresponse().read())
                labels.append(
                    {"request_id": identity} | truth_of(self.case.truth, candidate, score)
                )
        status, said = self.router.api("/api/v1/feedback", "POST", {"labels": labels})
        assert status == 200, said

    @property
    def host(self):
        host, _, port = self.both[0].url.removeprefix("http://").partition(":")
        return host, int(port)

    def run(self):
        """How many it took until it was decided."""
        client = http.client.HTTPConnection("127.0.0.1", self.router.port, timeout=20)
        with contextlib.closing(client):
            first = 0
            deadline = time.monotonic() + live.ASKED_S_MAX
            while time.monotonic() < deadline:
                lot = [self.ask(client, first + place) for place in range(LOT)]
                if self.case.truth:
                    self.told(lot)
                first += LOT
                if live.decided(self.router, self.name):
                    return first
        raise AssertionError(live.status(self.router, self.name))


def verdict_of(router, route, gate):
    """As the API has it."""
    said = live.status(router, route)["gates"]
    return next(one["verdict"] for one in said if one["gate"] == gate)


def evidence_of(router, route, gate):
    """As metrics have it, while the rollout lasts."""
    for row in router.api("/metrics")[1].splitlines():
        if row.startswith("rampway_evidence{") and {f'route="{route}"', f'gate="{gate}"'} <= set(
            row[len("rampway_evidence{") : row.index("}")].split(",")
        ):
            return float(row.split()[-1])
    return None


@pytest.mark.parametrize("name", CASES)
def test_a_gate_catches_its_fault_and_says_so_everywhere(router, both, name):
    case = CASES[name]
    both[1].faults(**case.faults)
    live.ready(router, name)
    if GATES[case.kind].bets and case.kind != "latency":  # that waits for stable's past
        until(lambda: evidence_of(router, name, case.kind) is not None, what=f"{name}: a row")
    took = Asking(router, both, name, case).run()
    said = live.status(router, name)
    print(f"{name}: after {took} requests: {said['reason']}")
    assert said["reason"].startswith(case.kind)
    assert case.says in said["reason"]
    until(lambda: verdict_of(router, name, case.kind) == "fail", what=f"{name}: {said['gates']}")
    why = rampway("why", name, "--admin", router.admin)
    assert case.kind in why.out
    assert case.says in why.out
