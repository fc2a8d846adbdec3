"""Receipts from the real data plane: each answer says how its request was routed."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.receipt import Chosen, opened
from router.core.wire.table import (
    MatchEntry,
    Mirror,
    RescueEntry,
    RouteEntry,
    RoutingTable,
    StickyEntry,
    StickyKind,
    VersionEntry,
)
from router.core.words import FULL_BP
from router.proxy.plane import DataPlane, Listen
from router.telemetry.recorder import Recorder

SECRET = "only-for-these-tests"


async def backend(status):
    async def answer(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)

    async def quietly(reader, writer):
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return await asyncio.start_server(quietly, "127.0.0.1", 0)


@pytest.fixture
async def serve():
    made = []

    async def start(*, weights, statuses=(200, 200, 200), **fields):
        servers = [await backend(status) for status in statuses]
        versions = tuple(
            VersionEntry(f"v{i + 1}", (EndpointEntry("127.0.0.1", s.sockets[0].getsockname()[1]),))
            for i, s in enumerate(servers)
        )
        values = {"candidate": 1, "rollout_id": "r-1", "revision": 7, "receipt_secret": SECRET}
        entry = RouteEntry("r", MatchEntry(), versions, 0, weights_bp=weights, **(values | fields))
        plane = DataPlane(Recorder(lambda: None), Listen("127.0.0.1", 0))
        assert plane.apply(RoutingTable(1, (entry,)))
        await plane.start()
        made.append((plane, servers))
        return plane

    yield start
    for plane, servers in made:
        await plane.close()
        for server in servers:
            server.close()


async def ask(plane, count=1, **headers):
    """The receipts of some requests (None where an answer has none), on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    found = []
    for _ in range(count):
        writer.write(f"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{lines}\r\n".encode())
        async with asyncio.timeout(30):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        text = fields.get("X-Rampway-Receipt")
        receipt = opened(text, SECRET) if text else None
        assert receipt is None or receipt.version == fields["X-Rampway-Version"]
        found.append(receipt)
    writer.close()
    return found


async def test_drawn_arms_carry_the_weight_between_the_two_that_are_compared(serve):
    plane = await serve(weights=(4_000, 4_000, 2_000))
    receipts = await ask(plane, 200)
    arms = Counter(r.arm for r in receipts)
    assert set(arms) == {Chosen.CANDIDATE, Chosen.STABLE, Chosen.OTHER}
    assert {r.weight_bp for r in receipts} == {5_000}, "40 % of the 80 % that both share"
    assert {(r.route, r.revision, r.unit) for r in receipts} == {("r", 7, 0)}
    by_arm = {r.arm: r.version for r in receipts}
    assert by_arm == {Chosen.STABLE: "v1", Chosen.CANDIDATE: "v2", Chosen.OTHER: "v3"}
    assert len({r.nonce for r in receipts}) == 200


async def test_pins_and_rescues_are_forced(serve):
    plane = await serve(weights=(FULL_BP, 0, 0), pin=True, pinnable=(0, 1, 2))
    (pinned,) = await ask(plane, X_Rampway_Pin="v2")
    assert (pinned.arm, pinned.version) == (Chosen.FORCED, "v2")

    plane = await serve(
        weights=(0, FULL_BP, 0), statuses=(200, 500, 200), rescue=RescueEntry(statuses=(5,))
    )
    (rescued,) = await ask(plane)
    assert (rescued.arm, rescued.version) == (Chosen.FORCED, "v1")


async def test_a_sticky_user_is_named_by_a_hash(serve):
    plane = await serve(
        weights=(5_000, 5_000, 0), sticky=StickyEntry(StickyKind.HEADER, "x-user-id")
    )
    one = await ask(plane, 3, X_User_Id="ann")
    other = await ask(plane, X_User_Id="bob")
    assert len({r.unit for r in one}) == 1
    assert one[0].unit not in (0, other[0].unit)


async def test_without_feedback_there_are_none(serve):
    plane = await serve(weights=(5_000, 5_000, 0), receipt_secret="")
    assert await ask(plane, 3) == [None] * 3


async def test_a_mirrored_request_and_its_receipt_are_found_by_one_number(serve):
    plane = await serve(weights=(FULL_BP, 0, 0), mirrors=(Mirror(1, FULL_BP),))
    receipts = await ask(plane, 20)
    async with asyncio.timeout(30):
        while plane.mirrors.active:
            await asyncio.sleep(0.01)
    pairs, _ = plane.recorder.take_pairs()
    assert {pair.nonce for pair in pairs} == {r.nonce for r in receipts}
    assert len(pairs) == 20
