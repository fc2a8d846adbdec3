"""A folder with policies, versions on the ports that the pages name, and a router that is new."""

import contextlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.printed.commands import ROOT

VERSION_PORTS = (9001, 9002, 9003, 9004)
ADMIN = "http://127.0.0.1:8081"
PROXY = "http://127.0.0.1:8080"
READY_S = 60
RUN_S = 100
"""The longest that a command may take which ends by itself, on a busy machine."""
MODEL = "/v2/models/flight-delay/infer"
ASK = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}'
ANSWER = json.dumps(
    {
        "model_name": "flight-delay", "model_version": "1",
        "outputs": [{"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]}],
    }
).encode()  # fmt: skip


class Model(http.server.BaseHTTPRequestHandler):
    """A version that answers everything with one prediction."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def versions():
    """Two endpoints for each of two versions."""
    servers = [
        http.server.ThreadingHTTPServer(("127.0.0.1", port), Model) for port in VERSION_PORTS
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    for server in servers:
        server.shutdown()
        server.server_close()


def readme_policy():
    """The policy of the README, as printed."""
    return re.search(
        r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )[1]


class World:
    """A folder and at most one router."""

    def __init__(self, folder, policy):
        self.folder = folder
        self.router = None
        (folder / "policy.yaml").write_text(policy)
        (folder / "rampway.yaml").write_text(policy)
        (folder / "old.yaml").write_text(policy.replace("weight: 1%", "weight: 2%"))
        manifests = ROOT / "tests/importing/files"
        shutil.copy(manifests / "argo_canary.yaml", folder / "rollout.yaml")
        shutil.copy(manifests / "flagger_canary.yaml", folder / "canary.yaml")
        shutil.copy(manifests / "gateway_split.yaml", folder / "httproute.yaml")
        shutil.copy(manifests / "kserve_revisions.yaml", folder / "inferenceservice.yaml")
        shutil.copytree(ROOT / "configs", folder / "configs")

    def environment(self):
        """A bare shell: the command is on the path, and nothing of Rampway's is set."""
        kept = {key: os.environ[key] for key in ("HOME", "LANG", "TERM") if key in os.environ}
        return kept | {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}

    def start(self):
        """Start the router on policy.yaml, and ask it for a few predictions."""
        self.router = subprocess.Popen(
            [Path(sys.executable).parent / "rampway", "serve", "policy.yaml"],
            cwd=self.folder, env=self.environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + READY_S
        while not answers(f"{ADMIN}/readyz"):
            assert self.router.poll() is None, "the router ended"
            assert time.monotonic() < until, "the router is not ready"
            time.sleep(0.05)
        while not begun():  # a worker reaches the candidate
            assert time.monotonic() < until, "the rollout does not begin"
            time.sleep(0.05)
        for _ in range(10):
            assert answers(PROXY + MODEL, ASK)

    def stop(self):
        """End the router and wait until its ports are free."""
        if self.router is not None:
            self.router.terminate()
            self.router.wait(READY_S)
            self.router = None

    def run(self, text, within_s=RUN_S):
        """(output, exit code) of one line in bash; 124 where it was still running."""
        with subprocess.Popen(
            ["bash", "-c", text], cwd=self.folder, env=self.environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as shell:  # fmt: skip
            try:
                return shell.communicate(timeout=within_s)[0], shell.returncode
            except subprocess.TimeoutExpired:
                os.killpg(shell.pid, 15)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return shell.communicate(timeout=READY_S)[0], 124
                os.killpg(shell.pid, 9)
                raise


def begun():
    """Whether the rollout of the policy no longer stands for its candidate."""
    with urllib.request.urlopen(f"{ADMIN}/api/v1/rollouts/flight-delay", timeout=5) as answer:
        return not json.load(answer)["reason"].endswith(" started")


def answers(url, body=None):
    """Whether it answers 200."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


@pytest.fixture
def world(versions, tmp_path):
    """A world with the README's policy; the test says whether a router runs."""
    one = World(tmp_path, readme_policy())
    yield one
    one.stop()
