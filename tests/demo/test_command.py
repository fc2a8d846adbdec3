"""The command as somebody types it: set up, interrupted, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prediction_services.dataset import load_table
from prediction_services.demo.playground import FLIGHT
from prediction_services.demo.process import free_address
from prediction_services.flights import parse_flight_id
from tests.models_cache import models_cache

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
READY_S = 90.0
GONE_S = 60.0


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


def commands(guide):
    """The commands of the guide as one copies them; a deeper line goes on with the one above."""
    found = []
    for line in guide.partition("In another terminal")[2].splitlines():
        if line.startswith("    "):
            found[-1] += "\n" + line
        elif line.startswith("  ") and not line.startswith("  #"):
            found.append(line.strip())
    return found


def typed(command, folder):
    """A command in a shell that has nothing on its PATH but what every system has."""
    bare = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=bare, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.slow
def test_every_command_of_the_guide_works_as_printed(playground, tmp_path):
    process, output = playground
    ask, load, copy, status, fail, why, back = commands(output.read_text())

    answer, _ = (asked := typed(ask, tmp_path)).communicate(timeout=GONE_S)
    assert asked.returncode == 0
    assert "200 OK" in answer
    assert "X-Rampway-Version: v2" in answer

    minute = "--seconds 60"
    assert minute in load
    running = typed(load.replace(minute, "--seconds 600"), tmp_path)  # a busy machine wants longer
    assert typed(copy, tmp_path).wait(GONE_S) == 0
    wait_until(
        lambda: "v3" in typed(why, tmp_path).communicate(timeout=GONE_S)[0], GONE_S, "v3 begins"
    )
    watching = typed(status, tmp_path)
    assert typed(fail, tmp_path).wait(GONE_S) == 0
    told, _ = watching.communicate(timeout=GONE_S)
    reason, _ = typed(why, tmp_path).communicate(timeout=GONE_S)
    undone = typed(back, tmp_path)
    said, _ = undone.communicate(timeout=GONE_S)
    assert "v3" in told
    assert "decided" in reason
    assert undone.returncode in (0, 5), said  # 5: the evidence was faster
    assert running.poll() is None, running.communicate()[0]
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=GONE_S)
    assert end(process, signal.SIGTERM) == 130


def test_the_guide_asks_about_a_flight_of_the_schedule():
    table = load_table(models_cache())
    assert len(table.rows([parse_flight_id(FLIGHT, "guide")])) == 1


def test_a_wanted_port_is_taken_when_free_and_left_alone_when_not():
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        other = free_address(taken)

    assert other != f"127.0.0.1:{taken}"
    assert free_address(taken) == f"127.0.0.1:{taken}"
