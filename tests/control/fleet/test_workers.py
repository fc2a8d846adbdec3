from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from router.control.fleet.processes import born, listens
from router.control.fleet.workers import Workers
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import MatchEntry, RouteEntry, RoutingTable, VersionEntry
from router.link.messages import Amend, Applied, Beat, Lowered, Publish, ReportSoon, encode
from tests.control.fleet.hearing import Hearing
from tests.reliability.whole import promised

FAKE = Path(__file__).with_name("fake_worker.py")


def table(generation: int) -> RoutingTable:
    version = VersionEntry("v1", (EndpointEntry("127.0.0.1", 1),))
    return RoutingTable(
        generation, (RouteEntry("r", MatchEntry(), (version,), 0, weights_bp=(10_000,)),)
    )


def command(*more: str):
    def argv(fd: int, index: int, listen: str):
        return (
            sys.executable,
            str(FAKE),
            "--link-fd",
            str(fd),
            "--worker",
            str(index),
            "--listen",
            listen,
            *more,
        )

    return argv


async def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


@pytest.fixture
async def make(tmp_path):
    made = []

    def build(count=1, *more, port=0, pids=True):
        workers = Workers(
            count, ("127.0.0.1", port), Hearing(),
            pids_file=tmp_path / "pids" if pids else None, command=command(*more),
        )  # fmt: skip
        made.append(workers)
        return workers

    yield build
    for workers in made:
        await workers.kill()


def ask(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        data = b""
        while chunk := client.recv(4096):
            data += chunk
    return json.loads(data.split(b"\r\n\r\n")[1])["pid"]


async def test_workers_share_a_port_and_confirm_tables(make):
    workers = make(2)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    pids = {await asyncio.to_thread(ask, workers.port) for _ in range(40)}
    assert pids == {w.pid for w in workers.states()}
    workers.publish(table(2))
    assert not workers.ready()
    await workers.applied(2)
    assert all(w.generation == 2 for w in workers.states())


async def test_a_step_is_sent_as_what_changed_and_late_comers_get_everything(make, monkeypatch):
    sent = []
    monkeypatch.setattr(
        "router.control.fleet.workers.encode", lambda m: sent.append(m) or encode(m)
    )
    workers = make(2)
    workers.publish(table(1))
    await workers.start()
    await workers.serving()
    sent.clear()
    moved = replace(table(2).routes[0], revision=1)

    workers.publish(replace(table(2), routes=(moved,)))
    await workers.applied(2)

    assert sent == [Amend(2, 1, (moved,))]
    os.kill(workers.states()[0].pid, signal.SIGKILL)
    await until(lambda: len(sent) == 2)
    await workers.serving()
    assert sent[1] == Publish(replace(table(2), routes=(moved,)))


async def test_a_killed_worker_is_replaced_within_a_second_on_the_same_port(make):
    workers = make(1)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    port, old = workers.port, workers.states()[0].pid
    os.kill(old, signal.SIGKILL)
    began = time.monotonic()
    await until(lambda: workers.ready() and workers.states()[0].pid != old)
    assert time.monotonic() - began < promised(3)  # spawn of an interpreter
    assert await asyncio.to_thread(ask, port) == workers.states()[0].pid


async def test_a_worker_that_does_not_confirm_is_replaced(make, monkeypatch):
    monkeypatch.setattr("router.control.fleet.workers.APPLY_TIMEOUT_S", 0.3)
    workers = make(1, "--deaf")
    workers.publish(table(1))
    await workers.start()
    await until(lambda: workers._workers and workers._workers[0].hello)
    old = workers.states()[0].pid
    await workers.applied(1)
    await until(lambda: not born(old))


async def test_drain_ends_all_and_leaves_no_file(make, tmp_path):
    workers = make(2)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    assert (tmp_path / "pids").exists()
    pids = [w.pid for w in workers.states()]
    workers.begin_drain(5)
    await workers.drained(5)
    assert not any(born(pid) for pid in pids)
    assert not (tmp_path / "pids").exists()


async def test_orphans_serve_until_the_successor_serves_and_then_end(make, tmp_path):
    first = make(1)
    first.publish(table(1))
    await first.start()
    await until(first.ready)
    orphan = first.states()[0].pid
    # As if the control process had been killed: nobody supervises, the link is closed.
    for task in first._tasks:
        task.cancel()
    first._workers[0].link.close()
    pids = (tmp_path / "pids").read_text()
    first._let_go()
    first._gone = lambda _worker: None
    (tmp_path / "pids").write_text(pids)

    second = make(1, port=first.port)
    second.publish(table(2))
    await second.start()
    assert str(orphan) in (tmp_path / "pids").read_text(), "should this one fail too"
    await until(lambda: second.ready() and not listens(orphan))
    await until(lambda: str(orphan) not in (tmp_path / "pids").read_text())
    assert {await asyncio.to_thread(ask, first.port) for _ in range(10)} == {second.states()[0].pid}


async def test_a_start_that_fails_leaves_orphans_to_the_next_one(make, tmp_path):
    """Otherwise the port stays taken for as long as they live."""
    living = os.getpid()
    (tmp_path / "pids").write_text(json.dumps([[living, born(living)], [1 << 22, "1"]]))
    refused = make(1)
    await refused.bind()
    await refused.kill()
    assert json.loads((tmp_path / "pids").read_text()) == [[living, born(living)]]


@pytest.mark.parametrize("shares", [False, True], ids=["another program", "another router"])
async def test_a_port_that_somebody_listens_on_is_an_error(make, monkeypatch, shares):
    """A second router of the same user could share it by SO_REUSEPORT: half of the clients each."""
    monkeypatch.setattr("router.control.fleet.ports.PORT_WAIT_S", 0.1)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"listen: 127.0.0.1:{port} is in use"):
            await make(1, port=port).start()


