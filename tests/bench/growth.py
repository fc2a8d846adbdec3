"""What becomes of the router as things grow: each series doubles from small to very large.

Users and the journal are measured by calls of that part alone, the others by load on a router.
"""

import asyncio
import concurrent.futures
import socket
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

from router.control.state.record import Change, JournalEntry
from router.control.state.sqlite import SqliteStore
from router.core.wire.outcomes import Outcome
from router.core.wire.table import StickyEntry, StickyKind
from router.proxy.worker import more_files
from router.telemetry.recorder import Recorder
from tests.bench.evidence import entry
from tests.bench.machine import Stage, memory_mb, settled
from tests.bench.peers import start_rampway
from tests.bench.rounds import measure, median
from tests.bench.swap import quantiles
from tests.ports import free_port

ROUTES = (1, 10, 100, 1_000)
VERSIONS = (2, 10, 50)
CONNECTIONS = (10, 100, 1_000)
IDLE = (10, 1_000, 10_000)
BODIES_KB = (1, 64, 1_024, 65_536)
USERS = (10, 1_000, 100_000, 1_000_000)
JOURNAL_ROWS = (10, 1_000, 100_000, 1_000_000)

OTHER_ROUTE = """  - name: other-NUMBER
    match: {path: "/other/NUMBER/*"}
    versions: {v1: {endpoints: ["http://127.0.0.1:{stable}"]}}
    stable: v1
"""
OTHER_VERSION = '      vNUMBER: {endpoints: ["http://127.0.0.1:{stable}"]}\n'
PLACE_OF_ROUTES, PLACE_OF_VERSIONS = "  - name: bench\n", "    stable: stable\n    rollout"
ANY_PORT = 'admin: {listen: "127.0.0.1:0"}'


def _more_routes(count):
    return PLACE_OF_ROUTES, _many(OTHER_ROUTE, count - 1) + PLACE_OF_ROUTES


def _more_versions(count):
    return PLACE_OF_VERSIONS, _many(OTHER_VERSION, count - 2) + PLACE_OF_VERSIONS


def _many(text, count):
    return "".join(text.replace("NUMBER", str(number)) for number in range(count))


def _loaded(stage, target, rounds, seconds, **load):
    settled(target.pid)
    stage.load(target.port, seconds=0.5)
    bursts = [measure(stage, target, seconds=seconds, **load) for _ in range(rounds)]
    row = {key: median(bursts, key) for key in ("cpu_us", "p50_us", "p99_us", "max_us")}
    bad = sum(burst["errors"] + burst["not_2xx"] for burst in bursts)
    return row | {"bad": bad, "mb": memory_mb(target.pid)}


def _policies(stage, backend, args, edits):
    """Load on routers whose policies differ in one thing, the measured route always the last."""
    rows = {}
    for size, edit in edits.items():
        inner = Stage(stage.folder)
        try:
            target = start_rampway(f"rampway-{size}", inner, backend, edits=[edit])
            rows[str(size)] = _loaded(stage, target, args.rounds, args.seconds)
        finally:
            inner.close()
    return rows


def routes(stage, backend, args):
    """Requests for the last of many routes: matching must not scan."""
    return _policies(stage, backend, args, {n: _more_routes(n) for n in ROUTES})


def versions(stage, backend, args):
    """Versions of the route under load."""
    return _policies(stage, backend, args, {n: _more_versions(n) for n in VERSIONS})


def connections(stage, backend, args):
    """Busy client connections."""
    inner, rows = Stage(stage.folder), {}
    try:
        target = start_rampway("rampway-connections", inner, backend)
        for count in CONNECTIONS:
            rows[str(count)] = _loaded(stage, target, args.rounds, args.seconds, connections=count)
    finally:
        inner.close()
    return rows


def idle(stage, backend, args):
    """32 busy clients among many that are idle after a request; memory of each idle one."""
    inner, rows, held = Stage(stage.folder), {}, []
    more_files()
    try:
        target = start_rampway("rampway-idle", inner, backend)
        settled(target.pid)
        empty_mb = memory_mb(target.pid)
        for count in IDLE:
            held += [_asked(target.port) for _ in range(count - len(held))]
            row = {"kb_each": (memory_mb(target.pid) - empty_mb) * 1024 / count}
            rows[str(count)] = row | _loaded(stage, target, args.rounds, args.seconds)
    finally:
        for client in held:
            client.close()
        inner.close()
    return rows


