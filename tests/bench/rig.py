"""The real data path without sockets: what a request and its answer cost in the router's own code.

    python -m tests.bench.rig [CASE ...]       µs per request, best of 25 bursts taken in turn
    python -m tests.bench.rig --count N CASE   N requests (at most 3,000) behind 1,500 others, under
                                               callgrind: two runs differ in requests alone

The guard (`test_cost.py`) counts instructions with the same rig.
"""

import asyncio
import random
import socket
import sys
import time

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.protection import QuotaEntry
from router.core.wire.table import (
    MatchEntry,
    RouteEntry,
    RoutingTable,
    StickyEntry,
    StickyKind,
    VersionEntry,
)
from router.proxy.downstream import Downstream
from router.proxy.plane import DataPlane, Listen
from router.telemetry.recorder import Recorder
from router.upstream import Connection

USERS = 100_000
SHORT = (
    b"POST /v2/models/flight-delay/infer HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: test\r\n"
    b"Accept: */*\r\nContent-Type: application/json\r\nX-User-Id: user-%d\r\n"
    b"X-Request-Id: id-%d\r\nContent-Length: 1024\r\n\r\n"
)
"""Seven lines."""
LONG = (
    b"POST /v2/models/flight-delay/infer HTTP/1.1\r\nHost: flights.example.org\r\n"
    b"User-Agent: python-requests/2.32.3\r\nAccept: application/json\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nContent-Type: application/json\r\n"
    b"X-User-Id: user-%d\r\nX-Request-Id: %032x\r\ntraceparent: 00-%032x-%016x-01\r\n"
    b"X-Country: DE\r\nContent-Length: 1024\r\n\r\n"
)
"""Ten lines and a trace, as behind a gateway."""
BODY = b"x" * 1024
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: model\r\nDate: Sat, 21 Nov 2026 05:%02d:%02d GMT\r\n"
    b"Content-Type: application/json\r\n%bContent-Length: 244\r\n\r\n"
)
ANSWERS_A_SECOND = 1_000


def short(number):
    """A request with an id and a user of its own."""
    return SHORT % (_user(number), number) + BODY


def long(number):
    """The same with a trace of its own too."""
    own = random.Random(number)
    ids = own.getrandbits(128), own.getrandbits(128) | 1, own.getrandbits(64) | 1
    return LONG % (_user(number), *ids) + BODY


def _user(number):
    return number * 7_919 % USERS


