"""A real router with a review queue, in front of a model whose answers and doubts are known."""

import http.client
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.log.conftest import service
from tests.reliability.whole import Router, call, until

POLICY = """\
listen: 127.0.0.1:{port}
admin:
  listen: "127.0.0.1:{admin}"
  tokens:
    - {{name: root, role: admin, token: root-token-of-these-tests}}
    - {{name: ann, role: reviewer, token: ann-token-of-these-tests}}
    - {{name: bob, role: reviewer, token: bob-token-of-these-tests}}
    - {{name: eve, role: operator, token: eve-token-of-these-tests}}
store: sqlite:///{folder}/r.db
prediction_log: {{file: "{folder}/log.db"}}
routes:
  - name: flights
    payload: v1
    predictions: {{label: late, score: p, features: [distance]}}
    versions:
      model: {{endpoints: ["{model}"]}}
      desk: {{person: true}}
      {versions}
    stable: {stable}
    log: {{}}
    review: {review}
{rollout}
"""
ANSWER = """'{"predictions": [{"late": {answer}}]}'"""


def doubting(row):
    """Sure of what is far or near, not of what is between."""
    return {"late": row["distance"] > 500, "p": min(max(row["distance"] / 1000, 0.0), 1.0)}


class Hook:
    """Who is told of outcomes; refuses the first ``refuses`` of them."""

    def __init__(self, refuses=0):
        self.told, self.refuses = [], refuses
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.refuses -= 1
                status = 503 if outer.refuses >= 0 else 204
                if status == 204:
                    outer.told.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


class Office:
    """Clients of the router, and the people who answer."""

    def __init__(self, router, policy, tokens):
        self.router, self.policy, self.tokens = router, policy, tokens

    def link(self):
        return http.client.HTTPConnection(self.router.host, self.router.port, timeout=60)

    def ask(self, request_id, distance, link=None, path="/p"):
        link = link or self.link()
        body = json.dumps({"instances": [{"distance": distance}]})
        headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
        link.request("POST", path, body, headers)
        answer = link.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers

    def later(self, *asked):
        """Ask in a thread; ``join`` gives what came."""
        found = []
        thread = threading.Thread(target=lambda: found.append(self.ask(*asked)), daemon=True)
        thread.start()

        def join():
            thread.join(60)
            return found[0]

        return join

    def look(self, place):
        link = self.link()
        link.request("GET", place)
        answer = link.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers

    def api(self, who, path, body=None, method=None):
        url = self.router.admin + path
        return call(url, method or ("GET" if body is None else "POST"), body,
                    {"Authorization": f"Bearer {self.tokens[who]}"})  # fmt: skip

    def run(self, *words):
        """A command of the product: its status and what it says."""
        environ = os.environ | {"RAMPWAY_TOKEN": self.tokens["ann"]}
        command = [sys.executable, "-m", "router", *words]
        if words[1:2] != ("curve",):
            command += ["--admin", self.router.admin]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=60, env=environ
        )
        return done.returncode, done.stdout + done.stderr

    def claim(self, who, count=1, route=""):
        body = {"count": count} | ({"route": route} if route else {})
        status, said = self.api(who, "/api/v1/reviews/claim", body)
        assert status == 200, said
        return said["items"]

    def one(self, who):
        return until(lambda: self.claim(who), 20, "a question")[0]

    def answer(self, who, item, said):
        return self.api(who, "/api/v1/reviews/answer", {"id": item["id"], "answer": said})

    def standing(self):
        return self.api("root", "/api/v1/reviews")[1]["routes"]["flights"]


@pytest.fixture
def office(tmp_path):
    made = []

    def make(review, predict=doubting, *, stable="model", rollout="", **changes):
        model = service(predict)
        policy = tmp_path / "policy.yaml"
        url = f"http://127.0.0.1:{model.server_address[1]}"
        policy.write_text(POLICY.format(
            folder=tmp_path, model=url, review=review, stable=stable, rollout=rollout, port=0,
            admin=0, versions=changes.get("versions", ""),
        ) + changes.get("more", ""))  # fmt: skip
        names = ("root", "ann", "bob", "eve")
        tokens = {name: f"{name}-token-of-these-tests" for name in names}
        router = Router(tmp_path, policy).serving()
        one = Office(router, policy, tokens)
        made.append((router, model, [one]))
        return one

    yield make
    for _, model, offices in made:
        for one in offices:
            one.router.end()
        model.shutdown()
