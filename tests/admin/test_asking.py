"""Asking changes nothing: every GET of a running control plane, and all that it remembers."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from router.admin import AdminServer
from router.admin.openapi import ANSWERS
from router.admin.routes import ROUTES
from router.config.check import load
from router.control.fleet.local import local
from router.control.plane import Plane
from router.control.rollouts.recording import Writer
from router.control.state.sqlite import SqliteStore
from router.core.policy.server import Admin
from router.core.wire.counts import VersionCounts
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.reader.sqlite_book import SqliteBook
from tests.admin.described import wrong
from tests.control.conftest import canary
from tests.control.told.test_controller import begun, command

AUTO = "{canary: {ramp: {auto: {to: 50%, hold: 30s}}}}"

GETS = [route for route in ROUTES if route.method == "GET"]

ASKED = {
    "/api/v1/whois": "?route=r&key=ann",
    "/api/v1/journal": "?route=r",
    "/api/v1/predictions": "?route=r&bodies=1",
    "/api/v1/rollouts/{route}/why": "?at=4000000000",
}
"""What a path wants to know besides its name."""


@pytest.fixture
async def plane(tmp_path):
    """A plane that records and has seen traffic; nobody turns its decider any more."""
    text = canary()
    start = text.index("strategy: ") + len("strategy: ")
    text = text[:start] + AUTO + text[text.index("\n", start) :]
    file = tmp_path / "policy.yaml"
    head = f"listen: 127.0.0.1:0\nrecording: {{file: {tmp_path / 'rec'}}}\n"
    log = tmp_path / "log.db"
    SqliteBook(log).close()
    head += f"prediction_log: {{file: {log}}}\n"
    file.write_text(head + text.replace("    stable:", "    log: {}\n    stable:", 1))
    made = Plane(load(file), SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
    await made.start()
    try:
        await begun(made)
        (revision,) = {run.record.revision for run in made.reconciler.runs.values()}
        cell = Cell(100, ArmCounts(ok=9, bad=1, arrived=10), ArmCounts(ok=990, arrived=990))
        outcomes = (990, *[0] * 10)
        seen = VersionCounts("r", "v1", "stable", outcomes, (0, 990, 0, 0, 0), ((40, 990),))
        made.reconciler.observe((Batch("r", revision, (cell,)),))
        made.observatory.add(0, (seen,), made.clock.now())
        made.reconciler.turn()
        for task in made._tasks:
            task.cancel()
        await asyncio.sleep(0.05)
        yield made
    finally:
        await made.stop(drain_s=1)


def remembered(plane):
    """All that a decision could be made of."""
    reconciler = plane.reconciler
    return {
        "records": {name: run.record.to_json() for name, run in reconciler.runs.items()},
        "trials": {name: run.trial.snapshot() for name, run in reconciler.runs.items()},
        "generation": reconciler.generation,
        "waiting": {name: (run.waiting, run.look_at) for name, run in reconciler.runs.items()},
        "freezes": reconciler.restraint.freezes.kept(),
        "due": reconciler.wake.is_set(),
    }


async def ask(client, url, route, times):
    path = route.path.format(route="r", file="app.js") + ASKED.get(route.path, "")
    for _ in range(times):
        async with client.get(url + path) as answer:
            assert answer.status == 200, (path, await answer.text())
            if route.answer in ANSWERS:
                assert not wrong(await answer.json(), route.answer)
            if route.answer == "text/event-stream":
                await answer.content.readuntil(b"\n\n")
                return
            await answer.read()


@pytest.mark.parametrize("route", GETS, ids=lambda route: route.path)
async def test_no_get_changes_anything(plane, route, monkeypatch):
    lines = []
    monkeypatch.setattr(Writer, "put", lambda _self, line: lines.append(line) or True)
    server = AdminServer(plane.controller, Admin(listen="127.0.0.1:0"), status_s=0.01)
    await server.start()
    try:
        before, journal = remembered(plane), await plane.controller.journal()
        async with aiohttp.ClientSession() as client:
            await ask(client, server.url, route, 30)
        assert remembered(plane) == before
        assert await plane.controller.journal() == journal
        assert lines == []
    finally:
        await server.close()


async def test_the_decider_s_own_look_is_seen_by_the_same_measure(plane, monkeypatch):
    """What the test above holds still does move when the decider turns."""
    lines = []
    monkeypatch.setattr(Writer, "put", lambda _self, line: lines.append(line) or True)
    before = remembered(plane)
    plane.reconciler.runs["r"].look_at = 0.0
    plane.reconciler.turn()
    assert remembered(plane) != before
    assert lines
