"""R54: what a version answers to a copy ends nothing, holds nobody up, and is read elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import signal
import sys
import time

import aiohttp
import pytest

from tests.ports import free_port
from tests.reliability.whole import promised

N = b"9" * 400
HOSTILE = (
    b'{"y":%s}' % N,
    b'{"y":[%s,%s,%s]}' % (N, N, N),
    b'{"\\ud800":"\\ud800"}',
    b'{"outputs":[{"name":"y","shape":[0,10000000000],"datatype":"FP64","data":[]}]}',
    b"[" * 500_000,
    b"[" + b"[]," * 300_000 + b"[]]",
    gzip.compress(b"[" + b"[]," * 1_390_000 + b"[]]", 9),
    b"\x1f\x8b\x08\x00garbage",
    b'{"y":"\xff\xfe"}',
    b"",
)

POLICY = """
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{admin}"}}
store: sqlite:///{folder}/r.db
routes:
  - name: s
    match: {{path: /s}}
    payload: json
    versions: {{v1: {{endpoints: ["{good}"]}}, v2: {{endpoints: ["{hostile}"]}}}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{mirror: 100%, hold: 1h}}]}}}}
      gates: [{{agreement: {{dry_run: true}}}}]
  - name: r
    match: {{path: /x}}
    versions: {{v1: {{endpoints: ["{good}"]}}, v2: {{endpoints: ["{failing}"]}}}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 50%, hold: 1h}}]}}}}
"""


class Site:
    """A server whose answer is made by ``answer()``: status, more header lines, body."""

    def __init__(self, answer):
        self.answer = answer

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = dict(
                    line.lower().split(": ", 1)
                    for line in head.decode("latin-1").split("\r\n")[1:-2]
                )
                await reader.readexactly(int(lines.get("content-length", 0)))
                status, more, body = self.answer()
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % status
                    + b"%bContent-Length: %d\r\n\r\n%b" % (more, len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def whole(tmp_path):
    sent, failing = [0], [False]

    def hostile():
        sent[0] += 1
        body = HOSTILE[sent[0] % len(HOSTILE)]
        coded = b"Content-Encoding: gzip\r\n" if body.startswith(b"\x1f\x8b") else b""
        return 200, coded, body

    async with (
        Site(lambda: (200, b"", b'{"y": 1}')) as good,
        Site(hostile) as bad,
        Site(lambda: (500 if failing[0] else 200, b"", b"{}")) as failing_site,
    ):
        port, admin = free_port(), free_port()
        (tmp_path / "p.yaml").write_text(
            POLICY.format(
                port=port, admin=admin, folder=tmp_path, good=good.url, hostile=bad.url,
                failing=failing_site.url,
            )
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "router.main", str(tmp_path / "p.yaml"), "--log", "json",
            stderr=(tmp_path / "log").open("wb"),
        )  # fmt: skip
        base, api = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        async with aiohttp.ClientSession() as session:

            async def ask(url, **more):
                async with session.request(more.pop("method", "GET"), url, **more) as answer:
                    text = await answer.text()
                    return answer.status, json.loads(text) if text.startswith("{") else text

            await until(lambda: ready(ask, api))
            yield ask, base, api, failing, process
        assert process.returncode is None, (tmp_path / "log").read_text()[-2_000:]
        process.terminate()
        await process.wait()


async def ready(ask, api):
    try:
        return (await ask(f"{api}/readyz"))[0] == 200
    except aiohttp.ClientError:
        return False


async def until(condition, within_s=60):
    """A key that is not told yet is waited for as well."""
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(LookupError):
                if found := await condition():
                    return found
            await asyncio.sleep(0.05)


async def test_r54_hostile_answers_of_a_copy_delay_no_rollback_and_no_order(whole):
    ask, base, api, failing, _ = whole
    stop, bad = asyncio.Event(), []

    async def load(path, gap_s):
        while not stop.is_set():
            status, _ = await ask(base + path, method="POST", data=b"{}")
            if status == 500:
                bad.append(path)
            await asyncio.sleep(gap_s)

    loads = [asyncio.create_task(load("/s", 0.02)), asyncio.create_task(load("/x", 0.01))]
    try:

        async def compared():
            _, health = await ask(f"{api}/healthz")
            _, told = await ask(f"{api}/api/v1/rollouts/s/shadow")
            return health["reader"]["pid"] and told["versions"]["v2"]["pairs"] > 2 * len(HOSTILE)

        await until(compared)
        began = time.monotonic()
        failing[0] = True

        async def back():
            return (await ask(f"{api}/api/v1/rollouts/r"))[1]["phase"] == "rolled_back"

        await until(back)
        took_s = time.monotonic() - began
        began = time.monotonic()
        order = {"method": "POST", "json": {"reason": "enough"}}
        status, _ = await ask(f"{api}/api/v1/rollouts/s/abort", **order)
        order_s = time.monotonic() - began
    finally:
        stop.set()
        await asyncio.gather(*loads)
    print(
        f"taken back after {took_s:.2f} s and {len(bad)} bad answers; order after {order_s:.3f} s"
    )
    assert status == 200
    assert set(bad) == {"/x"}
    assert took_s < promised(1.0)
    assert order_s < promised(0.2)
    _, health = await ask(f"{api}/healthz")
    assert health["problems"] == []


async def test_r54_orders_are_answered_as_fast_as_without(whole):
    """Forty orders without hostile answers, forty while 50 a second come: medians and the ratio."""
    ask, base, api, _, _ = whole
    stop = asyncio.Event()

    async def load(path, gap_s):
        while not stop.is_set():
            await ask(base + path, method="POST", data=b"{}")
            await asyncio.sleep(gap_s)

    async def orders():
        took = []
        for number in range(40):
            began = time.monotonic()
            verb = "resume" if number % 2 else "pause"
            order = {"method": "POST", "json": {"reason": "measured"}}
            assert (await ask(f"{api}/api/v1/rollouts/r/{verb}", **order))[0] == 200
            took.append(time.monotonic() - began)
        return sorted(took)

    async def compared():
        _, told = await ask(f"{api}/api/v1/rollouts/s/shadow")
        return told["versions"]["v2"]["pairs"] > 2 * len(HOSTILE)

    loads = [asyncio.create_task(load("/x", 0.01))]
    try:
        without = await orders()
        loads.append(asyncio.create_task(load("/s", 0.02)))
        await until(compared)
        beside = await orders()
    finally:
        stop.set()
        await asyncio.gather(*loads)
    ratio = beside[20] / without[20]
    print(
        f"an order: median {without[20] * 1e3:.1f} ms and at most {without[-1] * 1e3:.0f} without, "
        f"{beside[20] * 1e3:.1f} and {beside[-1] * 1e3:.0f} beside hostile answers: {ratio:.2f} x"
    )
    assert ratio < promised(3.0)


async def test_r54_a_reader_that_is_killed_is_replaced_and_costs_pairs_only(whole):
    ask, base, api, _, _ = whole

    async def reader():
        assert (await ask(f"{base}/s", method="POST", data=b"{}"))[0] == 200
        return (await ask(f"{api}/healthz"))[1]["reader"]["pid"]

    first = await until(reader)
    os.kill(first, signal.SIGKILL)

    async def other():
        return await reader() not in (0, first)

    await until(other)
    _, metrics = await ask(f"{api}/metrics")
    assert "rampway_reader_restarts_total 1" in metrics
