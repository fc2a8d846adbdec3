"""Live requests that are sampled, from the real data plane: drawn blindly, told once, in bounds."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.outcomes import Outcome
from router.core.wire.sampled import SamplingEntry
from router.core.wire.table import (
    MatchEntry,
    Mirror,
    MirrorLimits,
    RescueEntry,
    RouteEntry,
    RoutingTable,
    StickyEntry,
    StickyKind,
    VersionEntry,
)
from router.proxy.plane import DataPlane, Listen
from router.proxy.sampling import Sampling
from router.telemetry import recorder as recorder_
from router.telemetry.recorder import Recorder
from tests.proxy.rig import until

ALL = SamplingEntry(10_000, ("x-country",))
EVEN = (5_000, 5_000)


async def backend(status, body):
    async def answer(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = dict(x.split(": ", 1) for x in head.decode().split("\r\n")[1:] if x)
            await reader.readexactly(int(fields.get("Content-Length", 0)))
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % (status, len(body))
            )
            await asyncio.sleep(0)
            writer.write(body)

    async def quietly(reader, writer):
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return await asyncio.start_server(quietly, "127.0.0.1", 0)


@pytest.fixture
async def serve():
    made = []

    async def start(*, weights=EVEN, answers=((200, b"1"), (200, b"2")), **fields):
        servers = [await backend(*answer) for answer in answers]
        versions = tuple(
            VersionEntry(f"v{i + 1}", (EndpointEntry("127.0.0.1", s.sockets[0].getsockname()[1]),))
            for i, s in enumerate(servers)
        )
        values = {"candidate": 1, "rollout_id": "r-1", "revision": 7, "sampling": ALL}
        entry = RouteEntry("r", MatchEntry(), versions, 0, weights_bp=weights, **(values | fields))
        plane = DataPlane(Recorder(lambda: None, source=3), Listen("127.0.0.1", 0))
        assert plane.apply(RoutingTable(1, (entry,)))
        await plane.start()
        made.append((plane, servers))
        return plane

    yield start
    for plane, servers in made:
        await plane.close()
        for server in servers:
            server.close()


async def ask(plane, count=1, body=b"{}", path="/x?q=1", **headers):
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    for _ in range(count):
        writer.write(head.encode() + body)
        async with asyncio.timeout(30):
            fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
            length = dict(x.split(": ", 1) for x in fields if x)["Content-Length"]
            await reader.readexactly(int(length))
    writer.close()


def drawn(plane):
    """Sampled of the candidate and of stable, by the cells."""
    total = Counter()
    for batch in plane.recorder.delta().batches:
        for cell in batch.cells:
            total["c"] += cell.candidate.sampled
            total["s"] += cell.stable.sampled
    return total


async def test_each_is_told_once_with_both_bodies_and_its_draw(serve):
    plane = await serve()
    await ask(plane, 40, b'{"a": 1}', X_Country="se", Content_Type="application/json")
    samples = plane.recorder.take_samples()
    assert len(samples) == 40
    assert Counter(one.arm for one in samples) == drawn(plane)
    for one in samples:
        assert one.answer == {"v1": b"1", "v2": b"2"}[one.version]
        assert one.role == {"v1": "stable", "v2": "candidate"}[one.version]
        assert (one.request, one.segments) == (b'{"a": 1}', ("se",))
        assert (one.revision, one.weight_bp, one.source, one.status) == (7, 5_000, 3, 200)
        assert one.counted
        assert one.slice > 0

        assert one.outcome == Outcome.OK
        assert not one.cut
    assert plane.recorder.take_samples() == ()
    assert (plane.recorder.sample_bytes, plane.recorder.samples_open) == (0, 0)


@pytest.mark.parametrize(
    ("path", "payload"), [("/v1/m:predict", "v1"), ("/v1/own?a", "csv"), ("/v10", "")]
)
async def test_a_path_may_have_a_payload_of_its_own(serve, path, payload):
    """Samples and pairs say it; where none is said, the route's own holds."""
    entry = {"payload_paths": (("/v1/own", "csv"), ("/v1/*", "v1")), "payload": "json"}
    plane = await serve(weights=(10_000, 0), mirrors=(Mirror(1, 10_000),), **entry)
    await ask(plane, path=path)
    assert [one.payload for one in plane.recorder.take_samples()] == [payload]
    pairs = []
    await until(lambda: pairs.extend(plane.recorder.take_pairs()[0]) or pairs)
    assert [one.payload for one in pairs] == [payload]


async def test_what_is_not_sampled_leaves_nothing(serve):
    plane = await serve(sampling=SamplingEntry(0))
    await ask(plane, 5)
    assert plane.recorder.take_samples() == ()
    assert drawn(plane) == {"c": 0, "s": 0}


