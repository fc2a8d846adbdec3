"""Every loop of the program is hit by an exception in its turn, and goes on."""

from __future__ import annotations

import ast
import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from router import loops
from router.admin.connections import Connections
from router.admin.server import AdminServer
from router.admin.stream import Hub
from router.config.check import load
from router.control.fleet.local import local
from router.control.fleet.reader import ReaderProcess
from router.control.fleet.workers import Workers
from router.control.outside import traces
from router.control.outside.judges import Judges
from router.control.outside.measure import Asker, Inquiry
from router.control.outside.outbox import Delivery, Outbox
from router.control.outside.outreach import Outreach
from router.control.outside.questions import Questions
from router.control.outside.scrapes import Scrapes
from router.control.plane import Plane
from router.control.predictions.watching import Watching
from router.control.reviews import queue
from router.control.reviews.questions import FileQuestions
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.recording import Writer
from router.control.state.errors import StoreUnavailable
from router.control.state.evidence import TrialState
from router.control.state.record import Change
from router.control.state.sqlite import SqliteStore
from router.control.watch import PolicySource
from router.core.gates.webhook import Webhook
from router.core.policy.server import TracesPolicy
from router.core.wire.outcomes import Batch
from router.core.wire.table import HealthCheck, TlsEntry, VersionEntry
from router.garbage import Garbage
from router.loops import BOOKS
from router.main import Signals, _until_stopped, program
from router.proxy.worker import Worker
from router.upstream import health
from router.upstream.names import _Name
from tests.control.conftest import World, canary
from tests.control.told.test_controller import command
from tests.waiting import for_ever

ROOT = Path(__file__).parents[1]
ERRORS = (MemoryError("no more"), RecursionError("too deep"), UnicodeError("\ud800"))


@pytest.fixture(autouse=True)
def books():
    BOOKS.__init__()
    told = []
    BOOKS.tell = told.append
    yield told
    BOOKS.__init__()
    BOOKS.tell = lambda _failure: None


async def until(condition, within_s=20):
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


# --- the registry ---------------------------------------------------------------------------------


async def test_what_a_turn_raises_costs_that_turn(books):
    turns = []

    async def turn():
        turns.append(len(turns))
        if len(turns) <= len(ERRORS):
            raise ERRORS[len(turns) - 1]
        await asyncio.sleep(0)

    task = loops.background("test", loops.forever("test", turn))
    await until(lambda: len(turns) > 6)
    task.cancel()
    assert BOOKS.failures["test"].count == 3
    assert BOOKS.take() == {"test": 3}
    assert BOOKS.take() == {}
    (line,) = BOOKS.problems()
    assert line.startswith("loop test: failed 3 times, last: UnicodeError")
    line.encode()  # half a surrogate pair of foreign text went no further
    assert [failure.error.split(":")[0] for failure in books] == [
        "MemoryError",
        "RecursionError",
        "UnicodeError",
    ]


async def test_one_place_is_told_once_and_counted_each_time(books):
    for _ in range(5):
        with loops.net("test"):
            raise ValueError(ERRORS)
    assert (BOOKS.failures["test"].count, len(books)) == (5, 1)


async def test_a_turn_that_waits_for_nothing_does_not_hold_the_loop():
    async def turn():
        pass

    task = loops.background("test", loops.forever("test", turn))
    async with asyncio.timeout(30):
        await asyncio.sleep(0.01)
    task.cancel()


async def test_the_end_of_a_job_is_counted_and_cancelling_is_no_failure(books):
    async def fails():
        raise OSError("gone")

    task = loops.background("job", fails())
    other = loops.background("other", for_ever())
    other.cancel()
    await asyncio.gather(task, other, return_exceptions=True)
    await asyncio.sleep(0)
    assert list(BOOKS.failures) == ["job"]


def test_a_thread_tells_its_end_and_what_ended_it():
    ended = []

    def job():
        raise MemoryError

    loops.thread("test", job, lambda: ended.append(1)).join()
    assert (ended, BOOKS.failures["test"].count) == ([1], 1)


