"""Live series: real sockets, real services, the real router, many rollouts of each kind.

    python -m tests.bench.live [--kinds down fifth hang equal idle] [--workers 1 2] [--docs FILE]

A router has five or ten routes at a time, each with services and a rollout of its own, 60 requests
a second and the default gates at 5 %; stable fails 1 %. Bad answers are those the candidate gave,
what was in flight at the decision included; clients are rescued on stable.

down   the candidate fails always                 fifth  it fails a fifth
hang   it never answers, clients leave after 1 s  equal  it is stable's equal, through all steps
idle   equal, and both close connections that were idle for half a second; idle5: for five
onset  users are drawn, and it fails always from the 80th second on, when all users are known
hang25 and hang-users, hang25-users: as hang, at 25 % and where users are drawn
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from prediction_services.demo.process import RouterProcess
from tests.bench.decisions.tables import Table, written
from tests.ports import free_port

RATE = 60.0
GIVE_UP_S = 90.0
BASE = 0.01
"""Stable's failures."""
FIXED = "{canary: {steps: [{weight: 5%, hold: 1h}]}}"
QUARTER = "{canary: {steps: [{weight: 25%, hold: 1h}]}}"
EQUAL = "{canary: {steps: [{weight: 25%, hold: 6s}, {weight: 50%, hold: 6s}], bake: 6s}}"


@dataclass(frozen=True)
class Kind:
    """One series."""

    runs: int
    failing: float | None
    """Of the candidate, 0..1; None: it hangs."""
    strategy: str = FIXED
    leave_s: float = 20.0
    idle_s: float | None = None
    rate: float = RATE
    bad: float = 0.0
    """Goal of the median of bad answers."""
    lasting_s: float = GIVE_UP_S
    routes: int = 5
    """In one router at a time."""
    users: int = 0
    """Who are drawn; 0: a coin a request."""
    turns_s: float = 0.0
    """Until then the candidate is as good as stable."""
    soon_s: float = 8.0
    """Goal of the median seconds, where it hangs."""


KINDS = {
    "down": Kind(30, 1.0, bad=4),
    "fifth": Kind(30, 0.2, bad=7),
    "hang": Kind(20, None, leave_s=1.0),
    "hang25": Kind(20, None, QUARTER, leave_s=1.0, soon_s=3.0),
    "hang-users": Kind(20, None, leave_s=1.0, users=5_000),
    "hang25-users": Kind(20, None, QUARTER, leave_s=1.0, soon_s=3.0, users=5_000),
    "equal": Kind(20, 0.01, EQUAL, routes=10),
    "idle": Kind(10, 0.0, idle_s=0.5, rate=12.0, lasting_s=40.0, routes=10),
    "idle5": Kind(20, 0.0, idle_s=5.0, rate=4.0, lasting_s=60.0, routes=20),
    "onset": Kind(4, 1.0, bad=10, rate=120.0, lasting_s=120.0, routes=2, users=200, turns_s=80.0),
}

EQUALS = ("equal", "idle", "idle5")


class Service:
    """Answers ``ok`` after 10 ms; ``failing`` None: never."""

    def __init__(self, failing, idle_s=None, seed=0):
        self.failing, self.idle_s = failing, idle_s
        self.random = random.Random(seed)
        self.turns_at = 0.0
        """Until then it fails as stable does."""
        self.asked = self.bad = self.before = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        """One connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                async with asyncio.timeout(self.idle_s):
                    await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                if self.failing is None:
                    await reader.read()
                    break
                await asyncio.sleep(0.01)
                turned = time.monotonic() >= self.turns_at
                bad = self.random.random() < (self.failing if turned else BASE)
                self.bad += bad and turned
                self.before += bad and not turned
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % (500 if bad else 200)
                )
        writer.close()


@dataclass
class Run:
    """How one rollout went."""

    phase: str
    seconds: float
    bad: int
    asked: int
    clients: int
    """Bad answers that clients were given beyond stable's own, and broken connections."""
    left: int
    reason: str


POLICY = """\
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{admin}"}}
store: sqlite:///{folder}/rampway.db
workers: {workers}
routes:
"""
ROUTE = """\
  - name: r{n}
    match: {{path: /r{n}/*}}
    versions:
      v1: {{endpoints: ["{stable}"]}}
      v2: {{endpoints: ["{candidate}"]}}
    stable: v1{sticky}
    rollout:
      candidate: v2
      strategy: {strategy}
      rescue: {{}}
"""


async def together(kind, workers, count, seed):
    """``count`` rollouts in one router."""
    async with contextlib.AsyncExitStack() as stack:
        pairs = []
        for n in range(count):
            failing = 0.0 if kind.failing == 0.0 else BASE
            services = (Service(failing, kind.idle_s, seed + n),
                        Service(kind.failing, kind.idle_s, seed + n + 500))  # fmt: skip
            pairs.append([await stack.enter_async_context(one) for one in services])
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port, admin = free_port(), free_port()
        text = POLICY.format(port=port, admin=admin, folder=folder, workers=workers)
        for n, (stable, candidate) in enumerate(pairs):
            text += ROUTE.format(
                n=n, stable=stable.url, candidate=candidate.url, strategy=kind.strategy,
                sticky="\n    sticky: {header: X-User-Id}" if kind.users else "",
            )  # fmt: skip
        (folder / "policy.yaml").write_text(text)
        router = await stack.enter_async_context(
            RouterProcess(folder / "policy.yaml", folder / "log")
        )
        client = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        await ready(client, f"http://127.0.0.1:{admin}/readyz", router)
        urls = [
            (f"http://127.0.0.1:{port}/r{n}/p", f"http://127.0.0.1:{admin}/api/v1/rollouts/r{n}")
            for n in range(count)
        ]
        runs = (one(client, kind, urls[n], pairs[n], seed + n) for n in range(count))
        return await asyncio.gather(*runs)


