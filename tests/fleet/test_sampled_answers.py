"""Predictions that users were given through Envoy: read as they pass, judged by the same gates."""

import asyncio
import os
import re
import signal
import socket
from contextlib import asynccontextmanager

import pytest

from tests.fleet.kit import (
    INFER,
    NEEDS_ENVOY,
    PREDICT,
    Callers,
    EnvoyLab,
    begun,
    called,
    metrics,
    some,
)
from tests.live.kit import Clients, route
from tests.protobuf import framed

pytestmark = [*NEEDS_ENVOY, pytest.mark.xdist_group("sampled")]

HALF = "{canary: {steps: [{weight: 50%, hold: 1h}]}}"
QUICK = "{canary: {steps: [{weight: 50%, hold: 2s}], bake: 1s}}"
GATES = "[error_rate, {scores: {}}]"
STICKY = "sticky: {header: X-User-Id}"
PAYLOADS = {INFER: "open_inference_grpc", PREDICT: "tensorflow_grpc"}
LOOSE = "detect: {times: 20, points: 40%}"


def sampled(strategy=HALF, *, share="100%", gates=GATES, payload="open_inference_v2", head="",
            **more):  # fmt: skip
    read = f"payload: {payload}\npredictions: {{sample: {share}, score: y, range: [0, 1]}}\n{head}"
    return route(strategy, gates=gates, head=read, **more)


@pytest.fixture
async def lab(tmp_path):
    async with EnvoyLab(tmp_path) as one:
        yield one


async def told(life, result="read"):
    """Samples by version."""
    said = await metrics(life)
    pattern = rf'samples_total\{{route="r",version="(\w+)",result="{result}"\}} (\d+)'
    return {version: int(number) for version, number in re.findall(pattern, said)}


@pytest.mark.parametrize(("share", "head"), [("100%", ""), ("20%", STICKY)])
async def test_what_users_are_given_takes_a_candidate_back(lab, share, head):
    lab.versions["v2"].value = b"0.75"
    lab.write(sampled(share=share, head=head))
    await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=300, users=100_000) as clients:
        said = await lab.until("rolled_back", seconds=60)
    assert said["reason"].startswith("scores: ")
    assert "mean 0.75 against 0.25" in said["reason"]
    assert {status for _, status, _ in clients.answers} == {200}
    assert clients.lost == 0


async def test_a_candidate_that_predicts_the_same_is_promoted(lab):
    lab.write(sampled(QUICK, more=LOOSE))
    life = await lab.start()
    async with Clients(lab.port, per_s=200) as clients:
        said = await lab.until("completed", seconds=60)
    (scores,) = [gate for gate in said["gates"] if gate["gate"] == "scores"]
    assert scores["candidate"]["total"] > 50 < scores["stable"]["total"]
    assert set(await told(life)) == {"v1", "v2"}
    assert clients.lost == 0


@pytest.mark.parametrize("method", [INFER, PREDICT])
async def test_predictions_of_calls_are_read_as_well(tmp_path, method):
    pytest.importorskip("grpc", reason="needs grpcio: pip install '.[fleet]'")
    async with called(tmp_path) as lab:
        for version in lab.versions.values():
            version.says = 0.25
        path = method.rpartition("/")[0] + "/*"
        lab.write(sampled(payload=PAYLOADS[method]).replace("path: /r*", f"path: {path}"))
        life = await lab.start()
        await begun(lab)
        async with Callers(lab.port, per_s=200, method=method) as callers:
            await some(callers, "v2", 50)
            assert (await lab.status())["phase"] == "progressing"
            lab.versions["v2"].says = 0.75
            said = await lab.until("rolled_back", seconds=60)
        assert said["reason"].startswith("scores: ")
        assert set(callers.got) == {"v1", "v2"}
        assert not await told(life, "unreadable")


async def test_an_answer_of_stable_in_a_failed_ones_place_is_not_the_candidates(lab):
    lab.versions["v2"].value = b"0.75"
    lab.versions["v2"].bad = 0.3
    gates = "[{error_rate: {tolerance: {relative: 0%, absolute: 50%}}}, {scores: {}}]"
    lab.write(sampled(gates=gates, more="rescue: {on: [5xx], budget: 100%}"))
    await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=200) as clients:
        said = await lab.until("rolled_back", seconds=60)
    assert "mean 0.75 against 0.25" in said["reason"]
    assert {status for _, status, _ in clients.answers} == {200}