def test_a_log_that_fails_ends_nothing():
    def tell(_failure):
        raise OSError("disk full")

    BOOKS.tell = tell
    with loops.net("test"):
        raise ValueError
    assert BOOKS.failures["test"].count == 1


# --- every loop of the program --------------------------------------------------------------------


class Fails:
    """A function that raises the first three times it is called; what it does then is its own."""

    def __init__(self, monkeypatch, where, name):
        self.calls = 0
        real = getattr(where, name)
        waits = asyncio.iscoroutinefunction(real)

        def now(*args, **named):
            self.calls += 1
            if self.calls <= len(ERRORS):
                raise ERRORS[self.calls - 1]
            return real(*args, **named)

        async def later(*args, **named):
            return await now(*args, **named)

        monkeypatch.setattr(where, name, later if waits else now)


async def test_loops_of_the_control_process_go_on(tmp_path, monkeypatch):
    sabotaged = {
        "decider": Fails(monkeypatch, Reconciler, "turn"),
        "policy": Fails(monkeypatch, PolicySource, "_look"),
        "questions": Fails(monkeypatch, Questions, "turn"),
        "judges": Fails(monkeypatch, Judges, "turn"),
        "lag": Fails(monkeypatch, Plane, "_watch_lag"),
        "history": Fails(monkeypatch, Plane, "_remember"),
        "alerts": Fails(monkeypatch, Outreach, "_look"),
        "watch": Fails(monkeypatch, Workers, "_watch"),
        "reader": Fails(monkeypatch, ReaderProcess, "_life"),
        "stream": Fails(monkeypatch, Hub, "_statuses"),
        "sweep": Fails(monkeypatch, Connections, "sweep"),
    }
    monkeypatch.setattr("router.admin.server.SWEEP_S", 0.01)
    file = tmp_path / "policy.yaml"
    file.write_text(
        f"listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0}}\n{canary()}", encoding="utf-8"
    )
    plane = Plane(load(file), SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
    admin = AdminServer(plane.controller, plane.loaded.policy.admin)
    await plane.start()
    await admin.start()
    try:
        await until(lambda: all(one.calls > len(ERRORS) for one in sabotaged.values()))
        assert {name: BOOKS.failures[name].count for name in sabotaged} == dict.fromkeys(
            sabotaged, len(ERRORS)
        )
        problems = plane.controller.health().problems
        for name in sabotaged:
            assert any(line.startswith(f"loop {name}: failed 3 times") for line in problems)
            line = f'rampway_loop_failures_total{{process="control",loop="{name}"}} 3'
            assert line in await plane.controller.metrics_text()
        plane._failed("worker-0", {"reports": 2})
        assert "loop reports of worker-0: failed 2 times" in plane.controller.health().problems
        line = 'rampway_loop_failures_total{process="worker-0",loop="reports"} 2'
        assert line in await plane.controller.metrics_text()
        assert (await plane.controller.reload()).changed is False
    finally:
        await admin.close()
        await plane.stop(drain_s=1)


async def test_reports_of_a_worker_go_on_and_tell_their_failures(monkeypatch):
    sent = []

    class Link:
        open, outbox_bytes = True, 0

        def send(self, message):
            sent.append(message)
            return True

    monkeypatch.setattr("router.proxy.worker.REPORT_S", 0.001)
    worker = Worker(0, ("127.0.0.1", 0))
    worker.link = Link()
    broken = Fails(monkeypatch, worker, "report")
    task = loops.background("reports", loops.forever("reports", worker._report_regularly))
    await until(lambda: sent)
    task.cancel()
    assert broken.calls > 3
    assert sent[0].failures == {"reports": 3}


async def test_probes_go_on(monkeypatch):
    broken = Fails(monkeypatch, health, "settle")

    async def probe(*_):
        return True

    monkeypatch.setattr(health, "probe", probe)
    entry = VersionEntry("v1", (), health=HealthCheck("/ready", interval_s=0.001))
    prober = health.Prober(lambda: None)
    prober._plan = (entry.health, TlsEntry())
    task = loops.background(
        "health", loops.forever("health", lambda: prober._watch(None, entry.health, TlsEntry()))
    )
    with contextlib.suppress(AttributeError):
        await until(lambda: broken.calls > 3)
    task.cancel()
    assert BOOKS.failures["health"].count >= 3


async def test_names_are_looked_up_again(monkeypatch):
    monkeypatch.setattr("router.upstream.names.AGAIN_S", 0.001)
    broken = Fails(monkeypatch, _Name, "_look")
    monkeypatch.setattr("router.upstream.names.addresses", broken_lookup)
    name = _Name("x.invalid")
    task = loops.background("names", name.watch())
    await until(lambda: broken.calls > 4)
    task.cancel()
    assert BOOKS.failures["names"].count == 3
    assert name.error == "no such name"


async def broken_lookup(_host):
    raise OSError("no such name")


async def test_a_certificate_that_cannot_be_looked_at_is_looked_at_again(monkeypatch):
    monkeypatch.setattr("router.control.plane.CERTIFICATE_EVERY_S", 0.001)

    class Certificate:
        certificate = "c.pem"

        def refresh(self):
            return False

    broken = Fails(monkeypatch, Certificate, "refresh")
    turn = Plane._watch_certificate
    task = loops.background(
        "certificate", loops.forever("certificate", lambda: turn(None, Certificate()))
    )
    await until(lambda: broken.calls > 4)
    task.cancel()
    assert BOOKS.failures["certificate"].count == 3


async def test_garbage_is_looked_after_for_ever(monkeypatch):
    monkeypatch.setattr("router.garbage.LOOK_EVERY_S", 0.001)
    broken = Fails(monkeypatch, Garbage, "turn")
    started = []

    async def served(*_, on_ready, **__):
        on_ready(None, None)
        await until(lambda: broken.calls > 4)

    monkeypatch.setattr("router.main.run", served)
    monkeypatch.setattr(Garbage, "begin", lambda _: started.append(1))
    await program("policy.yaml")
    assert (BOOKS.failures["garbage"].count, len(started)) == (3, 1)


async def test_a_reload_that_raises_is_followed_by_the_next():
    asked, reloads = Signals(), []

    class Source:
        async def reload(self, actor):
            reloads.append(actor)
            raise MemoryError

    class Running:
        source = Source()

        async def watch_tasks(self):
            await asyncio.Event().wait()

    serving = loops.awaited(_until_stopped(Running(), asked))
    for number in range(1, 4):
        asked.reload.set()
        await until(lambda n=number: len(reloads) == n)
    assert BOOKS.failures["reload"].count == 3
    asked.stop.set()
    await serving


# --- items ----------------------------------------------------------------------------------------


async def test_a_rollout_that_cannot_be_judged_hides_no_other(monkeypatch):
    text = canary().replace("- name: r\n", "- name: poisoned\n").replace("/v2/*", "/other/*")
    both = canary() + text.split("routes:\n")[1]
    w = await World(both).start()
    poisoned = w.reconciler.runs["poisoned"]

    def broken(*_):
        raise MemoryError

    for name in ("tick", "observe", "snapshot"):
        monkeypatch.setattr(poisoned.trial, name, broken)
    await w.run(61)
    w.reconciler.observe((Batch("poisoned", poisoned.record.revision, ()),))
    await w.run(10, candidate=1.0)
    assert w.rollout.phase.value == "rolled_back"
    assert BOOKS.failures["decider"].count >= 60
    assert BOOKS.failures["evidence"].count >= 1
    assert w.disk.records["r"].rollout.phase.value == "rolled_back"


async def test_an_answer_of_the_disk_that_cannot_be_handled_is_one_failure(world_writes):
    writes, wakes = world_writes

    def broken(_done):
        raise RecursionError

    done = asyncio.get_running_loop().create_future()
    writes.then(done, broken)
    done.set_result(None)
    await asyncio.sleep(0.01)
    assert (BOOKS.failures["decider"].count, wakes) == (1, [1])


@pytest.fixture
def world_writes():
    from router.control.state.writes import Writes

    wakes = []
    return Writes(None, None, lambda: wakes.append(1)), wakes


def kept(judge):
    return TrialState(("r-1", 1), 1, 0, 1, (0, 0), judge, shadow={})


async def test_a_change_that_cannot_be_written_costs_that_change(tmp_path):
    errors = list(ERRORS)

    def fail_point(name):
        if name == "written" and errors:
            raise errors.pop()

    store = SqliteStore(tmp_path / "r.db", fail_point=fail_point)
    await store.open()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="not writable"):
            await store.commit(Change(1.0))
    await store.commit(Change(2.0, evidence={"poison": kept({"\ud800": 1}), "good": kept({})}))
    await store.commit(Change(2.0, evidence={"poison": kept(object()), "better": kept({})}))
    assert BOOKS.failures["store-write"].count == 3
    assert BOOKS.failures["evidence"].count == 1
    await store.close()
    again = SqliteStore(tmp_path / "r.db")
    assert set((await again.open()).evidence) == {"poison", "good", "better"}
    await again.close()


