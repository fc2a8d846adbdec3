"""This tree beside an older commit, in one interleaved run: requests and decisions.

    python -m tests.bench.beside COMMIT [--rounds 15]

Both trees run the same driver (this file) with their own code, in turns, in processes of their
own. Told are, of each: µs and Python instructions of one request through the whole data path (the
full policy, repeated and different heads), and ms of one automatic rollback, from the last bad
answer to the table that takes the candidate's traffic away, and of the whole turn. Needs git and
the older commit.
"""

import argparse
import asyncio
import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUESTS, WARM = 4_000, 2_000
TRACED = 200
REQUEST = (
    b"POST /v2/models/flight-delay/infer HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: test\r\n"
    b"Accept: */*\r\nContent-Type: application/json\r\nX-User-Id: user-%d\r\n"
    b"X-Request-Id: id-%d\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: model\r\nDate: Sat, 21 Nov 2026 05:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: 244\r\n\r\n" + b"y" * 244
)


class Wire:
    """A transport without IO."""

    def __init__(self, on_write):
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


def named(place, *names):
    """What is called so here, or was called so there."""
    return next(getattr(place, name) for name in names if hasattr(place, name))


def asker():
    """A function that sends request number n through a data plane of this tree."""
    try:
        from router.core.wire import table
    except ImportError:
        from router.core import table
    from router.proxy.downstream import Downstream
    from router.proxy.plane import DataPlane, Listen
    from router.telemetry.recorder import Recorder
    from router.upstream import Connection

    fields = table.RouteEntry.__dataclass_fields__
    address = named(table, "EndpointEntry", "Endpoint")("127.0.0.1", 9)
    sticky = named(table, "StickyEntry", "Sticky")(table.StickyKind.HEADER, "x-user-id")
    entry = table.RouteEntry(
        "flight-delay", named(table, "MatchEntry", "Match")(path="/v2/*"),
        tuple(table.VersionEntry(name, (address,)) for name in ("v1", "v2")), 0,
        weights_bp=(9_500, 500), candidate=1, rollout_id="r-1", thresholds_s=(0.1, 0.2, 0.5),
        sticky=sticky, **{"revision" if "revision" in fields else "epoch": 1},
    )  # fmt: skip
    plane = DataPlane(Recorder(), Listen("127.0.0.1", 0))
    plane.apply(table.RoutingTable(1, (entry,)))
    client = Downstream(plane)
    client.connection_made(Wire(lambda _data: None))
    pending = []
    for version in plane.serving.routes[0].versions:
        connection = Connection(version.pool, version.pool.endpoints[0])
        connection.connection_made(Wire(lambda _data, c=connection: pending.append(c)))
        version.pool.open += 1
        version.pool.release(connection)

    def ask(number):
        client.data_received(REQUEST % (number % 5_000, number))
        while pending:
            pending.pop().data_received(ANSWER)

    return ask


async def requests():
    """µs and instructions of one request."""
    told = {}
    for name, number in (("repeated head", lambda _: 1), ("head differs", lambda n: n)):
        ask = asker()
        for n in range(WARM):
            ask(number(n))
        began = time.process_time_ns()
        for n in range(WARM, WARM + REQUESTS):
            ask(number(n))
        told[f"{name}, µs"] = (time.process_time_ns() - began) / REQUESTS / 1_000
        told[f"{name}, instructions"] = traced(ask, number)
    return told


def traced(ask, number):
    counted = 0

    def trace(frame, event, _argument):
        nonlocal counted
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    sys.settrace(trace)
    for n in range(WARM + REQUESTS, WARM + REQUESTS + TRACED):
        ask(number(n))
    sys.settrace(None)
    return counted / TRACED


async def decisions():
    """CPU ms of a rollback in the virtual world; garbage is collected between two of them."""
    from tests.control.conftest import World

    table, whole = [], []
    for seed in range(1, 11):
        world = await World(seed=seed).start()
        await world.run(20)
        send, out = world.tables.publish, []

        def publish(table, send=send, out=out):
            out.append(time.process_time_ns())
            send(table)

        world.tables.publish = publish
        gc.collect()
        gc.disable()
        while world.weight:
            world.traffic(40, 1.0, 0.0)
            began = time.process_time_ns()
            world.reconciler.turn()
            ended = time.process_time_ns()
            await asyncio.sleep(0)  # the store answers
        gc.enable()
        table.append((out[-1] - began) / 1e6)
        whole.append((ended - began) / 1e6)
    return {
        "rollback to the table, ms": statistics.median(table),
        "rollback, whole turn, ms": statistics.median(whole),
    }


def main():
    """Both trees in turns; medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["git", "archive", args.commit], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(["tar", "x", "-C", folder], input=packed.stdout, check=True)
        told = {"before": [], "now": []}
        for _ in range(args.rounds):
            for which, tree in (("before", folder), ("now", str(ROOT))):
                ran = subprocess.run(
                    [sys.executable, __file__, "--driver"], cwd=tree, check=True,
                    capture_output=True, text=True, env=os.environ | {"PYTHONPATH": tree},
                )  # fmt: skip
                told[which].append(json.loads(ran.stdout.splitlines()[-1]))
    print(f"{'median of ' + str(args.rounds) + ' rounds':32}{'before':>10}{'now':>10}{'ratio':>8}")
    for name in told["now"][0]:
        old, new = (statistics.median(one[name] for one in told[w]) for w in ("before", "now"))
        print(f"{name:32}{old:10.2f}{new:10.2f}{new / old:8.2f}")


async def driver():
    """What one process of one tree measures, as a line of JSON."""
    print(json.dumps(await requests() | await decisions()))


if __name__ == "__main__":
    asyncio.run(driver()) if "--driver" in sys.argv else main()
