"""What strangers, label pipelines, people and versions say to the decider, by the ten thousand.

    python -m tests.fuzz.decider_fuzz --each 20000 [--seed 1] [--kinds labels orders ...]

A control plane with its admin listener, a store on disk and a real reader process, in this process;
the inputs come over sockets from a thread of their own (answers of versions from where a worker's
would). Nothing may end a loop or the process, no answer may be a 500, and no turn of the decider's
loop may use more than 20 ms of CPU. Prints a line a kind, and ends with 1 where that does not hold.

A turn is one pass of the event loop; its CPU is that of the loop's thread (``time.thread_time``),
on a machine at its usual pace (:mod:`tests.pace`).
A turn beyond the bound is told with the input that was under way.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import json
import os
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from router.admin.server import AdminServer
from router.config.check import load
from router.control.plane import Plane
from router.control.state.clock import RolloutClock
from router.control.state.sqlite import SqliteStore
from router.core.policy.server import Admin
from router.core.wire.counts import PairSample
from router.core.wire.receipt import Chosen, Receipt
from router.core.wire.sampled import Sampled
from router.link.messages import PairReport, SampleReport
from router.loops import BOOKS
from tests.control.fleet.hearing import WORKER
from tests.control.fleet.test_fleet import Elsewhere
from tests.fuzz.foreign_fuzz import KEYS, TEXTS, body_of, document, leaf
from tests.pace import pace
from tests.receipts import sealed

TURN_S_MAX = 0.020
SECRET = "abcdefghijklmnopqrstuvwxyz"
POLICY = """
listen: 127.0.0.1:1
store: sqlite:///r.db
prediction_log: {file: log.db, early: 1m}
routes:
  - name: r
    match: {path: /r/*}
    payload: json
    feedback: {secret: abcdefghijklmnopqrstuvwxyz}
    versions: {v1: {endpoints: ["http://127.0.0.1:2"]}, v2: {endpoints: ["http://127.0.0.1:3"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 10%, hold: 1000h}, {mirror: 9%, weight: 20%, hold: 9h}]}}
      gates: [error_rate, {accuracy: {dry_run: true}}, {agreement: {dry_run: true}}]
  - name: s
    match: {path: /s/*, headers: {X-A: {regex: "[a-z]+"}}}
    versions: {v1: {endpoints: ["http://127.0.0.1:2"]}, v2: {endpoints: ["http://127.0.0.1:3"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {blue_green: {approval: {}, bake: 1h}}
  - name: p
    match: {path: /p/*}
    payload: v1
    predictions: {score: predictions, range: [0, 1], features: [age, town], sample: 100%}
    log: {sample: 100%, redact: [name], person: user.id}
    monitors: {}
    versions: {v1: {endpoints: ["http://127.0.0.1:2"]}, v2: {endpoints: ["http://127.0.0.1:3"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 10%, hold: 1000h}], bake: 1h}}
      gates: [error_rate, {nulls: {dry_run: true}}, {scores: {dry_run: true}}]
"""


class Meter:
    """CPU of each turn of a loop, and what was under way in the longest."""

    def __init__(self, loop):
        self.worst_s, self.during, self.turns = 0.0, b"", 0
        self.over = 0
        self.now = b""
        once = loop._run_once

        def run_once():
            before = time.thread_time()
            once()
            took_s = time.thread_time() - before
            if took_s > TURN_S_MAX:
                took_s /= pace()
            self.turns += 1
            if took_s > TURN_S_MAX:
                self.over += 1
            if took_s > self.worst_s:
                self.worst_s, self.during = took_s, self.now

        loop._run_once = run_once

    def fresh(self):
        self.worst_s, self.during, self.turns, self.over = 0.0, b"", 0, 0


class Line:
    """One connection to the admin listener, opened again when it was closed."""

    PATIENCE_S = 0.1
    """For an answer; half a request gets none."""

    def __init__(self, port):
        self.port = port
        self.wire = None

    def ask(self, data, patience_s=PATIENCE_S):
        """The status of the answer, 0 where there is none."""
        for _ in range(2):  # a kept connection may be closed by now
            fresh = self.wire is None
            try:
                if self.wire is None:
                    self.wire = socket.create_connection(("127.0.0.1", self.port), 20)
                self.wire.settimeout(patience_s)
                self.wire.sendall(data)
                if status := self._status():
                    return status
            except TimeoutError:
                fresh = True
            except OSError:
                pass
            self.close()
            if fresh:
                return 0
        return 0

    def _status(self):
        got = b""
        while b"\r\n\r\n" not in got:
            more = self.wire.recv(65_536)
            if not more:
                return 0
            got += more
        head, _, rest = got.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
        left = int(fields.get(b"content-length", 0)) - len(rest)
        if b"content-length" not in fields or fields.get(b"connection") == b"close":
            self.close()
            return int(lines[0].split()[1])
        while left > 0:
            left -= len(self.wire.recv(65_536)) or left
        return int(lines[0].split()[1])

    def close(self):
        if self.wire is not None:
            self.wire.close()
            self.wire = None


def post(path, body, more=b""):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8", "surrogatepass")
    return (
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%b"
        b"Content-Length: %d\r\n\r\n%b" % (path, more, len(raw), raw)
    )


def receipt(rnd, wild):
    """A receipt, mostly a good one."""
    made = Receipt(
        rnd.choice(("r", "r", "r", "s", "nobody")), rnd.choice(("v1", "v2", "v3")),
        rnd.choice((1, 1, 1, 2, 2**40)), rnd.choice((1_000, 0, 10_000)), rnd.choice(tuple(Chosen)),
        int(time.time()) + rnd.choice((0, 0, 0, -(10**7), 10**6)), rnd.getrandbits(64),
        rnd.getrandbits(64),
    )  # fmt: skip
    text = sealed(made, SECRET if rnd.random() < 0.9 else "x" * 20)
    if wild and rnd.random() < 0.2:
        place = rnd.randrange(len(text))
        text = text[:place] + rnd.choice((*TEXTS, "~", "..", "/")) + text[place + 1 :]
    return text


def label(rnd, wild):
    """One label; a ``wild`` one may be anything."""
    if wild and rnd.random() < 0.1:
        return document(rnd)
    if rnd.random() < 0.3:  # by the id of a prediction in the log, or of none
        known = f"q{rnd.randrange(2_000)}"
        one = {"request_id": rnd.choice((known, *TEXTS, leaf(rnd))) if wild else known}
        if rnd.random() < 0.3:
            one["row"] = rnd.choice((0, 1, 31, -1, 2**40, leaf(rnd))) if wild else 0
    else:
        one = {"receipt": leaf(rnd) if wild and rnd.random() < 0.1 else receipt(rnd, wild)}
    if rnd.random() < 0.7:
        one["correct"] = rnd.random() < 0.5
    else:
        one["reward"] = leaf(rnd) if wild else rnd.random()
    if rnd.random() < 0.3:
        one["truth"] = document(rnd) if wild else rnd.choice(("a", 1.5, True))
    if wild and rnd.random() < 0.1:
        one[rnd.choice(KEYS)] = document(rnd)
    return one


def labels(rnd):
    """A feedback order, and how many labels are in it."""
    count, wild = rnd.choice((1, 1, 3, 20, 200)), rnd.random() < 0.5
    return post(b"/api/v1/feedback", {"labels": [label(rnd, wild) for _ in range(count)]}), count


COMMANDS = (
    b"promote", b"switch", b"pause", b"resume", b"abort", b"rollback", b"retry", b"set-weight",
    b"x", b"%00", b"..",
)  # fmt: skip


def order(rnd):
    body = {}
    for name, values in (
        ("reason", ("because", *TEXTS, "r" * 500, "r" * 501)), ("dry_run", (True, True, False)),
        ("weight", ("25%", "0.01%", "100%", "101%", "-1%", 5, "9" * 400 + "%")),
        ("for", ("30m", "0s", "9" * 300 + "h", 3)), ("full", (True, False)),
        ("force", (True, False)), ("instant", (True,)), ("to", ("v1", "v2", "v9", "\ud800")),
    ):  # fmt: skip
        if rnd.random() < 0.35:
            body[name] = rnd.choice((*values, leaf(rnd)))
    if rnd.random() < 0.1:
        body = document(rnd)
    more = b""
    if rnd.random() < 0.3:
        more += b"If-Match: %b\r\n" % rnd.choice((b'"1"', b"*", b"7", b'"', b"9" * 400, b"\xff"))
    if rnd.random() < 0.3:
        key = rnd.choice((b"k%d" % rnd.randrange(50), b"k" * 300, b"\xe9"))
        more += b"Idempotency-Key: %b\r\n" % key
    route = rnd.choice((b"r", b"s", b"s", b"nobody", b"%ff", b"r%2f"))
    raw = json.dumps(body).encode("utf-8", "surrogatepass")
    if rnd.random() < 0.1:
        raw = body_of(rnd, "json", 0.1)[:70_000]
    return post(b"/api/v1/rollouts/" + route + b"/" + rnd.choice(COMMANDS), raw, more), 1


PATHS = (
    "/healthz", "/api/v1/health", "/readyz", "/metrics", "/api/v1/routes", "/api/v1/routes/r",
    "/api/v1/rollouts/r",
    "/api/v1/rollouts/s/why", "/api/v1/rollouts/r/why?at=5", "/api/v1/rollouts/r/shadow",
    "/api/v1/journal", "/api/v1/journal?limit=1000", "/api/v1/journal?since=3&route=r",
    "/api/v1/whois?route=r&key=a", "/api/v1/session", "/api/v1/openapi.json", "/",
    "/static/app.js", "/static/../x", "/%00", "/api/v1/freeze", "/api/v1/reload", "//", "*",
)  # fmt: skip


def request(rnd):
    """Some request, or something that looks like one."""
    path = rnd.choice(PATHS)
    if rnd.random() < 0.2:
        path += rnd.choice(("?", "&", "/", "#", "%", "?limit=-1", "?at=nan", "?key=" + "k" * 2_000))
    method = rnd.choice(("GET", "GET", "GET", "HEAD", "POST", "PUT", "get", "OPTIONS", "G\x01"))
    head = f"{method} {path} HTTP/1.1\r\nHost: {rnd.choice(('localhost', '127.0.0.1', 'evil', ''))}"
    for _ in range(rnd.randrange(4)):
        name = rnd.choice(("Accept", "Origin", "Cookie", "Authorization", "X-A", "Range", "TE", ""))
        value = rnd.choice(("*/*", "Bearer x", "null", "a" * 3_000, "\t", "é"))
        head += f"\r\n{name}: {value}"
    data = head.encode("latin-1", "replace") + b"\r\n\r\n"
    chance = rnd.random()
    if chance < 0.05:
        place = rnd.randrange(len(data))
        data = data[:place] + rnd.randbytes(rnd.randrange(1, 9)) + data[place:]
    elif chance < 0.07:
        data = rnd.randbytes(rnd.randrange(1, 400)) + b"\r\n\r\n"
    elif chance < 0.08:
        data = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * rnd.choice((200, 30_000)) + b"\r\n"
    return data, 1


def edit(rnd):
    """The policy file with something of it changed."""
    text = POLICY
    if rnd.random() < 0.4:  # one that is understood, mostly
        for old, new in rnd.sample(EDITS, rnd.randrange(1, 4)):
            text = text.replace(old, new)
        return text.encode()
    lines = text.split("\n")
    for _ in range(rnd.choice((1, 1, 2, 5))):
        at = rnd.randrange(1, len(lines) - 1)
        change = rnd.random()
        if change < 0.25:
            del lines[at]
        elif change < 0.4:
            lines[at] = lines[at] * 2
        elif change < 0.6:
            words = lines[at].split(" ")
            words[rnd.randrange(len(words))] = rnd.choice(
                (*TEXTS, *map(str, NUMBERS_SHORT), "[", "{", "&a", "*a", "!!python/x", "${HOME}",
                 "${file:/dev/zero}", "5%", "1h")
            )  # fmt: skip
            lines[at] = " ".join(words)
        elif change < 0.8:
            place = rnd.randrange(len(lines[at]) + 1)
            lines[at] = (
                lines[at][:place] + rnd.choice("\0\t:,{}[]'\"#-&*!|>%@`é\ud800") + lines[at][place:]
            )
        else:
            other = rnd.randrange(1, len(lines) - 1)
            lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


EDITS = (
    ("10%", "15%"), ("1000h", "900h"), ("20%", "100%"), ("/r/*", "/q/*"), ("name: s", "name: t"),
    ("127.0.0.1:3", "127.0.0.1:4"), ("v2", "v3"), ("{dry_run: true}", "{}"), ("1h}", "2h}"),
    ("[a-z]+", "([a-z]+)+x"), ("[a-z]+", "(a)\\\\1"), ("payload: json", "payload: v1"),
    ("error_rate", "latency"), ("log: {sample: 100%", "log: {sample: 0.01%"), ("log: ", "lag: "),
    ("redact: [name]", "redact: [age]"), ("early: 1m", "early: 1s"), ("file: log.db", "file: /x/y"),
    ("monitors: {}", "monitors: {inputs: [age]}"), ("[0, 1]", "[1, 0]"), ("[age, town]", "[age]"),
    ("person: user.id", "person: a"), ("{nulls: {dry_run: true}}", "nulls"),
    ("stable: v1", "stable: v2"), ("approval: {}", "mirror: 100%"),
)  # fmt: skip
NUMBERS_SHORT = (0, -1, 0.5, 10**18, 10**30, float("nan"), 1e308)


def sample(rnd, number):
    first = b'{"y": 1}'
    second = body_of(rnd, "json", 0.02)
    if rnd.random() < 0.002:
        second = gzip.compress(b"[" + b"[]," * 1_390_000 + b"[]]", 1)
    packed = "gzip" if second.startswith(b"\x1f\x8b") else ""
    return PairSample(
        route="r", version="v2", revision=1, request_id=f"q{number}", primary_status=200,
        shadow_status=200, primary_body=first, shadow_body=second, primary_s=0.1, shadow_s=0.1,
        shadow_coding=packed, nonce=rnd.getrandbits(60), segment=rnd.choice(("", "de", "\xff")),
    )  # fmt: skip


def samples(rnd, first, count):
    return [sample(rnd, first + one) for one in range(count)]


def drawn(rnd, number):
    """A live request that was sampled, with what its client and its version said."""
    asked = body_of(rnd, rnd.choice(("v1", "json")), 0.05)
    said = body_of(rnd, "v1", 0.05)
    if rnd.random() < 0.002:
        said = gzip.compress(b"[" + b"[]," * 1_390_000 + b"[]]", 1)
    codings = ["gzip" if one.startswith(b"\x1f\x8b") else "" for one in (asked, said)]
    candidate = rnd.random() < 0.3
    return Sampled(
        route="p", version="v2" if candidate else "v1", revision=1,
        role="candidate" if candidate else "stable", arm=rnd.choice("cd"), weight_bp=1_000,
        counted=True, slice=number // 500, nonce=rnd.getrandbits(60), request_id=f"q{number}",
        key=rnd.choice(("", "ann", "\xff\0", "k" * 900)), at=time.time(),
        seconds=rnd.choice((0.1, 1e9, -1.0)),
        status=rnd.choice((200, 200, 500, 0)), target="/p/x", request=asked, answer=said,
        request_coding=codings[0], answer_coding=codings[1], cut=rnd.choice(("", "", "", "body")),
    )  # fmt: skip


class Site:
    """The plane under fire."""

    def __init__(self, folder, loop):
        self.file = folder / "policy.yaml"
        self.log = str(folder / "log.db")
        self.file.write_text(POLICY.replace("log.db", self.log))
        self.loop = loop
        self.meter = Meter(loop)
        loaded = load(self.file)
        self.plane = Plane(
            loaded, SqliteStore(folder / "r.db"), clock=RolloutClock(), fleet=Elsewhere
        )
        self.admin = AdminServer(self.plane.controller, Admin(listen="127.0.0.1:0"))
        self.seen = Counter()

    async def start(self):
        await self.plane.start(bind=self.admin.bind)
        await self.admin.start()
        gc.collect()
        gc.freeze()  # as main does

    async def stop(self):
        await self.admin.close()
        await self.plane.stop(drain_s=0)

    def fire(self, make, each, rnd):
        """In a thread: requests over one connection after the other."""
        line = Line(self.admin.port)
        sent = 0
        while sent < each:
            data, count = make(rnd)
            self.meter.now = data
            status = line.ask(data, 30 if data.startswith(b"POST /api/v1/") else line.PATIENCE_S)
            self.seen[status] += 1
            if status == 500:
                raise AssertionError(f"500: {data[:500]!r}")
            sent += count
        line.close()

    def edits(self, each, rnd):
        line = Line(self.admin.port)
        for _ in range(each):
            text = edit(rnd).replace(b"log.db", self.log.encode())
            self.file.write_bytes(text)
            self.meter.now = text
            status = line.ask(post(b"/api/v1/reload", {}), 120)
            self.seen[status] += 1
            if status not in (200, 400, 409, 422):
                raise AssertionError(f"{status}: {text!r}")
        self.file.write_text(POLICY.replace("log.db", self.log))
        assert line.ask(post(b"/api/v1/reload", {"force": True}), 30) == 200
        line.close()

    async def answers(self, each, rnd):
        """As they come from a worker: some at a time, no faster than they are read."""
        comparer = self.plane.comparer
        for number in range(0, each, 20):
            # Made elsewhere: its cost is no turn's.
            batch = await asyncio.to_thread(samples, rnd, number, 20)
            self.meter.now = max((one.shadow_body for one in batch), key=len)
            self.plane.pairs(WORKER, PairReport(pairs=tuple(batch)))
            while comparer.waiting > 40:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(60):
            while comparer.waiting:
                await asyncio.sleep(0.01)
        self.seen["told"] += each

    async def samples(self, each, rnd):
        """The same of live requests: read for gates, monitors and the log."""
        samples = self.plane.samples
        for number in range(0, each, 20):
            batch = await asyncio.to_thread(
                lambda first=number: [drawn(rnd, first + one) for one in range(20)]
            )
            self.meter.now = max((one.answer for one in batch), key=len)
            self.plane.sampled(WORKER, SampleReport(samples=tuple(batch)))
            while samples._samples > 40:
                await asyncio.sleep(0.001)
        async with asyncio.timeout(60):
            while samples._samples or samples._ahead:
                await asyncio.sleep(0.01)
        self.seen["told"] += each


MAKE = {"labels": labels, "orders": order, "requests": request}
KINDS = ("samples", "labels", "answers", "requests", "edits", "orders")


async def one_kind(site, kind, each, seed):
    """Fire ``each`` inputs of a kind; what came of it as text, and whether all was well."""
    rnd = random.Random(f"{kind} {seed}")
    site.seen.clear()
    await asyncio.sleep(0.01)  # the turn of what was before is over
    site.meter.fresh()
    began = time.monotonic()
    if kind in ("answers", "samples"):
        await getattr(site, kind)(each, rnd)
    elif kind == "edits":
        await asyncio.to_thread(site.edits, each, rnd)
    else:
        await asyncio.to_thread(site.fire, MAKE[kind], each, rnd)
    meter, health = site.meter, site.plane.controller.health()
    restarts = site.plane.comparer.reader.restarts
    fine = meter.worst_s <= TURN_S_MAX and not BOOKS.failures and health.ok and not restarts
    seen = ", ".join(f"{n:,} {what or 'closed'}" for what, n in sorted(site.seen.items(), key=str))
    text = (
        f"{kind:9} seed {seed}: {each:,} inputs ({seen}); {meter.turns:,} turns, the longest "
        f"{meter.worst_s * 1e3:.1f} ms of CPU, {meter.over} beyond {TURN_S_MAX * 1e3:g} ms; "
        f"{time.monotonic() - began:.0f} s"
    )
    if not fine:
        text += f"\n  longest during {meter.during[:600]!r}\n  {BOOKS.problems()} {health.problems}"
        text += f" reader replaced {restarts} times"
    return text, fine


async def run(kinds, each, seed):
    """All kinds, one after the other, against one plane."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), loop)
        await site.start()
        fine = True
        try:
            for kind in kinds:
                text, well = await one_kind(
                    site, kind, each if kind != "edits" else each // 10, seed
                )
                fine = fine and well
                print(text, flush=True)
        finally:
            await site.stop()
    return fine


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=20_000, help="inputs a kind; a tenth of edits")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    told = parser.parse_args(argv)
    before = structlog.get_config()
    with Path(os.devnull).open("w") as quiet:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(quiet))
        try:
            return 0 if asyncio.run(run(told.kinds, told.each, told.seed)) else 1
        finally:
            structlog.configure(**before)


if __name__ == "__main__":
    sys.exit(main())