async def test_a_writer_that_has_ended_is_a_failure_of_the_store_at_once(tmp_path):
    def fail_point(name):
        raise SystemExit

    store = SqliteStore(tmp_path / "r.db", fail_point=fail_point)
    await store.open()
    first, second = store.commit(Change(1.0)), store.commit(Change(1.0))
    with pytest.raises(StoreUnavailable, match="the writer has ended"):
        await asyncio.wait_for(second, 30)
    with pytest.raises(StoreUnavailable, match="the writer has ended"):
        await asyncio.wait_for(first, 30)
    with pytest.raises(StoreUnavailable, match="the writer has ended"):
        await store.commit(Change(1.0))
    await asyncio.wait_for(store.close(), 30)


def test_a_line_that_cannot_be_recorded_costs_that_line(tmp_path, monkeypatch):
    broken = Fails(monkeypatch, Writer, "_file")
    writer = Writer(tmp_path / "r.jsonl", keep=0)
    for number in range(5):
        assert writer.put(b"%d\n" % number)
    writer.close()
    assert broken.calls == 4
    assert (tmp_path / "r.jsonl").read_bytes() == b"3\n4\n"
    assert not writer.put(b"late")
    writer.close()


async def test_a_delivery_that_raises_is_failed_and_the_next_goes_out():
    counted, said = [], []
    outbox = Outbox(lambda _kind, result: counted.append(result))

    async def broken():
        raise MemoryError

    async def fine():
        pass

    outbox.put("x", Delivery("event", broken, 2, said.append))
    outbox.put("x", Delivery("event", fine, 2, said.append))
    await until(lambda: len(counted) == 2)
    assert counted == ["failed", "delivered"]
    assert said == ["the router failed to send it", ""]
    await outbox.close(1)


