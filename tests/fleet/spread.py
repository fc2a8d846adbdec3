"""How many failures a decision needs when one router sees them, and when three do.

python -m tests.fleet.spread --times 40 --per-s 50
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import uuid
from collections import Counter
from pathlib import Path

from tests import programs
from tests.fleet.kit import counted_in
from tests.fleet.replicas import Routers
from tests.postgres_server import server_or_skip
from tests.reliability.whole import Load, Service, in_thread, until

BEFORE = 60
"""Answers of all clients before the candidate fails: good ones lower what is needed."""


async def needed(three, members, per_s):
    """Failures by which the leader took the candidate back, and those that clients saw."""
    leader, candidate = three.leader.life, three.services[1]
    if leader.status()["phase"] == "rolled_back":
        await in_thread(leader.order, "retry", force=True)
        await in_thread(until, three.together)
    await in_thread(leader.position)
    loads = [Load(m.life.port, kept=1, fresh=0, pause_s=len(members) / per_s) for m in members]
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(load) for load in loads))
        await asyncio.gather(*(load.more(BEFORE // len(loads) - 20) for load in loads))
        await in_thread(lambda: candidate.faults(error_rate=1.0))
        await in_thread(until, lambda: leader.status()["phase"] == "rolled_back")
    await in_thread(candidate.faults)
    statuses = sum((load.tally.statuses for load in loads), Counter())
    return counted_in(leader.status()), sum(n for status, n in statuses.items() if status >= 500)


async def in_turn(three, times, per_s):
    """``times`` decisions of each, alternately: of one router, of all."""
    one, spread = [], []
    for _ in range(times):
        one.append(await needed(three, [three.leader], per_s))
        spread.append(await needed(three, three.members, per_s))
    return one, spread


def shown(found):
    return ", ".join(f"{count}: {times}" for count, times in sorted(Counter(found).items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--per-s", type=float, default=50, help="requests of all clients")
    asked = parser.parse_args()
    server = server_or_skip()
    with contextlib.ExitStack() as started, tempfile.TemporaryDirectory() as folder:
        started.callback(server.end)
        services = [Service(name, Path(folder)) for name in ("v1", "v2")]
        for service in services:
            started.callback(service.end)
            service.serving()
        name = f"s{uuid.uuid4().hex}"
        server.sql(f"CREATE SCHEMA {name}")
        url = f"{server.url}?options=-csearch_path%3D{name}"
        three = Routers(Path(folder), services, url)
        started.callback(three.end)
        three.start()
        found = asyncio.run(in_turn(three, asked.times, asked.per_s))
    for what, rows in zip(("one router", "three routers"), found, strict=True):
        print(f"{what}: counted by the decision {shown(c for c, _ in rows)}; "
              f"seen by clients {shown(s for _, s in rows)}")  # fmt: skip


if __name__ == "__main__":
    programs.run(main)
