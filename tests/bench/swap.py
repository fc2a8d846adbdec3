"""How long a table takes to be in force: from publishing to every worker's confirmation.

    python -m tests.bench.swap [--swaps 300]

A worker confirms a table after it has swapped it; no request that begins later uses an older one.
In one process a swap is one call, measured as such with a table of one route and of 1,000.
"""

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import replace

from router.control.fleet.workers import Workers
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import MatchEntry, RouteEntry, RoutingTable, VersionEntry
from router.proxy.plane import DataPlane, Listen
from router.telemetry.recorder import Recorder
from tests.control.fleet.hearing import Hearing


def table(generation, routes=1):
    versions = tuple(VersionEntry(name, (EndpointEntry("127.0.0.1", 9),)) for name in ("v1", "v2"))
    return RoutingTable(generation, tuple(route(n, generation if n == 0 else 0, versions)
                                        for n in range(routes)))  # fmt: skip


def route(number, step, versions):
    path = MatchEntry(path=f"/models/{number}/*")
    return RouteEntry(f"route-{number}", path, versions, 0, 1, "r-1", step, weights_bp=shares(step))


def shares(step):
    """Every table moves the first route's weight; the others stay as they are."""
    return 10_000 - step * 7 % 10_000, step * 7 % 10_000


def quantiles(seconds):
    ordered = sorted(seconds)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 3),
        "p99_ms": round(ordered[round(0.99 * (len(ordered) - 1))] * 1e3, 3),
    }


async def one_process(swaps, routes):
    plane = DataPlane(Recorder(), Listen("127.0.0.1", 0))
    took = []
    for generation in range(1, swaps + 1):
        following = table(generation, routes)
        began = time.perf_counter()
        plane.apply(following)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0)
    await plane.close()
    return quantiles(took[1:])


async def one_step(swaps, routes):
    """What a step of a rollout or a rollback costs: one route is amended."""
    plane = DataPlane(Recorder(), Listen("127.0.0.1", 0))
    plane.apply(table(1, routes))
    took = []
    for generation in range(2, swaps + 2):
        following = table(generation).routes
        began = time.perf_counter()
        plane.amend(generation, generation - 1, following)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0)
    await plane.close()
    return quantiles(took)


async def over_workers(swaps, count):
    workers = Workers(count, ("127.0.0.1", 0), Hearing())
    workers.publish(table(1))
    await workers.start()
    await workers.applied(1)
    took = []
    for generation in range(2, swaps + 2):
        following = replace(table(generation), generation=generation)
        began = time.perf_counter()
        workers.publish(following)
        await workers.applied(generation)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)
    await workers.kill()
    return quantiles(took)


async def measure(swaps):
    return {
        "one process, 1 route": await one_process(swaps, 1),
        "one process, whole table of 1,000 routes": await one_process(max(20, swaps // 10), 1_000),
        "one process, a step of 1 route": await one_step(swaps, 1),
        "one process, a step of 1 route of 1,000": await one_step(swaps, 1_000),
        "1 worker": await over_workers(swaps, 1),
        "4 workers": await over_workers(swaps, 4),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--swaps", type=int, default=300)
    print(json.dumps(asyncio.run(measure(parser.parse_args().swaps)), indent=1))


if __name__ == "__main__":
    main()
