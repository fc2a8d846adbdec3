"""A real router with a log, in front of a service whose answers are known."""

import contextlib
import http.client
import json

import pytest

from tests.json_service import JsonService, serving
from tests.reliability.whole import Router

SECRET = "only-for-these-tests"
POLICY = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/r.db
prediction_log: {{file: "{folder}/log.db", age: 1d, size: 100MiB, early: 1h}}
routes:
  - name: flights
    payload: v1
    sticky: {{header: X-User-Id}}
    predictions: {{label: late, score: p, features: [distance, carrier, email]}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    feedback: {{secret: {secret}}}
    log: {{redact: [email], bodies: true}}
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 20%, mirror: 100%, hold: 1h}}], bake: 1h}}}}
      gates: [error_rate, accuracy, auc, {{trust: {{on_fail: notify}}}}]
      compare: {{decide_on: [late], score: p, segment: {{header: X-Country}}}}
"""


class Model(JsonService):
    """Late or not by the distance; the second version always says no."""

    def answer(self, body):
        asked = json.loads(body)
        said = [self.server.predict(one) for one in asked["instances"]]
        broken = asked["instances"][0].get("break") or said[0] is None
        self.say({"predictions": said}, 500 if broken else 200)


def service(predict):
    return serving(Model, predict=predict)


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    good = service(lambda one: {"late": one["distance"] > 500, "p": one["distance"] / 1000})
    blind = service(lambda _: {"late": False, "p": 0.1})
    urls = [f"http://127.0.0.1:{one.server_address[1]}" for one in (good, blind)]
    policy = folder / "policy.yaml"
    policy.write_text(POLICY.format(folder=folder, v1=urls[0], v2=urls[1], secret=SECRET))
    made = Router(folder, policy).serving()
    yield made
    made.end()
    for one in (good, blind):
        one.shutdown()


@contextlib.contextmanager
def client(router):
    """``ask(id, rows, **headers)`` -> (status, headers) over one connection."""
    link = http.client.HTTPConnection(router.host, router.port)

    def ask(request_id, rows, **headers):
        body = json.dumps({"instances": rows})
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        link.request("POST", "/predict", body, {
            "Content-Type": "application/json", "X-Request-Id": request_id, **named,
        })  # fmt: skip
        answer = link.getresponse()
        answer.read()
        return answer.status, answer.headers

    yield ask
    link.close()
