"""The outside from a whole plane: real store, real worker processes, a real server to call."""

from __future__ import annotations

import asyncio
import time

import pytest

from router.config.check import load
from router.control.fleet.local import local
from router.control.plane import Plane
from router.control.state.errors import PolicyRejected
from router.control.state.sqlite import SqliteStore
from router.core.rollout.events import Abort
from router.core.rollout.rollout import Phase
from tests.control.outside_world import Server
from tests.control.told.test_controller import command

MORE = """on_new_candidate: queue
      hooks:
        - confirm_rollout: {url: URL/confirm, interval: 1s}
        - event: {url: URL/event}
        - post_rollout: {url: URL/post}
"""


@pytest.fixture
async def server():
    async with Server() as made:
        yield made


@pytest.fixture
async def plane(tmp_path, policy, server):
    text = policy(steps="[{weight: 1%, hold: 1h}]").replace("on_new_candidate: queue", MORE)
    file = tmp_path / "policy.yaml"
    file.write_text(
        f"listen: 127.0.0.1:0\nalerts: [{{url: URL/alert}}]\n{text}".replace("URL", server.url)
    )
    made = Plane(load(file), SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
    await made.start()
    yield made
    await made.stop(drain_s=1)


async def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_it_is_wired(plane, server, tmp_path):
    c = plane.controller
    server.answers["confirm"] = 403
    await until(lambda: plane.reconciler.runs["r"].rollout is not None)
    await until(lambda: "hook" in c.rollout("r").waits_for or c.rollout("r").step == 2)
    server.answers["confirm"] = 200
    await until(lambda: c.rollout("r").step == 2)
    assert c.rollout("r").next_advance_at > time.time() + 3_000
    assert (await c.why("r")).entry.action == "advance", "notes explain no traffic"
    await c.freeze(True, actor="ann", reason="sale", route="r", lasting_s=3_600)
    assert c.health().frozen.routes["r"].actor == "ann"
    assert (await c.why("r")).line.startswith("frozen by ann until ")
    await c.command("r", Abort("ann", "no"))
    await until(lambda: "post" in server.paths())
    assert server.bodies("post")[0]["phase"] == Phase.ABORTED
    (tmp_path / "policy.yaml").write_text("routes: 3")
    with pytest.raises(PolicyRejected):
        await plane.source.reload()
    triggers = ["started", "step_completed", "held", "aborted", "config_rejected"]
    await until(
        lambda: (
            [b["trigger"] for b in server.bodies("alert") if b["trigger"] != "approval_needed"][:5]
            == triggers  # the file may be refused twice: the watcher saw it too
        )
    )
    await until(lambda: [b["action"] for b in server.bodies("event")][-1] == "abort")
    text = await c.metrics_text()
    assert 'rampway_messages_total{kind="alert",result="delivered"}' in text
    assert 'rampway_messages_total{kind="post_rollout",result="delivered"} 1' in text