def answer(number, *, differ=False, a_second=ANSWERS_A_SECOND):
    """An answer, of another second now and then; ``differ``: with an id and a time of its own."""
    minute, second = divmod(number // a_second, 60)
    own = b"X-Inference-Id: %032x\r\nX-Inference-Time-Ms: %d\r\n" % (
        random.Random(number).getrandbits(128), number % 90 + 10,
    ) if differ else b""  # fmt: skip
    return ANSWER % (minute % 60, second, own) + b"y" * 244


class Wire:
    """A transport without IO: what is written is handed to ``on_write``."""

    def __init__(self, on_write=lambda data: None):
        self.write = on_write
        self._socket = socket.socketpair()

    def get_extra_info(self, name):
        return {"peername": ("127.0.0.1", 1), "socket": self._socket[0]}.get(name)

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return False

    def set_write_buffer_limits(self, high):
        pass

    pause_reading = resume_reading = close = abort = lambda self: None


def entry(*, candidate=True, sticky=True, quota=False, receipts=False):
    """A route; ``candidate``: 5 % of it go to a second version, with three thresholds.

    ``quota``: one that no user ever reaches, so that what remains is what it costs.
    ``receipts``: each answer carries one, as where labels are told.
    """
    endpoints = (EndpointEntry("127.0.0.1", 9),)
    versions = tuple(VersionEntry(name, endpoints, keep_alive_s=3_600.0) for name in ("v1", "v2"))
    more = {"candidate": 1, "rollout_id": "r-1", "revision": 1, "thresholds_s": (0.1, 0.2, 0.5)}
    return RouteEntry(
        "flight-delay", MatchEntry(path="/v2/*"), versions, 0,
        weights_bp=(9_500, 500) if candidate else (10_000, 0),
        sticky=StickyEntry(StickyKind.HEADER, "x-user-id") if sticky else None,
        quota=QuotaEntry("x-user-id", 1_000, 10**9, 4 * 10**9) if quota else None,
        receipt_secret="a secret of this rig alone" if receipts else "",
        **(more if candidate else {}),
    )  # fmt: skip


class Rig:
    """One client connection, one connection to each version, the plane between them."""

    def __init__(self, sent=None, **policy):
        self.plane = DataPlane(Recorder(), Listen("127.0.0.1", 0))
        self.plane.apply(RoutingTable(1, (entry(**policy),)))
        self.answered = []
        self.pending = []
        self.sent = sent
        self.client = Downstream(self.plane)
        self.client.connection_made(Wire(self.answered.append))
        for version in self.plane.serving.routes[0].versions:
            connection = Connection(version.pool, version.pool.endpoints[0])
            connection.connection_made(Wire(self._writer(connection)))
            version.pool.open += 1
            version.pool.release(connection)

    def _writer(self, connection):
        pending, sent = self.pending, self.sent

        def write(data):
            pending.append(connection)
            if sent is not None:
                sent.append(data)

        return write

    def exchange(self, request, answer):
        """One request, and the answer to each that went on."""
        self.client.data_received(request)
        while self.pending:
            self.pending.pop().data_received(answer)


BURST, BURSTS = 800, 25
WARM, COUNTED_MAX = 1_500, 3_000
CASES = {
    "short head repeats": (lambda n: short(1), answer),
    "long head repeats": (lambda n: long(1), answer),
    "short head differs": (short, answer),
    "long head differs": (long, answer),
    "long head and answer differ": (long, lambda n: answer(n, differ=True)),
    "the same, no rollout": (
        long,
        lambda n: answer(n, differ=True),
        {"candidate": False, "sticky": False},
    ),
    "the same, receipts": (long, lambda n: answer(n, differ=True), {"receipts": True}),
    "long head repeats, answer differs": (lambda n: long(1), lambda n: answer(n, differ=True)),
    "short head differs, 500 users": (lambda n: short(n % 500), answer),
    "the same with a quota": (lambda n: short(n % 500), answer, {"quota": True}),
    "short head differs, a quota": (short, answer, {"quota": True}),
}
"""Name: request and answer of a number, and what is asked of the route."""


async def main(names):
    best = dict.fromkeys(names, 1e9)
    rigs = {name: Rig(**(CASES[name][2] if CASES[name][2:] else {})) for name in names}
    for burst in range(25):
        for name in names:
            one, two = CASES[name][:2]
            numbers = range(burst * BURST, burst * BURST + BURST)
            pairs = [(one(n), two(n)) for n in numbers]
            client, pending = rigs[name].client, rigs[name].pending
            began = time.process_time_ns()
            for request, reply in pairs:
                client.data_received(request)
                pending.pop().data_received(reply)
            spent = (time.process_time_ns() - began) / BURST / 1_000
            best[name] = min(best[name], spent)
            rigs[name].answered.clear()
    from router.http1 import parser

    print("pure" if parser.__file__.endswith(".py") else "compiled")
    for name, spent in best.items():
        print(f"{name:40s}{spent:8.2f} µs")


async def count(case, requests):
    """So many requests; all messages are made before, however many are used."""
    one, two, *policy = CASES[case]
    rig = Rig(**(policy[0] if policy else {}))
    pairs = [(one(n), two(n)) for n in range(WARM + COUNTED_MAX)]
    for request, reply in pairs[: WARM + requests]:
        rig.client.data_received(request)
        rig.pending.pop().data_received(reply)
        rig.answered.clear()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--count"]:
        asyncio.run(count(sys.argv[3], int(sys.argv[2])))
    else:
        asyncio.run(main(sys.argv[1:] or list(CASES)))
