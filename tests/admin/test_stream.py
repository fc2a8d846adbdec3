"""Server-sent events: snapshot, changes, coming back, and listeners that hurt nobody."""

from __future__ import annotations

import asyncio
import json

import pytest

from router.admin import stream
from router.admin.stream import Hub
from router.core.policy.server import Admin
from router.core.rollout.events import Action
from tests.admin.conftest import TOKENS, running
from tests.admin.fake_controller import FakeController


class Listener:
    """Reads one stream, event by event."""

    def __init__(self, answer) -> None:
        self.answer = answer

    async def event(self) -> tuple[str, str, dict]:
        fields: dict[str, str] = {}
        while True:
            line = (await asyncio.wait_for(self.answer.content.readline(), 30)).decode()
            assert line, "the stream ended"
            if line == "\n" and fields:
                return fields["event"], fields["id"], json.loads(fields["data"])
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value

    async def until(self, kind: str) -> tuple[str, dict]:
        while True:
            seen, number, data = await self.event()
            if seen == kind:
                return number, data


def listening(site, path: str = "/api/v1/events", **headers: str):
    return site.client.get(site.server.url + path, headers=headers)


async def test_a_snapshot_then_what_happens(site):
    async with listening(site) as answer:
        assert answer.content_type == "text/event-stream"
        assert answer.headers["X-Accel-Buffering"] == "no"
        listener = Listener(answer)
        kind, _, snapshot = await listener.event()
        await site.controller.subscribed.wait()

        site.controller.observe(action=Action.ROLLBACK, sentence="4 of 57 failed")
        _, said = await listener.until("announcement")
        _, now = await listener.until("status")

    assert kind == "snapshot"
    assert {"flight-delay", "churn"} == set(snapshot["rollouts"])
    assert said["text"] == "4 of 57 failed"
    assert (now["rollout"]["phase"], now["rollout"]["weight_bp"]) == ("rolled_back", 0)


async def test_who_comes_back_gets_what_was_missed_and_no_snapshot(site):
    async with listening(site) as answer:
        _, last, _ = await Listener(answer).event()
        await site.controller.subscribed.wait()
    site.controller.observe(action=Action.ROLLBACK, sentence="missed")

    async with listening(site, **{"Last-Event-ID": last}) as answer:
        kind, _, data = await Listener(answer).event()

    assert (kind, data["text"]) == ("announcement", "missed")


@pytest.mark.parametrize("last", ["", "garbage", "deadbeef-3", "-", "x-99999"])
async def test_an_id_of_another_life_gets_a_snapshot(site, last):
    async with listening(site, **{"Last-Event-ID": last}) as answer:
        kind, _, _ = await Listener(answer).event()

    assert kind == "snapshot"


async def test_only_one_route_if_asked(site):
    async with listening(site, "/api/v1/events?route=churn") as answer:
        _, _, snapshot = await Listener(answer).event()

    assert snapshot["rollouts"] == {"churn": None}
    assert (await site.get("/api/v1/events?route=nope")).status == 404


async def test_silence_is_filled_with_comments(monkeypatch):
    monkeypatch.setattr("router.admin.handlers.LOOK_S", 0.02)
    monkeypatch.setattr("router.admin.handlers.COMMENT_S", 0.02)
    async with running(Admin(listen="127.0.0.1:0")) as site, listening(site) as answer:
        await Listener(answer).event()
        while line := await asyncio.wait_for(answer.content.readline(), 30):
            if line.startswith(b":"):
                break

    assert line == b": still here\n"


async def test_a_fault_in_one_look_does_not_end_the_stream(site, monkeypatch):
    monkeypatch.setattr(stream, "STATUS_S", 0.01)
    good = site.controller.routes

    def broken_once():
        site.controller.routes = good
        raise RuntimeError("a bug")

    async with listening(site) as answer:
        listener = Listener(answer)
        await listener.event()
        site.controller.routes = broken_once
        _, now = await listener.until("status")

    assert now["route"] in ("flight-delay", "churn")


async def test_listeners_are_counted_and_bounded(site, monkeypatch):
    monkeypatch.setattr("router.admin.handlers.LISTENERS_MAX", 1)
    async with listening(site) as answer:
        await Listener(answer).event()

        refused = await site.get("/api/v1/events")

        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    async with asyncio.timeout(30):
        while site.server._hub.listeners:
            await asyncio.sleep(0.01)


async def test_the_place_of_one_that_left_in_silence_is_free_again(site, monkeypatch):
    monkeypatch.setattr("router.admin.handlers.LOOK_S", 0.02)
    async with listening(site) as answer:
        await Listener(answer).until("status")
        while site.server._hub.newest < 2:  # both routes are told; nothing more will be said
            await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        while site.server._hub.listeners:
            await asyncio.sleep(0.01)


async def test_closing_ends_every_stream():
    async with running(Admin(listen="127.0.0.1:0")) as site, listening(site) as answer:
        await Listener(answer).event()
        async with asyncio.timeout(30):
            await site.server.close()

        assert await answer.content.read() == b""


async def test_new_tokens_end_the_streams_of_the_old_ones(site):
    async with listening(site) as answer:
        await Listener(answer).event()

        site.server.update(Admin(listen="127.0.0.1:0", tokens=TOKENS))

        assert await asyncio.wait_for(answer.content.read(), 30) == b""
    assert (await site.get("/api/v1/events")).status == 401


async def test_a_listener_that_fell_behind_gets_a_snapshot_and_memory_stays_bounded():
    hub = Hub(FakeController())
    position = hub.newest
    for number in range(stream.RING_EVENTS + 1):
        hub._add("status", "churn", str(number).encode())

    assert hub.after(position) is None
    assert len(hub.after(position + 1)) == stream.RING_EVENTS
    assert len(hub._ring) == stream.RING_EVENTS
    assert hub.position(f"{hub._epoch}-0") is None
    assert hub.position(f"{hub._epoch}-1") == 1