async def test_a_port_whose_listener_goes_is_waited_for(make):
    """The predecessor drains: its listener closes a moment after it let go of the store."""
    with socket.socket() as reserved, socket.socket() as listening:
        for one in (reserved, listening):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(reserved.getsockname() if one is listening else ("127.0.0.1", 0))
        listening.listen()
        asyncio.get_running_loop().call_later(0.2, listening.close)
        workers = make(1, port=reserved.getsockname()[1])
        workers.publish(table(1))
        await workers.start()
        await until(workers.ready)


async def test_a_worker_that_lives_and_says_nothing_is_replaced_and_readiness_says_so(
    make, monkeypatch
):
    monkeypatch.setattr("router.control.fleet.workers.SILENT_S", 0.6)
    workers = make(1)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    hung = workers.states()[0].pid
    os.kill(hung, signal.SIGSTOP)
    await until(workers.troubles)
    assert not workers.ready()
    assert workers.troubles()[0].startswith("worker 0 said nothing for 0.")
    await until(lambda: workers.ready() and workers.states()[0].pid != hung)
    assert not workers.troubles()
    (who, _), (same, _) = workers._hears.events
    assert (who.number, same) == (0, who)
    assert workers.states()[0].who.boot > who.boot
    assert not born(hung)


async def test_a_worker_that_never_speaks_is_replaced_too(make, monkeypatch):
    monkeypatch.setattr("router.control.fleet.workers.SILENT_S", 0.3)
    workers = make(1, "--mute")
    workers.publish(table(1))
    await workers.start()
    await until(lambda: any("it is replaced" in text for text in workers._hears.texts))


async def test_who_was_held_up_itself_blames_nobody(make):
    workers = make(1)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    for task in workers._tasks[1:]:
        task.cancel()
    now = time.monotonic()
    workers._looked_s = now
    workers.look(now + 60)
    assert not workers._troubles
    workers.look(now + 60.5)
    assert not workers._troubles


async def test_who_connects_while_the_only_worker_is_dead_is_answered_by_the_next(make):
    workers = make(1)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    dead = workers.states()[0].pid
    os.kill(dead, signal.SIGKILL)
    await until(lambda: not workers.states())
    asked = [asyncio.create_task(asyncio.to_thread(ask, workers.port)) for _ in range(20)]
    assert {await one for one in asked} == {workers.states()[0].pid}