async def ready(client, url, router):
    """Until the router says so."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and router.running:
        with contextlib.suppress(OSError, aiohttp.ClientError):
            async with client.get(url) as answer:
                if answer.status == 200:
                    return
        await asyncio.sleep(0.05)
    raise RuntimeError("the router did not become ready")


async def one(client, kind, route, pair, seed):
    """Clients of one route until its rollout has ended."""
    stable, candidate = pair
    url, status_url = route
    tally = {"bad": 0, "left": 0, "broken": 0}
    draw = random.Random(seed)
    began = time.monotonic()
    candidate.turns_at = began + kind.turns_s
    asking = asyncio.create_task(_ask(client, url, kind, draw, tally))
    status = {}
    while time.monotonic() - began < kind.lasting_s:
        await asyncio.sleep(0.1)
        async with client.get(status_url) as answer:
            status = await answer.json()
        if status["phase"] in ("rolled_back", "completed"):
            break
    seconds = time.monotonic() - began
    await asyncio.sleep(0.3)
    asking.cancel()
    clients = tally["bad"] - stable.bad + tally["broken"]
    seconds -= kind.turns_s
    return Run(status["phase"], seconds, candidate.bad, candidate.asked, clients, tally["left"],
               status["reason"])  # fmt: skip


async def _ask(client, url, kind, draw, tally):
    due, tasks = time.monotonic(), set()
    async with asyncio.TaskGroup() as group:
        while True:
            due += draw.expovariate(kind.rate)
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
            who = {"X-User-Id": f"u{draw.randrange(kind.users)}"} if kind.users else {}
            task = group.create_task(_request(client, url, kind.leave_s, tally, who))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


async def _request(client, url, leave_s, tally, who):
    try:
        async with client.post(
            url, data=b"{}", timeout=aiohttp.ClientTimeout(total=leave_s), headers=who
        ) as answer:
            await answer.read()
            tally["bad"] += answer.status >= 500
    except TimeoutError:
        tally["left"] += 1
    except aiohttp.ClientError:
        tally["broken"] += 1


def middle(values):
    """``median / p95``."""
    ordered = sorted(values)
    last = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return f"{statistics.median(ordered):g} / {last:g}"


async def series(names, workers, runs):
    """The table."""
    table = Table(
        f"Live, default gates, 5 % weight, {RATE:g} requests a second, rescued: median / p95",
        ("kind", "workers", "runs", "taken back", "bad answers", "requests to it", "seconds",
         "failures that clients saw"),
    )  # fmt: skip
    begun = time.monotonic()
    for count in workers:
        for name in names:
            kind, found = KINDS[name], []
            wanted = runs or kind.runs
            while len(found) < wanted:
                more, seed = min(kind.routes, wanted - len(found)), 1_000 * count + 7 * len(found)
                found += await together(kind, count, more, seed)
            back = [r for r in found if r.phase == "rolled_back"]
            shown = found if name in EQUALS else back
            cells = [middle([getattr(r, key) for r in shown]) if shown else "-"
                     for key in ("bad", "asked")]  # fmt: skip
            took = middle([round(r.seconds, 1) for r in shown]) if shown else "-"
            table.rows.append((
                name, str(count), str(len(found)), str(len(back)), *cells, took,
                str(sum(r.clients for r in found)),
            ))  # fmt: skip
            _goals(table, name, count, found, back)
            print(table.rows[-1], found[-1].reason[:160], flush=True)
    table.seconds = time.monotonic() - begun
    return table


def _goals(table, name, workers, found, back):
    kind, what = KINDS[name], f"{name}, {workers} worker{'s' * (workers > 1)}"
    if name in EQUALS:
        table.goal(f"{what}: taken back", len(back), 0)
        if name == "equal":
            unfinished = sum(r.phase != "completed" for r in found)
            table.goal(f"{what}: not completed", unfinished, 0)
        return
    table.goal(f"{what}: not taken back", len(found) - len(back), 0)
    if kind.bad and back:
        bad = statistics.median(r.bad for r in back)
        table.goal(f"{what}: median of bad answers", bad, kind.bad)
    if kind.failing is None and back:
        seconds = statistics.median(r.seconds for r in back)
        table.goal(f"{what}: median seconds", seconds, kind.soon_s)
    else:
        table.goal(f"{what}: failures that clients saw", sum(r.clients for r in found), 0)


def main():
    """Run the series; 0 if every goal is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--runs", type=int, default=0, help="of each kind; 0: as the issue has it")
    parser.add_argument("--docs", type=Path, help="page whose part `live` is written anew")
    args = parser.parse_args()
    table = asyncio.run(series(args.kinds, args.workers, args.runs))
    print(table.markdown())
    if args.docs is not None:
        page = args.docs.read_text(encoding="utf-8")
        args.docs.write_text(written(page, {"live": table}), encoding="utf-8")
    return 0 if all(met for _, met in table.goals) else 1


if __name__ == "__main__":
    sys.exit(main())
