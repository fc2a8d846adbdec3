"""The command line against the real control plane: real store, real façade, real admin server."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from router.admin import AdminServer
from router.config.check import load
from router.control.fleet.local import local
from router.control.plane import Plane
from router.control.state.sqlite import SqliteStore
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.link.messages import Report
from tests.cli.conftest import Ended
from tests.control.told.test_controller import begun

FAKE = Path(__file__).parents[1] / "control" / "fleet" / "fake_worker.py"

POLICY = """
listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
routes:
  - name: flights
    match: {path: /v2/*}
    versions:
      v1: {endpoints: [http://127.0.0.1:9001]}
      v2: {endpoints: [http://127.0.0.1:9002]}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 1%, hold: 1h}, {weight: 25%, hold: 1h}], bake: 1h}}
      gates: [error_rate]
"""


def command(fd, index, listen):
    return (sys.executable, str(FAKE), "--link-fd", str(fd), "--worker", str(index),
            "--listen", listen)  # fmt: skip


@pytest.fixture
async def whole(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    loaded = load(file)
    plane = Plane(loaded, SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
    await plane.start()
    await begun(plane, "flights")
    admin = AdminServer(plane.controller, loaded.policy.admin, status_s=0.05)
    await admin.start()
    yield plane, admin
    await admin.close()
    await plane.stop(drain_s=1)


async def _run(admin: AdminServer, *arguments: str) -> Ended:
    """In a process of its own: this one's output holds the log."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router", *arguments, "--admin", admin.url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return Ended(process.returncode, out.decode(), err.decode())


def _failures(plane: Plane, bad: int) -> None:
    """A worker reports that every candidate answer failed."""
    entry = plane.reconciler.runs["flights"].entry
    weight = entry.weights_bp[entry.candidate]
    cell = Cell(
        weight, ArmCounts(0, bad, arrived=bad), ArmCounts(2000, 2, arrived=2002),
        thresholds_s=entry.thresholds_s,
    )  # fmt: skip
    batch = Batch("flights", entry.revision, (cell,))
    plane.report(plane.fleet.states()[0].who, Report(batches=(batch,)))


async def test_a_rollout_from_the_command_line(whole):
    _, admin = whole

    listed = await _run(admin, "list")
    got = await _run(admin, "get")
    promoted = await _run(admin, "promote", "flights", "--if-revision", "2", "--reason", "early")
    stale = await _run(admin, "pause", "flights", "--if-revision", "2")
    weighted = await _run(admin, "set-weight", "flights", "30%", "--for", "10m", "-o", "json")
    who = await _run(admin, "whois", "user-1")
    frozen = await _run(admin, "freeze", "--reason", "incident")
    doctor = await _run(admin, "doctor")

    assert "progressing" in listed.out
    assert "step 1 of 2, 1 % on v2" in got.out
    assert (promoted.code, "early" in promoted.out, "25 %" in promoted.out) == (0, True, True)
    assert stale.code == 5, stale
    assert weighted.json["weight_bp"] == 3000
    assert "a coin is thrown for each request, 30 % candidate" in who.out
    assert frozen.code == 0, frozen.err
    assert "healthy" in doctor.out


async def test_an_automatic_rollback_is_followed_and_explained(whole):
    plane, admin = whole
    following = asyncio.create_task(_run(admin, "status", "flights", "--timeout", "20s"))
    async with asyncio.timeout(10):
        while not admin._hub.listeners:
            await asyncio.sleep(0.01)

    _failures(plane, 30)
    followed = await following
    why = await _run(admin, "why", "flights")
    told = await _run(admin, "why", "flights", "-o", "json")
    history = await _run(admin, "history", "flights", "-o", "json")
    began = history.json["entries"][0]["at"]
    earlier = await _run(admin, "why", "flights", "--at", str(began + 0.001))
    before = await _run(admin, "why", "flights", "--at", str(began - 60))
    refused = await _run(admin, "promote", "flights", "--yes")

    assert followed.code == 3, followed
    assert followed.out.splitlines()[0].startswith("Progressing - ")
    assert followed.out.splitlines()[-1].startswith("Degraded - ")
    assert "error_rate" in why.out
    assert "30 of 30" in why.out
    assert "limit 100 : 1" in why.out
    assert "by router" in why.out
    assert told.json["sentence"] == history.json["entries"][-1]["reason"]
    assert "v2 was taken back: 30 of its 30 answers failed" in followed.out
    assert "started" in earlier.out.splitlines()[0]
    assert "30 of 30" not in earlier.out
    assert (before.code != 0, "by then" in before.err) == (True, True)
    assert (refused.code, "retry" in refused.err) == (5, True)


async def test_a_rejected_policy_is_told_with_its_line(whole):
    plane, admin = whole
    edited = POLICY.replace("hold: 1h", "hold: 1")
    await asyncio.to_thread(Path(plane.loaded.file).write_text, edited)

    async with asyncio.timeout(10):
        reload = await asyncio.to_thread(_reload, admin.url)

    assert reload["status"] == 422
    assert {problem["line"] for problem in reload["problems"]} == {13}


def _reload(url: str) -> dict:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(
        f"{url}/api/v1/reload", b"{}", {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
