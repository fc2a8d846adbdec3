"""The real thing: ``rampway serve``, its worker processes, real upstreams, and the client verbs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

POLICY = """
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
store: sqlite:///{folder}/r.db
routes:
  - name: flights
    match: {{path: /*}}
    versions:
      v1: {{endpoints: ["http://127.0.0.1:{good}"]}}
      v2: {{endpoints: ["http://127.0.0.1:{bad}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 20%, hold: 1h}}], bake: 1h}}}}
      rescue: {{on: [5xx]}}
"""

WITHIN_S = 60
"""What tells late from never: programs start, and the candidate is waited for."""


async def upstream(status: int):
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="ok")

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]


async def rampway(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture
async def served(tmp_path):
    good, good_port = await upstream(200)
    bad, bad_port = await upstream(500)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(good=good_port, bad=bad_port, folder=tmp_path))
    process = await rampway("serve", str(policy), "--log", "json")
    async with asyncio.timeout(WITHIN_S):
        while b'"serving"' not in (line := await process.stdout.readline()):
            assert line, "the router ended before it served"
    found = re.search(rb'"listen": ?"([^"]+)".*"admin": ?"([^"]+)"', line)
    drained = asyncio.create_task(process.stdout.read())
    yield f"http://{found[1].decode()}", found[2].decode(), process
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.wait(), WITHIN_S)
    await drained
    await good.cleanup()
    await bad.cleanup()


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def names_of(pids: list[int]) -> list[str]:
    return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]


async def _ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    out, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    return process.returncode, out.decode()


@pytest.mark.slow
async def test_a_failing_candidate_is_taken_back_and_explained(served):
    url, admin, process = served
    assert names_of(children(process.pid)) == ["rampway-worker"], "it was there from the start"
    following = await rampway("status", "flights", "--admin", admin, "--timeout", f"{WITHIN_S}s")
    statuses = []
    async with ClientSession() as client, asyncio.timeout(2 * WITHIN_S):
        while following.returncode is None:
            async with client.get(f"{url}/v2/models/m/infer") as answer:
                statuses.append(answer.status)
            await asyncio.sleep(0.005)

    code, followed = await _ended(following)
    why_code, why = await _ended(await rampway("why", "flights", "--admin", admin))
    retry_code, _ = await _ended(await rampway("rollback", "flights", "--admin", admin))

    assert set(statuses) == {200}, "rescue hides the candidate's failures"
    assert code == 3, followed
    assert "Degraded - flights: rolled_back" in followed
    assert why_code == 0
    line = why.splitlines()[0]
    assert re.match(r"v2 was taken back: \d+ of its (last )?\d+ answers failed", line), why
    assert len(line.split()) <= 25
    assert "evidence" not in line
    assert " : 1" not in line
    assert re.search(r"candidate \d+ of \d+ \(100 %\)", why), why
    assert retry_code == 0, "it is so already"
    await _replaced(url, process.pid)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), WITHIN_S) == 0


async def _replaced(url: str, control: int) -> None:
    """One that takes the place of the first worker is a program of its own, and answers."""
    (first,) = children(control)
    os.kill(first, signal.SIGKILL)
    async with ClientSession() as client, asyncio.timeout(WITHIN_S):
        while (now := children(control)) == [first] or not now:
            await asyncio.sleep(0.01)
        async with client.get(f"{url}/v2/models/m/infer") as answer:
            assert answer.status == 200
    assert "rampway-worker" not in names_of(now)