async def test_a_question_that_raises_is_answered_as_an_error():
    answers = []
    asker = Asker(lambda _question, measurement: answers.append(measurement))

    async def broken(_question):
        raise RecursionError

    asker._answer = broken
    gate = Webhook(url="http://127.0.0.1:1/")
    asker.ask(Inquiry("r", gate, {}))
    await until(lambda: answers)
    assert answers[0].error == "unreadable: RecursionError"
    assert BOOKS.failures["questions"].count >= 1


async def test_a_route_whose_monitors_raise_costs_no_other_route_its_own():
    looked = []

    class Run:
        def __init__(self, name):
            self.name = name

        @property
        def route(self):
            if self.name == "bad":
                raise RecursionError
            looked.append(self.name)
            return SimpleNamespace(name=self.name, monitors=None, predictions=None)

    runs = {name: Run(name) for name in ("bad", "good")}
    clock = SimpleNamespace(now=lambda: 0.0)
    watching = Watching(SimpleNamespace(runs=runs), None, clock, lambda *_: None)
    for part in watching.parts():
        part()
    assert "good" in looked
    assert BOOKS.failures["monitors"].count >= 1


async def test_a_look_at_who_is_asked_what_it_uses_that_raises_costs_that_look():
    turns = []

    class Routes(dict):
        def values(self):
            turns.append(1)
            raise RecursionError

    reconciler = SimpleNamespace(runs=Routes())
    scrapes = Scrapes(reconciler, None, SimpleNamespace(now=lambda: 0.0), lambda *_: None)
    task = loops.background("test", loops.forever("scrapes", scrapes.turn))
    await until(lambda: len(turns) > 1)
    task.cancel()
    assert BOOKS.failures["scrapes"].count >= 1


