"""How long the decider is deaf: CPU of one turn of its loop, with many live rollouts.

    python -m tests.bench.turns [50 200 1000] [--seconds 10]

A router as `rampway serve` runs it, but with its control process in this one, so that each pass of
its event loop can be measured; a worker process, a version and a load of their own. Every route has
a live canary with error rate, latency and guard, judged from traffic over all of them. Told are the
longest turns while nobody asks, under orders, edits of the file, and people who look. The bar is
20 ms (design, invariant 13).
"""

import argparse
import asyncio
import gc
import http.client
import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import structlog

from router.main import program

BAR_MS = 20.0
LOOKS = (
    "/api/v1/routes", "/metrics", "/healthz", "/api/v1/health", "/readyz", "/api/v1/journal", "/",
    "/api/v1/policy",
    "/api/v1/openapi.json", "/api/v1/routes/r0", "/api/v1/routes/r0/history",
    "/api/v1/rollouts/r0", "/api/v1/rollouts/r0/why", "/api/v1/rollouts/r0/shadow",
)  # fmt: skip
"""What people, scrapers and the page ask for."""
CONNECTIONS = 4
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Turns:
    """CPU of each turn of this loop, seconds of its thread; and what took most of the longest."""

    def __init__(self, loop):
        self.seen = []
        self.steps = []
        self.blame = (0.0, "")
        once, step = loop._run_once, asyncio.Handle._run

        def run_once():
            self.steps.clear()
            before = time.thread_time()
            once()
            took = time.thread_time() - before
            self.seen.append(took)
            if took > self.blame[0]:
                self.blame = took, self._largest()

        def run_step(handle):
            before = time.thread_time()
            step(handle)
            self.steps.append((time.thread_time() - before, handle))

        def collected(phase, info):
            if phase == "start":
                self.since = time.thread_time()
            else:
                self.steps.append(
                    (time.thread_time() - self.since, f"garbage {info['generation']}")
                )

        loop._run_once, asyncio.Handle._run = run_once, run_step
        gc.callbacks.append(collected)

    def _largest(self):
        """The three longest steps of this turn; of a task its coroutine."""
        largest = sorted(self.steps, key=lambda one: one[0])[:-4:-1]
        return ", ".join(f"{took * 1e3:.1f} ms {_name(what)}" for took, what in largest)

    def told(self, what):
        seen, self.seen = sorted(self.seen), []
        blame, self.blame = self.blame[1], (0.0, "")
        row = {
            "turns": len(seen),
            "p99_ms": seen[int(len(seen) * 0.99)] * 1e3,
            "worst_ms": seen[-1] * 1e3,
            "beyond": sum(one * 1e3 > BAR_MS for one in seen),
        }
        print(
            f"  {what:24}{row['turns']:7,} turns, p99 {row['p99_ms']:6.1f} ms, "
            f"longest {row['worst_ms']:6.1f} ms, {row['beyond']} beyond {BAR_MS:g}: {blame}",
            flush=True,
        )
        return row


def _name(step):
    """Of a callback, or of the task whose turn it is."""
    if isinstance(step, str):
        return step
    call = step._callback
    task = getattr(call, "__self__", None)
    if isinstance(task, asyncio.Task):
        coro = task.get_coro()
        own = (coro.cr_frame.f_locals if coro.cr_frame else {}).get("name", "")
        return f"{coro.__qualname__}({own})"
    return getattr(call, "__qualname__", repr(call))


def policy(routes, ports, first="1h"):
    """``first``: how long the first route holds its first step."""
    text = "".join(
        f"""
  - name: r{number}
    match: {{path: /r{number}/*}}
    versions:
      v1: {{endpoints: ["http://127.0.0.1:{ports[0]}"]}}
      v2: {{endpoints: ["http://127.0.0.1:{ports[1]}"]}}
    stable: v1
    rollout:
      candidate: v2
      gates: [error_rate, latency, {{guard: {{error_rate: 5%}}}}]
      strategy:
        canary:
          steps:
            - {{weight: 20%, hold: {first if number == 0 else "1h"}}}
            - {{weight: 50%, hold: 1h}}
          bake: 1h"""
        for number in range(routes)
    )
    top = "listen: 127.0.0.1:0\nadmin: {listen: '127.0.0.1:0'}\nstore: sqlite:///r.db\n"
    return f"{top}routes:{text}\n"


def versions(ready):
    """Two versions that say ok, in a process of their own."""

    class Version(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(ANSWER * data.count(b"\r\n\r\n"))

    async def serve():
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(Version, "127.0.0.1", 0) for _ in range(2)]
        ready.put([one.sockets[0].getsockname()[1] for one in servers])
        await asyncio.Event().wait()

    asyncio.run(serve())