def _asked(port):
    """A connection on which one request was answered."""
    client = socket.create_connection(("127.0.0.1", port), 5)
    client.sendall(b"GET /predict HTTP/1.1\r\nHost: bench\r\nX-User-Id: u\r\n\r\n")
    if not client.recv(4_096).startswith(b"HTTP/1.1 200"):
        raise RuntimeError("an idle client was not answered")
    return client


def bodies(stage, backend, args):
    """Answers streamed through: memory must not follow their size."""
    inner, rows = Stage(stage.folder), {}
    try:
        target = start_rampway("rampway-bodies", inner, backend)
        for kilobytes in BODIES_KB:
            load = {"connections": 8, "path": f"/files/{kilobytes}", "body": 0}
            rows[f"{kilobytes} KB"] = _loaded(stage, target, 1, max(2.0, args.seconds), **load)
    finally:
        inner.close()
    return rows


def scrapes(stage, backend, args):
    """2,000 requests a second, with 1,000 routes, alone and while /metrics is read all the time."""
    inner = Stage(stage.folder)
    admin = free_port()
    edits = [_more_routes(1_000), (ANY_PORT, ANY_PORT.replace(":0", f":{admin}"))]
    try:
        target = start_rampway("rampway-scrapes", inner, backend, edits=edits)
        alone = _loaded(stage, target, args.rounds, args.seconds, rate=2_000)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            stop = []
            read = pool.submit(_read_metrics, admin, stop)
            scraped = _loaded(stage, target, args.rounds, args.seconds, rate=2_000)
            stop.append(True)
            scraped["scrapes"] = read.result()
    finally:
        inner.close()
    return {"alone": alone, "while scraped": scraped}


def _read_metrics(port, stop):
    count = 0
    while not stop:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            answer.read()
        count += 1
    return count


def users(_stage, _backend, _args):
    """Sticky evidence: each bad outcome is somebody else's, so every one is remembered."""
    rows = {}
    for count in USERS:
        cell = Recorder().cell(replace(entry(), sticky=StickyEntry(StickyKind.HEADER, "x-user")))
        began = time.process_time()
        for user in range(count):
            nth = cell.stable.arrive(user)
            cell.stable.end(int(Outcome.SERVER_ERROR), 0.05, 0, user, nth)
            if user % 1_000 == 999:
                cell.news()
        spent = time.process_time() - began
        rows[str(count)] = {
            "us": spent / count * 1e6,
            "remembered": sum(map(bool, cell.seen.counts)),
        }
    return rows


def journal(_stage, _backend, _args):
    """One commit, the newest page and a start, with that many rows in the journal."""
    with tempfile.TemporaryDirectory(prefix="rampway-journal-") as folder:
        return {
            str(rows): asyncio.run(_journal(Path(folder) / f"{rows}.db", rows))
            for rows in JOURNAL_ROWS
        }


def _entry(number):
    return JournalEntry(
        1.8e9 + number, float(number), "flights", "r-1", 1, "router", "advance", "running",
        "running", 1, 500, "evidence 0.3 : 1 after 1,234 requests", {"gates": ["x" * 40] * 4},
    )  # fmt: skip


async def _journal(path, rows):
    store = SqliteStore(path)
    await store.open()
    for begin in range(0, rows, 10_000):
        entries = tuple(_entry(n) for n in range(begin, min(rows, begin + 10_000)))
        await store.commit(Change(float(begin), entries=entries))
    commits, pages = [], []
    for number in range(50):
        began = time.perf_counter()
        await store.commit(Change(float(rows + number), entries=(_entry(rows + number),)))
        commits.append(time.perf_counter() - began)
        began = time.perf_counter()
        await store.journal("flights", since=0, until=None, limit=50)
        pages.append(time.perf_counter() - began)
    await store.close()
    again, began = SqliteStore(path), time.perf_counter()
    await again.open()
    opened = time.perf_counter() - began
    await again.close()
    return {
        "commit_ms": quantiles(commits)["p50_ms"],
        "page_ms": quantiles(pages)["p50_ms"],
        "open_ms": opened * 1e3,
        "mb": path.stat().st_size / 1e6,
    }


SERIES = {
    "routes": routes,
    "versions": versions,
    "connections": connections,
    "idle": idle,
    "bodies": bodies,
    "scrapes": scrapes,
    "users": users,
    "journal": journal,
}
"""Every series by name."""
