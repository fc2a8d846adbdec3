"""The program as a process: start, serve, reload, stop, and kill -9."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from router import main as router_main
from router.control.state.sqlite import SqliteStore
from tests.ports import free_port
from tests.reliability.whole import promised

FAKE = Path(__file__).parent / "control" / "fleet" / "fake_worker.py"

POLICY = """
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{db}
limits: {{drain: 2s}}
routes:
  - name: r
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 1%, hold: 1h}}, {{weight: 50%, hold: 1h}}]}}}}
"""

LAUNCH = """
import asyncio, os, sys
class Told:
    def find_spec(name, *_):
        if file := os.environ.get("TOLD_OF_IMPORTS"):
            print(name, file=open(file, "a"))
sys.meta_path.insert(0, Told)
from router.main import run
from router.telemetry.log import configure
configure(json=True)
def command(fd, index, listen):
    options = "--link-fd", str(fd), "--worker", str(index), "--listen", listen
    return (sys.executable, {fake!r}, *options)
sys.exit(asyncio.run(run({policy!r}, command=command, force="--force" in sys.argv)))
"""


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
async def launch(tmp_path, port):
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.format(port=port, db=tmp_path / "r.db"))
    started = []

    async def start(*more, **env):
        code = LAUNCH.format(fake=str(FAKE), policy=str(file))
        # A file, not a pipe: workers inherit it, and asyncio waits for the end of pipes.
        out = tmp_path / f"log-{len(started)}"
        with out.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, *more, stderr=stderr,
                env=os.environ | {"GRACE_S": "20"} | env,
            )  # fmt: skip
        process.log = out
        started.append(process)
        await until(lambda: heard(process, "serving") or process.returncode is not None)
        return process, heard(process, "serving"), lines(process)

    yield start, file
    for process in started:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def lines(process):
    text = process.log.read_text().splitlines()
    return [json.loads(line) if line.startswith("{") else {"event": line} for line in text]


def heard(process, event):
    return next((line for line in lines(process) if line["event"] == event), None)


async def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)
    return found


async def api(said, path, method="GET", **body):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, said["admin"] + path, json=body if method == "POST" else None) as r,
    ):
        return r.status, await r.json()


def ask(port):
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        data = b""
        while chunk := client.recv(4096):
            data += chunk
    return json.loads(data.split(b"\r\n\r\n")[1])


async def test_it_serves_and_stops_cleanly_at_sigterm(launch, port):
    start, _ = launch
    process, said, _ = await start()
    assert (await asyncio.to_thread(ask, port))["version"] in ("v1", "v2")
    assert (await api(said, "/readyz"))[0] == 200
    process.send_signal(signal.SIGTERM)
    await process.wait()
    assert process.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(ask, port)


async def test_it_imports_as_it_starts_what_a_later_policy_may_name(launch, tmp_path):
    """What is on the disk by then may be of another version."""
    start, _ = launch
    told = tmp_path / "imports"
    await start(TOLD_OF_IMPORTS=str(told))
    later = {"router.core.gates.resources", "router.core.gates.fairness"}
    await until(lambda: later <= set(told.read_text().split()))


async def test_sighup_takes_a_good_edit_and_refuses_a_bad_one(launch):
    start, file = launch
    process, said, _ = await start()
    good = file.read_text()
    file.write_text(good.replace("candidate: v2", "candidate: v9"))
    process.send_signal(signal.SIGHUP)
    await until(lambda: heard(process, "policy_rejected"))
    file.write_text(good + "\n# mended\n")
    process.send_signal(signal.SIGHUP)
    await until(lambda: sum(x["event"] == "policy_accepted" for x in lines(process)) == 2)
    assert (await api(said, "/api/v1/rollouts/r"))[1]["candidate"] == "v2"


@pytest.mark.parametrize("taken", ["listen", "admin"])
async def test_a_start_that_fails_has_begun_nothing(launch, tmp_path, taken):
    """Both addresses are had before the first rollout begins."""
    start, file = launch
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        where = f"127.0.0.1:{other.getsockname()[1]}"
        text = file.read_text()
        old = text.splitlines()[1 if taken == "listen" else 2]
        new = f"listen: {where}" if taken == "listen" else f'admin: {{listen: "{where}"}}'
        file.write_text(text.replace(old, new))
        process, _, said = await start()
    assert process.returncode == 1
    key = "listen" if taken == "listen" else "admin.listen"
    told = f"{key}: {where} is in use by another program; stop that one, or write another address"
    assert next(line for line in said if line["event"] == "cannot_start")["error"] == told
    assert said[-1] == {"event": f"rampway: {told}"}
    store = SqliteStore(tmp_path / "r.db")
    stored = await store.open()
    assert stored.records == {}
    assert await store.journal(None, since=0, until=None, limit=10) == []
    await store.close()


@pytest.mark.parametrize(
    ("spoil", "status", "word"),
    [
        (lambda f: f.write_text("routes: 7\n"), 2, "routes"),
        (lambda f: (f.parent / "r.db").write_bytes(b"x" * 5_000), 1, "r.db"),
    ],
)
async def test_what_cannot_start_says_why_and_ends(launch, spoil, status, word):
    start, file = launch
    spoil(file)
    began = time.monotonic()
    process, serving, said = await start()
    assert serving is None
    await process.wait()
    assert process.returncode == status
    assert word in json.dumps(said)
    assert time.monotonic() - began < promised(5)


async def test_kill_9_and_start_serves_the_same_position_on_the_same_port(launch, port):
    """R1, R2, R42: the position survives, the port comes back, orphans do not stay."""
    start, _ = launch
    process, said, _ = await start()
    status, answer = await api(said, "/api/v1/rollouts/r/promote", "POST")
    assert (status, answer["weight_bp"]) == (200, 5_000)
    before = await asyncio.to_thread(ask, port)
    process.kill()
    await process.wait()
    assert (await asyncio.to_thread(ask, port))["pid"] == before["pid"], "the orphan serves on"
    began = time.monotonic()
    process, said, _ = await start()
    assert time.monotonic() - began < promised(3)
    assert (await api(said, "/api/v1/rollouts/r"))[1]["weight_bp"] == 5_000
    assert before["pid"] not in {(await asyncio.to_thread(ask, port))["pid"] for _ in range(20)}

    await api(said, "/api/v1/rollouts/r/rollback", "POST", reason="no")
    process.kill()
    await process.wait()
    process, said, _ = await start()
    assert (await api(said, "/api/v1/rollouts/r"))[1]["phase"] == "rolled_back"
    assert {(await asyncio.to_thread(ask, port))["version"] for _ in range(40)} == {"v1"}


async def test_a_successor_takes_over_without_a_refused_connection(launch, port):
    """R40: the new process waits for the store; the old one stops deciding, its workers go last."""
    start, _ = launch
    first, _, _ = await start()
    old = (await asyncio.to_thread(ask, port))["pid"]
    starting = asyncio.create_task(start())
    await until(lambda: _flocked(first.log.parent / "r.db.next"))
    first.terminate()
    answers, refused = [], 0
    deadline = time.monotonic() + 10
    while not answers or answers[-1] == old or not starting.done():
        assert time.monotonic() < deadline
        try:
            answers.append((await asyncio.to_thread(ask, port))["pid"])
        except ConnectionRefusedError:
            refused += 1
        except (ConnectionResetError, IndexError):
            pass  # in the accept queue of the listener that closed: the real worker empties it
        await asyncio.sleep(0.005)
    assert refused == 0
    _, serving, _ = await starting
    assert serving is not None
    await first.wait()
    assert first.returncode == 0


def _flocked(path):
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("name", ["", "my pod", "a\nb", "-a", "a/b", "x" * 64, "\udcff"])
def test_a_replica_whose_name_is_none_does_not_start(name, tmp_path, capsys):
    argv = [str(tmp_path / "not-looked-at.yaml"), f"--replica={name}"]
    assert router_main.main(argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("rampway: --replica: expected a name of at most 63 letters, digits,")
    assert said.count("\n") == 1


def test_the_router_starts_without_rich():
    script = "import sys, router.main; print({'rich', 'pygments'} & {*sys.modules})"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert ended.stdout == "set()\n"


EARLY = """
import os, signal
from router.link import spare
spare.fork = lambda _job: None
from router import __main__ as command, main
main.serve = lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
command.serve("policy.yaml")
"""


def test_who_is_told_to_stop_before_it_listens_to_signals_ends_with_0():
    assert subprocess.run([sys.executable, "-c", EARLY], check=False).returncode == 0


async def test_a_stop_that_hangs_is_bounded(monkeypatch):
    monkeypatch.setattr(router_main, "LATE_S", 0.0)
    monkeypatch.setattr(router_main, "KILLED_S", 0.0)
    killed = []

    class Hanging:
        async def stop(self, *, drain_s):
            await asyncio.Event().wait()

        async def kill(self):
            killed.append(True)

    async with asyncio.timeout(20):
        assert not await router_main._drain(Hanging(), router_main.Signals(), 0.0)
    assert killed