async def test_a_look_at_the_review_queue_that_raises_costs_that_look(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "TURN_S", 0.0)
    looks = []

    def wall():
        looks.append(1)
        raise RecursionError

    runs = {"a": SimpleNamespace(route=SimpleNamespace(review=object()))}
    clock, kept = SimpleNamespace(wall=wall), FileQuestions(tmp_path / "reviews.db")
    reviews = queue.Reviews(SimpleNamespace(runs=runs), None, clock, None, kept)
    task = loops.background("test", loops.forever("reviews", reviews.turn))
    await until(lambda: len(looks) > 1)
    task.cancel()
    await reviews.close()
    assert BOOKS.failures["reviews"].count >= 1


async def test_spans_that_cannot_be_written_cost_their_batch(monkeypatch):
    monkeypatch.setattr(traces, "EVERY_S", 0.0)
    batches = []

    def broken(batch, _service):
        batches.append(batch)
        raise RecursionError

    monkeypatch.setattr(traces, "encoded", broken)
    sender = traces.Traces(lambda *_: None)
    sender.settle(TracesPolicy(endpoint="http://127.0.0.1:1/v1/traces"))
    task = loops.background("test", loops.forever("traces", sender.turn))
    sender.put([1])
    await until(lambda: batches)
    sender.put([2])
    await until(lambda: len(batches) > 1)
    task.cancel()
    await sender.close()
    assert BOOKS.failures["traces"].count >= 1


# --- the list is whole ----------------------------------------------------------------------------

TESTED = {
    "alerts", "certificate", "decider", "garbage", "health", "history", "judges", "lag", "monitors",
    "names", "outbox", "policy", "questions", "reader", "recording", "reload", "reports", "reviews",
    "scrapes", "store-write", "stream", "sweep", "traces", "watch",
}  # fmt: skip
"""Loops with a test above."""

ON_A_SERVER = {"store-lease", "replicas", "tables", "parting", "admin-policy", "people"}
"""Loops of what needs a database: their tests are in tests/fleet."""

JOBS = {
    "alone", "confirm", "drain", "following", "handshakes", "hooks", "imports", "orphans", "pool",
    "review", "shadows", "timing", "workers",
}  # fmt: skip
"""Jobs with an end; what they raise is counted by ``background``."""


def test_each_loop_of_the_program_is_hit_by_a_test():
    named = set()
    for path in ROOT.glob("router/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "forever", "background", "thread",
            ):  # fmt: skip
                named |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    assert named - JOBS - ON_A_SERVER == TESTED


async def test_of_long_works_that_ask_for_turns_one_part_is_done_in_each():
    done = []

    async def work(name, parts):
        for number in range(parts):
            await loops.my_turn()
            done.append((turns, f"{name}{number}"))

    turns = 0
    jobs = [loops.awaited(work(name, parts)) for name, parts in (("a", 4), ("b", 2), ("c", 3))]
    loops.in_turn(lambda: done.append((turns, "callback")))
    while not all(job.done() for job in jobs):
        await asyncio.sleep(0)
        turns += 1
    by_turn = Counter(turn for turn, _ in done)
    assert max(by_turn.values()) <= loops.PARTS_A_TURN == 1, done
    names = [name for _, name in done]
    assert sorted(names) == ["a0", "a1", "a2", "a3", "b0", "b1", "c0", "c1", "c2", "callback"]
    assert names.index("c0") < names.index("a1"), "nobody has two turns while another waits"


async def test_who_is_cancelled_in_the_turnstile_stops_nobody():
    gone = loops.awaited(loops.my_turn())
    stays = loops.awaited(loops.my_turn())
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(30):
        await stays
        await loops.my_turn()


async def test_a_part_that_raises_stops_no_other():
    def wrong():
        raise MemoryError

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    loops.in_turn(wrong)
    async with asyncio.timeout(30):
        await loops.my_turn()
