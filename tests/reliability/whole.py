"""The whole program as processes: the router, two prediction services, and clients that count."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START_S = 60.0
"""A start on a machine that is busy with everything else."""
ANSWER_S = 30.0
PATIENCE = 10
PATIENCE_S = 20.0


def strict():
    """Whether the promised times themselves are asserted (``--strict-times``)."""
    return os.environ.get("RAMPWAY_STRICT_TIMES") == "1"


def promised(seconds):
    """The bound for something that is promised within ``seconds`` on two cores that are free.

    How fast a machine is says nothing about a change, so in an ordinary run the bound only tells
    late from never; what is asserted beside it is what happens. ``make measure-reliability``
    asserts the times.
    """
    return seconds if strict() else seconds * PATIENCE + PATIENCE_S


def standing(status):
    """Whether a rollout has no traffic yet, since no worker has reached its candidate."""
    return "is not ready" in status["waits_for"] or (
        status["phase"] == "progressing" and status["reason"].endswith(" started")
    )


PREDICT = "/v2/models/flight-delay/infer"
BODY = json.dumps(
    {"id": "r", "inputs": [{"name": "flight_id", "shape": [1], "datatype": "BYTES",
                            "data": ["UA1545.EWR.2013-01-01.0515"]}]}
).encode()  # fmt: skip

POLICY = """
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{admin}"}}
store: {store}
workers: {workers}
limits: {{drain: {drain}}}
{top}
routes:
  - name: flights
    match: {{path: /*}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    {rollout}
"""

ROLLOUT = """rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{steps}], bake: 1h}}}}
      gates: [error_rate]
"""

STEPS = "{weight: 20%, hold: 1h}, {weight: 50%, hold: 1h}, {weight: 80%, hold: 1h}"


def until(condition, seconds=ANSWER_S, what="it"):
    """What ``condition`` answers once that is true; fails after ``seconds`` and some patience.

    A key that is not told yet is waited for as well: only at the end it is an error.
    """
    deadline = time.monotonic() + seconds + PATIENCE_S
    while True:
        missing = None
        try:
            if found := condition():
                return found
        except LookupError as error:
            missing = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s") from missing
        time.sleep(0.01)


def call(url, method="GET", body=None, headers=None):
    """(status, decoded JSON or text) of one HTTP request."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    named = {"Content-Type": "application/json"} | (headers or {})
    request = urllib.request.Request(url, data, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return answer.status, _plain(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _plain(error.read())


def _plain(raw):
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


# --- prediction services -------------------------------------------------------------------------


class Service:
    """One ``python -m prediction_services serve --version static``."""

    def __init__(self, name: str, folder: Path, host: str = "127.0.0.1"):
        self.name, self.host = name, host
        self.port_file = port_file = folder / f"{name}.port"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prediction_services", "serve", "--version", "static",
             "--name", name, "--host", host, "--port-file", str(port_file), "--exit-with-parent"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self.url = ""

    def serving(self):
        """Wait until it says where."""
        file = self.port_file
        until(lambda: file.exists() and file.read_text().strip(), START_S, self.name)
        self.url = f"http://{self.host}:{int(file.read_text())}"

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)

    def faults(self, **kinds):
        """Switch faults on; none given: all off."""
        status, said = call(f"{self.url}/admin/faults", "PUT", kinds)
        assert status == 200, said

    def requests(self) -> int:
        """Predictions asked of it so far, whatever came of them."""
        text = call(f"{self.url}/metrics")[1]
        rows = [x for x in text.splitlines() if x.startswith("prediction_requests_total")]
        return sum(int(float(row.split()[-1])) for row in rows)


@pytest.fixture(scope="session")
def both(tmp_path_factory):
    """Two services, v1 and v2, for the whole run."""
    folder = tmp_path_factory.mktemp("services")
    with contextlib.ExitStack() as started:
        made = tuple(Service(name, folder) for name in ("v1", "v2"))
        for service in made:
            started.callback(service.end)
        for service in made:
            service.serving()
        yield made


@pytest.fixture
def services(both):
    """The two services without faults."""
    yield both
    for service in both:
        service.faults()


# --- the router ----------------------------------------------------------------------------------


class Router:
    """One ``rampway serve``; a later start on the same folder is a later life of it."""

    def __init__(self, folder: Path, policy: Path, *arguments: str, limits=None, cwd=None):
        lives = len(list(folder.glob("log-*")))
        self.folder = folder
        self.policy = policy
        # A file, not a pipe: workers inherit it and may outlive the control process.
        self.log_file = folder / f"log-{lives}"
        self.began = time.monotonic()
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "router", "serve", str(policy), "--log", "json", *arguments],
                stdout=log, stderr=log, cwd=cwd, preexec_fn=limits,  # noqa: PLW1509 - sets a limit
            )  # fmt: skip
        self.took_s = 0.0

    def serving(self, seconds=START_S):
        """Wait until it says that it serves."""
        said = until(lambda: self.heard("serving") or self.process.poll() is not None, seconds)
        assert said is not True, f"it ended: {self.log_file.read_text()[-2000:]}"
        self.took_s = time.monotonic() - self.began
        host, _, port = said["listen"].rpartition(":")
        self.host, self.port, self.admin = host, int(port), said["admin"]
        return self

    def lines(self):
        found = []
        text = self.log_file.read_text() if self.log_file.exists() else ""
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def heard(self, event):
        return next((line for line in self.lines() if line.get("event") == event), None)

    # orders

    def api(self, path, method="GET", body=None, headers=None):
        return call(self.admin + path, method, body, headers)

    def order(self, command, **fields):
        """An order about the route flights; asserts that it was carried out."""
        if command in ("set-weight", "promote"):
            self.position()
        status, said = self.api(f"/api/v1/rollouts/flights/{command}", "POST", fields)
        assert status == 200, said
        return said

    def status(self):
        status, said = self.api("/api/v1/rollouts/flights")
        assert status == 200, said
        return said

    def position(self):
        """What R1 is about; once a worker has reached the candidate, so that it is not moving."""
        deadline = time.monotonic() + 10
        while standing(said := self.status()):
            assert time.monotonic() < deadline, said["waits_for"]
            time.sleep(0.02)
        return said["revision"], said["phase"], said["step"], said["weight_bp"]

    def in_force(self):
        """Wait until every worker serves by the newest table."""
        until(lambda: self.api("/readyz")[0] == 200, what="a table in force")

    def workers(self):
        return [one["pid"] for one in self.api("/healthz")[1]["workers"]]

    # ends

    def terminate(self, seconds=START_S):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        self.process.kill()
        self.process.wait(5)

    def orphans(self):
        """Workers that a killed life left behind, by its file of process ids."""
        found = []
        for file in self.folder.glob("*.workers"):
            with contextlib.suppress(OSError, ValueError):
                found += [pid for pid, _ in json.loads(file.read_text())]
        return [pid for pid in found if Path(f"/proc/{pid}").exists()]

    def end(self):
        """Leave nothing behind, whatever state it is in."""
        if self.process.poll() is None:
            self.terminate()
        for pid in self.orphans():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def policy_text(folder, services, *, rollout=True, steps=STEPS, **more):
    section = ROLLOUT.format(steps=steps) if rollout is True else rollout or ""
    fields = {
        "port": 0, "admin": 0, "workers": 1, "drain": "5s", "top": "",
        "store": f"sqlite:///{folder}/r.db",
        "v1": services[0].url, "v2": services[1].url, "rollout": section,
    }  # fmt: skip
    return POLICY.format(**(fields | more))


class Site:
    """A folder with a policy and the lives of the router in it."""

    def __init__(self, folder: Path, services):
        self.folder = folder
        self.services = services
        self.file = folder / "policy.yaml"
        self.lives: list[Router] = []

    def write(self, text=None, **fields):
        self.file.write_text(text or policy_text(self.folder, self.services, **fields))
        return self

    def start(self, *arguments, wait=True, **more) -> Router:
        life = Router(self.folder, self.file, *arguments, **more)
        self.lives.append(life)
        return life.serving() if wait else life

    def keep_ports(self, life: Router) -> Router:
        """Write the ports that the kernel chose into the policy: the next life takes them too."""
        text = self.file.read_text().replace(
            "listen: 127.0.0.1:0", f"listen: 127.0.0.1:{life.port}"
        )
        admin = life.admin.rpartition("/")[2]
        self.file.write_text(text.replace('listen: "127.0.0.1:0"', f'listen: "{admin}"'))
        return life

    def end(self):
        for life in self.lives:
            life.end()


@pytest.fixture
def site(tmp_path, services):
    """A folder of its own; every life of the router in it is ended."""
    made = Site(tmp_path, services)
    yield made
    made.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, both):
    """One router for the tests of a module that leave it as they found it."""
    made = Site(tmp_path_factory.mktemp("router"), both)
    yield made
    made.end()


def buried(pid):
    """Whether what a killed process had is closed: its sockets die with its last thread."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state in "ZX" and len(list(Path(f"/proc/{pid}/task").iterdir())) <= 1
    except OSError:
        return True


class Forked:
    """A life whose process is a child of the nursery: to be polled and killed by pid."""

    def __init__(self, pid: int):
        self.pid = pid

    def poll(self):
        """0 for one that ended, however it did; None while it lives."""
        return 0 if buried(self.pid) else None

    def wait(self, seconds=START_S):
        until(lambda: self.poll() is not None, seconds, "the end of a process")
        return 0

    def send_signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Starts lives in a tenth of the time: everything is imported once."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, site, fail="-", wait=True) -> Router:
        life = Router.__new__(Router)
        life.folder, life.policy = site.folder, site.file
        life.log_file = site.folder / f"log-{len(site.lives)}"
        life.began = time.monotonic()
        self.process.stdin.write(f"{site.file} {life.log_file} {fail}\n")
        self.process.stdin.flush()
        life.process = Forked(int(self.process.stdout.readline()))
        site.lives.append(life)
        return life.serving() if wait else life

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture(scope="session")
def nursery():
    """One for the whole run."""
    made = Nursery()
    yield made
    made.end()


# --- clients -------------------------------------------------------------------------------------


@dataclass
class Lost:
    """A request without a complete answer."""

    why: str
    connected_s: float
    """When its connection was begun."""


@dataclass
class Tally:
    """What clients saw."""

    statuses: Counter = field(default_factory=Counter)
    versions: Counter = field(default_factory=Counter)
    lost: list[Lost] = field(default_factory=list)
    slowest_s: float = 0.0
    gap_s: float = 0.0
    """Longest time between two answers, over all clients."""
    last_s: float = 0.0

    @property
    def answered(self):
        return sum(self.statuses.values())

    def book(self, status, body, took_s):
        now = time.monotonic()
        if self.last_s:
            self.gap_s = max(self.gap_s, now - self.last_s)
        self.last_s = now
        self.statuses[status] += 1
        self.slowest_s = max(self.slowest_s, took_s)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            self.versions[json.loads(body)["model_version"]] += 1


def request(path=PREDICT, body=BODY, headers=""):
    method = "POST" if body else "GET"
    return (
        f"{method} {path} HTTP/1.1\r\nHost: router.test\r\n{headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def read_answer(reader):
    """(status, headers, body) of one answer with a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.split("\r\n")
    fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest if line)}
    body = await reader.readexactly(int(fields.get("content-length", 0)))
    return int(first.split()[1]), fields, body


async def ask(port, sent=None, **connecting):
    """One request on a connection of its own."""
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, **connecting)
        try:
            writer.write(sent or request(headers="Connection: close\r\n"))
            return await read_answer(reader)
        finally:
            writer.transport.abort()


async def asked(port, count, at_once=4):
    """A tally of ``count`` fresh requests."""
    tally = Tally()

    async def some(n):
        for _ in range(n):
            began = time.monotonic()
            status, _, body = await ask(port)
            tally.book(status, body, time.monotonic() - began)

    await asyncio.gather(*(some(count // at_once) for _ in range(at_once)))
    return tally


class Load:
    """Clients that ask until told to stop: some on kept connections, some on fresh ones.

    A request is lost when it got no complete answer, on a kept connection too unless the server had
    said ``Connection: close`` in its answer before. ``within``: where their sockets are made.
    """

    def __init__(
        self, port, *, kept=4, fresh=2, pause_s=0.03, patient=False, tls=None, within=None
    ):
        self.port = port
        self.within = within
        self.tally = Tally()
        self.pause_s = pause_s
        self.tls = tls
        self.patient = patient
        """Refused connections are counted as waiting, not as lost: nobody listens for a while."""
        self.refused = 0
        self._stop = asyncio.Event()
        self._jobs = [self._kept() for _ in range(kept)] + [self._fresh() for _ in range(fresh)]

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(job) for job in self._jobs]
        await self.more(20)
        return self

    async def __aexit__(self, *_):
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def more(self, count, seconds=ANSWER_S):
        """Wait for that many further answers."""
        wanted = self.tally.answered + count
        async with asyncio.timeout(seconds):
            while self.tally.answered < wanted:
                await asyncio.sleep(0.005)

    async def _open(self):
        began = time.monotonic()
        try:
            streams = await self._connected()
        except ConnectionRefusedError:
            self.refused += 1
            if not self.patient:
                self.tally.lost.append(Lost("refused", began))
            await asyncio.sleep(0.01)
            return None
        except OSError as error:
            self.tally.lost.append(Lost(repr(error), began))
            return None
        return *streams, began

    async def _connected(self):
        if self.within is None:
            return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        with self.within:
            made = socket.socket()
        made.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self.port))
        except BaseException:
            made.close()
            raise
        return await asyncio.open_connection(sock=made)

    async def _once(self, streams, sent):
        """Whether the connection may be used again."""
        reader, writer, connected = streams
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                writer.write(sent)
                status, fields, body = await read_answer(reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.tally.lost.append(Lost(repr(error), connected))
            return False
        self.tally.book(status, body, time.monotonic() - began)
        await asyncio.sleep(self.pause_s)
        return fields.get("connection") != "close"

    async def _kept(self):
        while not self._stop.is_set():
            if (streams := await self._open()) is None:
                continue
            while not self._stop.is_set() and await self._once(streams, request()):
                pass
            streams[1].transport.abort()

    async def _fresh(self):
        sent = request(headers="Connection: close\r\n")
        while not self._stop.is_set():
            if (streams := await self._open()) is not None:
                await self._once(streams, sent)
                streams[1].transport.abort()


class Steady:
    """Clients that come at a rate, whatever became of those before; each asks once and goes.

    Nobody who comes waits for anybody: while nothing answers they pile up.
    """

    WAITING_MAX = 8_000
    CAUGHT_UP = 25

    def __init__(self, port, per_s):
        self.port, self.per_s = port, per_s
        self.answered, self.refused, self.turned = Counter(), 0, 0
        """Statuses; connections that were refused; clients that were not let in by us."""
        self.lost: list[Lost] = []
        self.took_s = 0.0
        self._stop = asyncio.Event()
        self._asking = set()

    async def __aenter__(self):
        self._began = time.monotonic()
        self._coming = asyncio.create_task(self._come())
        return self

    async def __aexit__(self, *_):
        self.took_s = time.monotonic() - self._began
        self._stop.set()
        await self._coming
        await asyncio.gather(*self._asking)

    async def more(self, count):
        """Wait for that many further answers, and until those who piled up have theirs."""
        wanted = self.answered.total() + count
        async with asyncio.timeout(120):
            while self.answered.total() < wanted or len(self._asking) > self.CAUGHT_UP:
                await asyncio.sleep(0.02)

    @property
    def came(self):
        return sum(self.answered.values()) + len(self.lost) + len(self._asking)

    async def _come(self):
        sent = request(headers="Connection: close\r\n")
        sent_to = 0
        while not self._stop.is_set():
            due = int((time.monotonic() - self._began) * self.per_s)
            come, sent_to = due - sent_to, due
            for _ in range(come):
                if len(self._asking) >= self.WAITING_MAX:
                    self.turned += 1
                    continue
                task = asyncio.create_task(self._ask(sent))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            await asyncio.sleep(0.004)

    async def _ask(self, sent):
        began = time.monotonic()
        try:
            status, _, _ = await ask(self.port, sent)
        except ConnectionRefusedError:
            self.refused += 1
            self.lost.append(Lost("refused", began))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.lost.append(Lost(repr(error), began))
        else:
            self.answered[status] += 1


async def in_thread(call_, *arguments, **named):
    """Run blocking test code while the clients of this loop go on."""
    return await asyncio.to_thread(call_, *arguments, **named)