def load(port, routes, rate):
    """Requests over all routes in turn, on a few kept connections; until it is ended."""
    wires = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    begun, sent = time.monotonic(), 0
    while True:
        wire = wires[sent % CONNECTIONS]
        wire.sendall(b"GET /r%d/x HTTP/1.1\r\nHost: a\r\n\r\n" % (sent % routes))
        wire.recv(65_536)
        sent += 1
        time.sleep(max(begun + sent / rate - time.monotonic(), 0))


def api(port, path, method="GET", body=None, wait_s=60):
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=wait_s)
    try:
        wire.request(method, path, json.dumps(body) if body is not None else None,
                     {"Content-Type": "application/json"})  # fmt: skip
        answer = wire.getresponse()
        return answer.status, answer.read()
    finally:
        wire.close()


class Site:
    """A router with so many routes; ``asked`` is done to it beside its loop."""

    def __init__(self, routes, args, ports):
        self.routes, self.args, self.ports = routes, args, ports
        self.rows = {}
        self.turns = None

    async def phase(self, what, deed):
        self.turns.seen.clear()
        self.turns.blame = (0.0, "")
        began = time.monotonic()
        await asyncio.to_thread(deed)
        self.rows[what] = self.turns.told(what) | {"s": time.monotonic() - began}

    def rest(self):
        time.sleep(self.args.seconds)

    def orders(self):
        for number in range(20):
            path = f"/api/v1/rollouts/r{number * 7 % self.routes}"
            for command in ("pause", "resume"):
                status, said = api(self.admin.port, f"{path}/{command}", "POST", {"reason": "x"})
                assert status == 200, said

    def edits(self):
        for number in range(3):
            self.file.write_text(policy(self.routes, self.ports, f"{number + 2}h"))
            status, said = api(self.admin.port, "/api/v1/reload", "POST", {})
            assert status == 200, said
            time.sleep(1)

    def looks(self):
        for path in LOOKS * 3:
            status, said = api(self.admin.port, path)
            assert status == 200 or path == "/readyz", (path, said[:200])
        for query in ("", "?brief=1", "?route=r0"):
            self.listens(query)

    def listens(self, query):
        """The page's own connection, until it has heard two seconds of news."""
        wire = http.client.HTTPConnection("127.0.0.1", self.admin.port, timeout=60)
        wire.request("GET", f"/api/v1/events{query}")
        answer, until = wire.getresponse(), time.monotonic() + 3
        while time.monotonic() < until and answer.readline():
            pass
        wire.close()

    async def measured(self, plane, admin):
        self.admin = admin
        port = int(plane.fleet.listen.rpartition(":")[2])
        async with asyncio.timeout(120):
            while not all(run.live and run.rollout for run in plane.reconciler.runs.values()):
                await asyncio.sleep(0.1)
        rate = self.args.rate
        client = CONTEXT.Process(target=load, args=(port, self.routes, rate), daemon=True)
        client.start()
        try:
            await asyncio.sleep(3)
            for what, deed in (("traffic", self.rest), ("orders", self.orders),
                               ("edits", self.edits), ("people who look", self.looks)):  # fmt: skip
                await self.phase(what, deed)
        finally:
            client.kill()
            os.kill(os.getpid(), signal.SIGTERM)

    async def go(self, folder):
        self.file = Path(folder) / "policy.yaml"
        self.file.write_text(policy(self.routes, self.ports))
        self.turns = Turns(asyncio.get_running_loop())
        began, tasks = time.monotonic(), []

        def ready(plane, admin):
            print(f"{self.routes} live rollouts, {self.args.rate}/s; ready after "
                  f"{time.monotonic() - began:.1f} s")  # fmt: skip
            tasks.append(asyncio.ensure_future(self.measured(plane, admin)))

        await program(self.file, on_ready=ready)
        await asyncio.gather(*tasks)
        return self.rows


CONTEXT = multiprocessing.get_context("fork")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("routes", nargs="*", type=int, default=[50, 200, 1_000])
    parser.add_argument("--seconds", type=float, default=10.0, help="of traffic alone")
    parser.add_argument("--rate", type=int, default=400, help="requests a second over all routes")
    args = parser.parse_args(argv)
    ready = CONTEXT.Queue()
    backend = CONTEXT.Process(target=versions, args=(ready,), daemon=True)
    backend.start()
    ports = ready.get(timeout=10)
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as quiet:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(quiet))
        for routes in args.routes:
            inner = Path(folder) / str(routes)
            inner.mkdir()
            os.chdir(inner)  # where the store is
            rows = asyncio.run(Site(routes, args, ports).go(inner))
            worst = max(worst, *(row["worst_ms"] for row in rows.values()))
    backend.kill()
    return 0 if worst <= BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