# --- bounds ---------------------------------------------------------------------------------------


@asynccontextmanager
async def held(pid):
    """A process that does not run."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_flood_loses_samples_and_no_request(lab):
    lab.write(sampled(more=LOOSE))
    life = await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=100_000, at_once=128) as clients:
        async with asyncio.timeout(60):
            while sum(clients.answers.values()) < 3_000:
                await asyncio.sleep(0.05)
        before = sum(clients.answers.values())
        async with held(lab.pid("agent")):
            async with asyncio.timeout(20):
                while sum(clients.answers.values()) < before + 1_000:
                    await asyncio.sleep(0.05)
    assert {status for _, status, _ in clients.answers} == {200}
    assert clients.lost == 0
    read = sum((await told(life)).values())
    assert 100 < read < sum(clients.answers.values()) - 500
    assert (await lab.status())["phase"] == "progressing"


async def test_answers_that_are_too_large_are_served_and_not_read(lab):
    for version in lab.versions.values():
        version.value = b" " * 3_000_000 + b"0.25"
    lab.write(sampled(more=LOOSE))
    life = await lab.start()
    await begun(lab)
    agent = lab.pid("agent")
    async with Clients(lab.port, per_s=50) as clients:
        async with asyncio.timeout(60):
            while len(await told(life, "lost")) < 2:
                await asyncio.sleep(0.1)
        for version in lab.versions.values():
            version.value = b"0.25"
        async with asyncio.timeout(60):
            while len(await told(life)) < 2:
                await asyncio.sleep(0.1)
    assert {status for _, status, _ in clients.answers} == {200}
    assert lab.pid("agent") == agent


async def test_a_killed_agent_costs_no_request_and_its_successor_reads_on(lab):
    lab.write(sampled(more=LOOSE))
    life = await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=200) as clients:
        async with asyncio.timeout(30):
            while len(await told(life)) < 2:
                await asyncio.sleep(0.05)
        first = lab.pid("agent")
        lab.kill_process("agent")
        async with asyncio.timeout(30):
            while lab.pid("agent") == first:
                await asyncio.sleep(0.05)
        lab.versions["v2"].value = b"0.75"
        said = await lab.until("rolled_back", seconds=60)
    assert said["reason"].startswith("scores: ")
    assert clients.lost == 0
    assert {status for _, status, _ in clients.answers} == {200}


async def test_whoever_speaks_nonsense_to_the_agent_is_cut_off_and_the_rest_is_read(lab):
    lab.versions["v2"].value = b"0.75"
    lab.write(sampled())
    await lab.start()
    await begun(lab)
    agent = lab.pid("agent")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    packed = bytes((0, 0, 50, 1, 4, 0, 0, 0, 1)) + b"\xff" * 50
    for said in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(5_000), preface + packed):
        assert until_closed(lab.sockets / "samples", said)
    huge = b"\x00\xff\xff\xff\xff"
    for data in (b"\x07" * 5_000, framed(b"\xff" * 50), framed(b"", 1), huge):
        assert until_ended(lab.sockets / "samples", data) == b"0"
    async with Clients(lab.port, per_s=200):
        assert (await lab.until("rolled_back", seconds=60))["reason"].startswith("scores: ")
    assert lab.pid("agent") == agent


def until_closed(path, said):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(20)
        one.connect(str(path))
        try:
            one.sendall(said)
            while one.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        return True


def until_ended(path, data):
    """What the agent says at the end of a stream with this in it."""
    import h2.connection
    import h2.events

    client = h2.connection.H2Connection()
    client.initiate_connection()
    service = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
    head = [(":method", "POST"), (":path", service), (":scheme", "http"), (":authority", "x")]
    client.send_headers(1, head)
    client.send_data(1, data)
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(20)
        one.connect(str(path))
        one.sendall(client.data_to_send())
        while more := one.recv(1 << 16):
            for event in client.receive_data(more):
                if isinstance(event, h2.events.ResponseReceived):
                    return dict(event.headers)[b"grpc-status"]
    return None
