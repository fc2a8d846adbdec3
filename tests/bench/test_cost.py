"""A guard against decay: Python instructions per proxied request, counted, not timed.

Timings on shared machines differ by a tenth from run to run; the number of bytecode instructions of
one request through the whole data path does not. It is compared with the number kept beside this
file; a change that costs more than 10 % fails here and either becomes cheaper or says why and
writes the new number (``python -m tests.bench.test_cost``).
"""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from router.core.wire.table import (
    Endpoint,
    Match,
    RouteEntry,
    RoutingTable,
    Sticky,
    StickyKind,
    VersionEntry,
)
from router.proxy.downstream import Downstream
from router.proxy.plane import DataPlane, Listen
from router.telemetry.recorder import Recorder
from router.upstream import Connection

KEPT = Path(__file__).with_name("cost.json")
ROOT = Path(__file__).parents[2]
REQUESTS = 200
TOLERATED = 1.10
REQUEST = (
    b"POST /v2/models/flight-delay/infer HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: test\r\n"
    b"Accept: */*\r\nContent-Type: application/json\r\nX-User-Id: user-%d\r\n"
    b"X-Request-Id: id-%d\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
)
TRACED = REQUEST.replace(
    b"\r\nContent-Length",
    b"\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa%08x-01\r\nContent-Length",
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: model\r\nDate: Sat, 21 Nov 2026 05:%02d:%02d GMT\r\n"
    b"Content-Type: application/json\r\n%bContent-Length: 244\r\n\r\n" + b"y" * 244
)
DATES = 100
"""Seconds whose answers have been seen before anything is counted."""


class Wire:
    """A transport without IO: what is written is handed to ``on_write``."""

    def __init__(self, on_write=lambda data: None):
        self.on_write = on_write
        self._socket = socket.socketpair()

    def write(self, data):
        self.on_write(data)

    def get_extra_info(self, name):
        return {"peername": ("127.0.0.1", 1), "socket": self._socket[0]}.get(name)

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return False

    def set_write_buffer_limits(self, high):
        pass

    pause_reading = resume_reading = close = abort = lambda self: None


def entry(*, candidate, sticky):
    versions = tuple(VersionEntry(name, (Endpoint("127.0.0.1", 9),)) for name in ("v1", "v2"))
    more = {"candidate": 1, "rollout_id": "r-1", "revision": 1, "thresholds_s": (0.1, 0.2, 0.5)}
    return RouteEntry(
        "flight-delay", Match(path="/v2/*"), versions, 0,
        weights_bp=(9_500, 500) if candidate else (10_000, 0),
        sticky=Sticky(StickyKind.HEADER, "x-user-id") if sticky else None,
        **(more if candidate else {}),
    )  # fmt: skip


def head_of(number, *, repeated=False, traced=False):
    """The head and body of a request.

    ``repeated``: always the same, as from a service that calls another; otherwise each has a user
    and an id of its own, as behind a gateway, and must be read anew.
    """
    user, ident = (1, 1) if repeated else (number % 50, number)
    return TRACED % (user, ident, 1 + ident) if traced else REQUEST % (user, ident)


def answer_to(number, *, differ=False):
    """An answer, of another second each twentieth time; ``differ``: with an id of its own."""
    minute, second = divmod(number // 20, 60)
    return ANSWER % (minute % 60, second, b"X-Inference-Id: %032x\r\n" % number if differ else b"")


async def instructions_per_request(*, repeated=False, traced=False, differ=False, **policy):
    """Bytecode instructions of one request and its answer, on warm connections.

    Counted is what comes after the answers of `DATES` seconds: whatever a process uses up in its
    first minute is used up.
    """
    plane = DataPlane(Recorder(), Listen("127.0.0.1", 0))
    plane.apply(RoutingTable(1, (entry(**policy),)))
    answered = []
    client = Downstream(plane)
    client.connection_made(Wire(answered.append))
    for version in plane.serving.routes[0].versions:
        connection = Connection(version.pool, version.pool.endpoints[0])
        connection.connection_made(Wire(lambda _data, c=connection: pending.append(c)))
        version.pool.open += 1
        version.pool.release(connection)
    pending = []

    def request(number):
        client.data_received(head_of(number, repeated=repeated, traced=traced))
        while pending:
            pending.pop().data_received(answer_to(number, differ=differ))

    warm = DATES * 20
    for number in range(warm):
        request(number)
    counted = 0

    def trace(frame, event, _argument):
        nonlocal counted
        if frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        for number in range(warm, warm + REQUESTS):
            request(number)
    finally:
        sys.settrace(old)
    assert len(answered) == warm + REQUESTS
    await asyncio.sleep(0)
    return counted / REQUESTS


FULL = {"candidate": True, "sticky": True}
CASES = {
    "no rollout": {"candidate": False, "sticky": False},
    "full policy": FULL,
    "full policy, repeated head": {**FULL, "repeated": True},
    "full policy, a trace": {**FULL, "traced": True},
    "full policy, a trace, answers differ": {**FULL, "traced": True, "differ": True},
}


def counted(case):
    """In a process of its own: what others have taught the caches would show."""
    code = f"""
import asyncio
from tests.bench.test_cost import CASES, instructions_per_request
print(asyncio.run(instructions_per_request(**CASES[{case!r}])))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return float(ran.stdout)


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="instructions are counted on Python 3.11"
)
@pytest.mark.parametrize("case", CASES)
def test_a_request_costs_no_more_instructions_than_it_did(case):
    kept, now = json.loads(KEPT.read_text())[case], counted(case)
    print(f"{case}: {now:.0f} instructions per request, kept {kept}")
    assert now <= kept * TOLERATED


if __name__ == "__main__":
    measured = {case: round(counted(case)) for case in CASES}
    KEPT.write_text(json.dumps(measured, indent=1) + "\n")
    print(measured)
