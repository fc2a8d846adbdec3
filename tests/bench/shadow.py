"""What a bad shadow costs those who are answered by stable: latency and memory.

    python -m tests.bench.shadow [--rounds 3] [--rate 200] [--seconds 5]

Every request is copied to a shadow that is dead, hangs, answers garbage or streams for ever; each
kind gets a fresh router, between two kinds there is a run without any shadow, and rounds repeat.
The shadow runs at the lowest priority, since in life it is another machine. What its stream does to
this machine alone is the last kind: no shadow, but a process beside the router that reads as much.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from aiohttp import ClientSession

from prediction_services.demo.process import RouterProcess
from prediction_services.fleet import Fleet
from prediction_services.load.generator import LoadGenerator
from prediction_services.load.trips import invented_trips
from tests.bench.machine import cpu_s, memory_mb
from tests.bench.rollback import ready
from tests.ports import free_port

POLICY = """\
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{admin}"}}
store: sqlite:///{folder}/rampway.db
routes:
  - name: flights
    payload: open_inference_v2
    versions:
      v1: {{endpoints: ["{stable}"]}}
      v2: {{endpoints: ["http://127.0.0.1:{shadow}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{shadow: {{mirror: 100%, hold: 1h}}}}
      gates: [{{guard: {{dry_run: true}}}}]
"""
PLAIN = "no shadow"
KINDS = ("dead", "hanging", "garbage", "streaming for ever")
BESIDE = "no shadow, the same stream beside the router"
READ_BYTES = 1_048_576
"""What the router reads of an endless answer before it hangs up: `mirroring.body`."""
WARM_S = 1.0


async def hanging(reader, writer):
    while await reader.read(65_536):
        pass
    writer.close()


async def garbage(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x00\x01 hello\r\n\r\n")
    await writer.drain()
    writer.close()


async def endless(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + bytes(65_536) + b"\r\n")
        await writer.drain()


SCRIPTS = {"hanging": hanging, "garbage": garbage, "streaming for ever": endless}


async def misbehave(kind):
    """The shadow's own process: says its port, then does its worst until it is ended."""

    async def quietly(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await SCRIPTS[kind](reader, writer)

    os.nice(19)
    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def read_beside(port, rate):
    """As many streams a second as the router would open, as far as it would read them."""

    async def one():
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\n\r\n")
            await reader.readexactly(READ_BYTES)
            writer.transport.abort()

    running = set()
    while True:
        if len(running) < 64:  # as `mirroring.concurrency`
            task = asyncio.create_task(one())
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.sleep(1 / rate)


@contextlib.asynccontextmanager
async def beside(port, rate):
    """That reader, as a process."""
    command = ("-m", "tests.bench.shadow", "--read-beside", str(port), "--rate", str(rate))
    process = await asyncio.create_subprocess_exec(sys.executable, *command)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def shadow(kind):
    """The port of a shadow of this kind."""
    if kind not in SCRIPTS:
        yield free_port()
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.shadow", "--misbehave", kind,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


async def one_run(stable, kind, rate, seconds):
    """Latencies of the clients and the router's memory, with one kind of shadow."""
    async with contextlib.AsyncExitStack() as stack:
        streams = "streaming for ever" if kind == BESIDE else kind
        port_of_shadow = await stack.enter_async_context(shadow(streams))
        if kind == BESIDE:
            await stack.enter_async_context(beside(port_of_shadow, rate))
        with tempfile.TemporaryDirectory() as name:
            folder, port, admin_port = Path(name), free_port(), free_port()
            text = POLICY.format(port=port, admin=admin_port, folder=folder, stable=stable.url,
                                 shadow=port_of_shadow)  # fmt: skip
            if kind in (PLAIN, BESIDE):
                text = text.partition("    rollout:")[0]
            policy = folder / "policy.yaml"
            policy.write_text(text)
            async with RouterProcess(policy, folder / "log") as router, ClientSession() as client:
                await ready(client, f"http://127.0.0.1:{admin_port}/readyz", router)
                return await under_load(router, port, rate, seconds)


async def under_load(router, port, rate, seconds):
    latencies, peak = [], 0.0
    load = LoadGenerator(
        f"http://127.0.0.1:{port}", invented_trips(), rate_per_s=rate, seed=1,
        on_answer=lambda answer: latencies.append(answer.latency_s),
    )  # fmt: skip
    async with load:
        await asyncio.sleep(WARM_S)
        latencies.clear()
        began = cpu_s(router.pid)
        for _ in range(round(seconds / 0.25)):
            await asyncio.sleep(0.25)
            peak = max(peak, memory_mb(router.pid))
        spent = cpu_s(router.pid) - began
    ordered = sorted(latencies)
    return {
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1e3,
        "cpu_ms": spent * 1e3 / len(ordered), "memory_mb": peak,
        "failed": load.tally.bad, "requests": load.tally.sent,
    }  # fmt: skip


async def measure(rounds=3, rate=200.0, seconds=5.0, kinds=KINDS):
    """Medians over the rounds, by kind; sums of the counts."""
    found = {}
    async with Fleet() as fleet:
        stable = await fleet.start_one("static", name="v1", faults={"latency_ms": 5.0})
        for _ in range(rounds):
            for kind in (PLAIN, *kinds, BESIDE):
                found.setdefault(kind, []).append(await one_run(stable, kind, rate, seconds))
    return {kind: together(runs) for kind, runs in found.items()}


def together(runs):
    one = {
        name: round(statistics.median(run[name] for run in runs), 2)
        for name in ("p50_ms", "p99_ms", "cpu_ms", "memory_mb")
    }
    spread = sorted(round(run["p99_ms"], 2) for run in runs)
    return one | {"p99_ms_from_to": [spread[0], spread[-1]],
                  "failed": sum(run["failed"] for run in runs),
                  "requests": sum(run["requests"] for run in runs)}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured, of each run")
    parser.add_argument("--misbehave", choices=SCRIPTS, help=argparse.SUPPRESS)
    parser.add_argument("--read-beside", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read_beside:
        asyncio.run(read_beside(args.read_beside, args.rate))
        return
    if args.misbehave:
        asyncio.run(misbehave(args.misbehave))
        return
    print(json.dumps(asyncio.run(measure(args.rounds, args.rate, args.seconds)), indent=1))


if __name__ == "__main__":
    main()