async def test_the_coin_knows_nothing_of_the_arm_or_the_outcome(serve):
    """One in two of each arm, though one of them fails each time."""
    plane = await serve(sampling=SamplingEntry(5_000), answers=((200, b"1"), (500, b"")))
    for _ in range(8):
        await ask(plane, 50)
    samples = plane.recorder.take_samples()
    arms = Counter(one.arm for one in samples)
    assert 60 < arms["c"] < 140, arms
    assert 60 < arms["s"] < 140, arms
    assert {one.status for one in samples if one.arm == "c"} == {500}


async def test_a_rescued_one_is_the_candidates_without_an_answer(serve):
    rescue = RescueEntry(statuses=(5,))
    plane = await serve(weights=(0, 10_000), answers=((200, b"1"), (500, b"")), rescue=rescue)
    await ask(plane, 3)
    samples = plane.recorder.take_samples()
    assert [(one.version, one.status, one.answer) for one in samples] == [("v2", 500, b"")] * 3


async def test_what_is_too_large_is_told_without_bodies(serve):
    limits = MirrorLimits(body_bytes=100)
    plane = await serve(answers=((200, b"x" * 200), (200, b"y" * 200)), mirror_limits=limits)
    await ask(plane, 2)
    samples = plane.recorder.take_samples()
    assert {(one.cut, one.answer, one.status) for one in samples} == {("body", b"", 200)}
    plane = await serve(mirror_limits=limits)
    await ask(plane, 2, b"z" * 200)
    assert {one.cut for one in plane.recorder.take_samples()} == {"body"}
    assert plane.recorder.sample_bytes == 0


async def test_beyond_the_bounds_nothing_is_sampled_and_the_cells_agree(serve, monkeypatch):
    monkeypatch.setattr(recorder_, "SAMPLES_MAX", 5)
    plane = await serve()
    plane.recorder.take_samples()
    await ask(plane, 20)
    assert len(plane.recorder.take_samples()) == 5
    assert sum(drawn(plane).values()) == 5
    await ask(plane, 2)
    assert len(plane.recorder.take_samples()) == 2, "room again"


async def test_without_room_for_bytes_bodies_are_shed(serve, monkeypatch):
    monkeypatch.setattr("router.proxy.sampling.SAMPLE_BYTES_MAX", 3)
    plane = await serve()
    await ask(plane, 1, b"four")
    assert [one.cut for one in plane.recorder.take_samples()] == ["shed"]
    assert plane.recorder.sample_bytes == 0


async def test_of_a_user_the_first_request_counts(serve):
    plane = await serve(sticky=StickyEntry(StickyKind.HEADER, "x-user"))
    await ask(plane, 3, X_User="ann")
    await ask(plane, 2, X_User="bob")
    samples = plane.recorder.take_samples()
    assert [(one.key, one.counted) for one in samples] == [
        ("ann", True), ("ann", False), ("ann", False), ("bob", True), ("bob", False),
    ]  # fmt: skip
    assert sum(drawn(plane).values()) == 2
    assert len({one.unit for one in samples}) == 2


async def test_a_pin_is_told_and_is_no_evidence(serve):
    plane = await serve(weights=(10_000, 0), pin=True, pinnable=(0, 1))
    await ask(plane, 1, X_Rampway_Pin="v2")
    (one,) = plane.recorder.take_samples()
    assert (one.version, one.arm, one.counted) == ("v2", "f", False)


async def test_a_receipt_and_its_sample_have_one_nonce(serve):
    plane = await serve(receipt_secret="only-for-these-tests")
    await ask(plane)
    (one,) = plane.recorder.take_samples()
    assert one.nonce


def test_what_keeps_a_stream_alive_says_nothing(monkeypatch):
    """The first token is the first event with data; a comment does not end a silence."""
    clock = iter([1.0, 3.0, 3.5])
    monkeypatch.setattr("router.proxy.sampling.monotonic", lambda: next(clock))
    one = Sampling.__new__(Sampling)
    one._events, one._first, one._last, one._gap = True, 0.0, 0.0, 0.0
    ping = b": ping\n\n"
    for piece in (ping, b"data: a\n\n", b"", ping, b"data: b\n\n", b"data: c\n\n"):
        one._tell_time(piece)
    assert (one._first, one._gap) == (1.0, 2.0)


async def test_when_an_answer_began_is_told(serve):
    plane = await serve()
    await ask(plane, 4)
    told = plane.recorder.take_samples()
    assert len(told) == 4
    assert all(0.0 < one.first_s <= one.seconds + 1e-3 for one in told)
