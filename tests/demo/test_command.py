"""The command as somebody types it: set up, interrupted, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from prediction_services.demo.process import free_address

ROOT = Path(__file__).resolve().parents[2]
READY_S = 90.0
GONE_S = 60.0

ASK = {
    "id": "1",
    "inputs": [
        {"name": "flight_id", "shape": [1], "datatype": "BYTES",
         "data": ["UA1545.EWR.2013-03-01.0515"]}
    ],
}  # fmt: skip


def family(pid):
    """A process with all its descendants, by PID."""
    found = [pid]
    for parent in found:
        try:
            listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        found += map(int, listed.split())
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(reached, seconds, what):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


QUICK = """
import sys
from dataclasses import replace

from prediction_services.__main__ import main
from prediction_services.demo import command
from prediction_services.demo.cast import Player

command.STAY_CAST = (Player("v2", "static", "quick"), Player("v3", "static", "quick"))
wanted = command._stage_options
command._stage_options = lambda options: replace(wanted(options), port=0, admin_port=0)
sys.exit(main(["demo", "--stay"]))
"""
"""The command with versions that have no model, ready at once, on ports nobody else wants."""


@pytest.fixture
def playground(tmp_path):
    """`demo --stay`, ready, with its output."""
    output = tmp_path / "output.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", QUICK], cwd=tmp_path, stdout=stream, stderr=stream,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(
            lambda: process.poll() is not None or b"Ctrl-C ends everything" in output.read_bytes(),
            READY_S,
            "the guide is printed",
        )
        assert process.poll() is None, output.read_text()
        yield process, output
    finally:
        members = family(process.pid)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(GONE_S)
        except subprocess.TimeoutExpired:
            for pid in members:
                os.kill(pid, signal.SIGKILL)


def end(process, number):
    """Signal the command, see all its descendants go, and return its exit status."""
    members = family(process.pid)
    assert len(members) >= 5, "the command, two services, the router and its worker"
    process.send_signal(number)
    wait_until(lambda: not any(map(alive, members[1:])), GONE_S, "all descendants end")
    return process.wait(GONE_S)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_it_nothing_stays_behind(playground, tmp_path, number):
    process, output = playground

    status = end(process, number)

    assert status == (-9 if number is signal.SIGKILL else 130), output.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo-run", "output.txt"]


@pytest.mark.slow
def test_the_playground_does_what_its_guide_says(playground, tmp_path):
    process, output = playground
    guide = output.read_text()
    url = guide.partition("curl -si ")[2].partition("/v2/")[0]
    admin = guide.partition("dashboard ")[2].split()[0]

    request = urllib.request.Request(
        f"{url}/v2/models/flight-delay/infer", data=json.dumps(ASK).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["X-Rampway-Version"] == "v2"
        assert json.load(response)["model_version"] == "v2"

    (tmp_path / "demo-run/rampway.yaml").write_text((tmp_path / "demo-run/canary.yaml").read_text())
    rollout = f"{admin}/api/v1/rollouts/flight-delay"

    def begun():
        try:
            with urllib.request.urlopen(rollout, timeout=10) as response:
                return json.load(response)["candidate"] == "v3"
        except urllib.error.HTTPError:
            return False

    wait_until(begun, GONE_S, "the canary begins after the file was saved")
    assert end(process, signal.SIGTERM) == 130


def test_a_wanted_port_is_taken_when_free_and_left_alone_when_not():
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        other = free_address(taken)

    assert other != f"127.0.0.1:{taken}"
    assert free_address(taken) == f"127.0.0.1:{taken}"