async def test_a_worker_that_ends_again_and_again_keeps_nobody_waiting(make, monkeypatch):
    """With others that serve, its queue is given up: they get its clients."""
    monkeypatch.setattr("router.control.fleet.workers.BACKOFF_S", (0.05,))
    workers = make(2)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    good = workers._command
    ends = (sys.executable, "-c", "import sys; sys.exit(1)")
    workers._command = lambda fd, index, listen: good(fd, index, listen) if index else ends
    os.kill(workers._workers[0].process.pid, signal.SIGKILL)
    await until(lambda: sum("it is replaced" in text for text in workers._hears.texts) > 4)
    pids = {await asyncio.to_thread(ask, workers.port) for _ in range(20)}
    assert pids == {workers._workers[1].process.pid}


async def test_all_but_one_are_let_report_when_a_candidate_failed(make):
    workers, sent = make(2), []
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    for number, worker in workers._workers.items():
        worker.link.send = lambda message, number=number: sent.append((number, message)) or True
    first, second = (workers._workers[number].who for number in (0, 1))
    assert workers.hurry(first) == {second}
    assert (1, ReportSoon()) in sent
    assert (0, ReportSoon()) not in sent
    assert workers.hurry(None) == {first, second}


async def test_control_says_that_it_lives_and_answers_who_decided_alone_with_the_table(make):
    workers = make(1)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    sent = []
    worker = workers._workers[0]
    worker.link.send = lambda message: sent.append(message) or True
    worker.link.send_table = lambda encoded: sent.append(encoded) or True
    workers._receive(worker, Lowered(4.2, {"r": "stable only: it fails"}))
    await until(lambda: encode(Publish(table(1))) in sent)
    await until(lambda: Beat() in sent)
    assert workers._hears.texts == [
        "worker 0 sent r to stable only: stable only: it fails (control was silent for 4.2 s)"
    ]


async def test_who_follows_a_later_router_is_neither_ended_nor_waited_for(make, monkeypatch):
    """This one was stopped, its store went to another, and it does not know that yet."""
    monkeypatch.setattr("router.control.fleet.workers.APPLY_TIMEOUT_S", 0.05)
    workers = make(2)
    workers.publish(replace(table(1), term=3))
    await workers.start()
    await until(workers.ready)
    pids = [w.pid for w in workers.states()]
    workers._workers[0].link.send_table = workers._workers[0].link.send_amendment = lambda _raw: (
        True
    )
    workers._receive(workers._workers[0], Applied(1, term=4))
    workers.publish(replace(table(2), term=3))
    await workers.applied(2)
    workers.look(time.monotonic() + 0.5)
    assert workers.troubles() == ["worker 0 follows a router of a later term (4)"]
    assert [(w.term, w.generation) for w in workers.states()] == [(4, 1), (3, 2)]
    assert [w.pid for w in workers.states()] == pids
    assert not workers.ready()


@pytest.mark.parametrize(
    ("seen", "silent_s", "ended"),
    [(("R", 0.1), 4, False), (("R", 0.1), 11, True), (("R", 0.9), 4, True), (("T", 0.0), 4, True),
     (("S", 0.0), 4, True)],
)  # fmt: skip
async def test_a_worker_that_is_hardly_let_run_is_given_longer_than_one_that_hangs(
    make, monkeypatch, seen, silent_s, ended
):
    workers = make(1)
    workers.publish(table(1))
    await workers.start()
    await until(workers.ready)
    for task in workers._tasks[1:]:
        task.cancel()
    (state, had), cpu = seen, [0.0]
    monkeypatch.setattr(
        "router.control.fleet.workers.processes.state_of", lambda _pid: (state, cpu[0])
    )
    sent = []
    monkeypatch.setattr(
        "router.control.fleet.workers.processes.send", lambda pid, number: sent.append(number)
    )
    worker = workers._workers[0]
    worker.link._on_message = lambda _message: None
    now = worker.heard_s = workers._looked_s = time.monotonic()
    for _ in range(silent_s * 4):
        now += 0.25
        cpu[0] += 0.25 * had
        workers.look(now)
        if sent:
            break
    assert bool(sent) is ended
    monkeypatch.undo()


async def test_one_that_ends_before_it_began_leaves_the_file_of_those_that_live(make, tmp_path):
    """A successor that waits for the store and is told to stop: the one it waited for lives on."""
    first = make()
    first.publish(table(1))
    await first.start()
    await until(first.ready)
    written = (tmp_path / "pids").read_text()
    await make().kill()
    assert (tmp_path / "pids").read_text() == written
    await first.kill()
    assert not (tmp_path / "pids").exists()
