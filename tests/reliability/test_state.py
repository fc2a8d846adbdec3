"""R1-R10 and R12: where a rollout stands survives everything, and nothing half-done shows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import signal
import sqlite3
import threading
import time

import pytest

from router.config.check import loads
from router.control.state.errors import ControlError
from router.control.state.sqlite import SqliteStore
from router.core.gates.gate import Measurement
from router.core.rollout.events import Abort, Pause, Promote, Resume, Retry, Rollback, SetWeight
from router.core.rollout.rollout import Phase
from tests.control.conftest import World, canary
from tests.reliability.whole import Load, asked, call, in_thread, promised, until

HOUR = {"for": "1h"}
STAGES = ("begin", "written", "committed")
ORDERS = (
    ("promote", {}), ("pause", {}), ("resume", {}), ("rollback", {}), ("abort", {}),
    ("retry", {"force": True}), ("set-weight", {"weight": "35%", "for": "1h"}),
)  # fmt: skip


def shares_fit(tally, weight_bp):
    """Whether what clients got can come of this weight; a false alarm once in 10^9 times."""
    n = sum(tally.versions.values())
    share = weight_bp / 10_000
    allowed = 6.2 * (n * share * (1 - share)) ** 0.5 + (1 if 0 < share < 1 else 0)
    return abs(tally.versions["v2"] - n * share) <= allowed


class Killed:
    """A rollout whose control process is killed again and again."""

    def __init__(self, site, nursery, rng):
        self.site, self.nursery, self.rng = site, nursery, rng
        self.acknowledged = None
        self.kills = 0
        self.taken_back = 0

    async def once(self, fail="-"):
        """One life: check where it woke up, order something, be killed at some moment."""
        life = await in_thread(self.nursery.start, self.site, fail, wait=fail == "-")
        if fail != "-":
            said = await in_thread(
                until, lambda: life.heard("serving") or life.process.poll() is not None, 20
            )
            if said is True:  # it was killed before it served; the next life is looked at
                self.kills += 1
                return
            life.serving()
        try:
            await self._look(life)
            self.acknowledged = await in_thread(life.position)
        except OSError:
            assert fail != "-", "it ended by itself"
        name, fields = self.rng.choice(ORDERS)
        answers = []
        asking = threading.Thread(target=self._order, args=(life, name, fields, answers))
        asking.start()
        if fail == "-":
            await asyncio.sleep(self.rng.uniform(0, 0.1) * self.rng.random())
        else:
            await in_thread(asking.join, 5)
        life.kill()
        asking.join(5)
        self.kills += 1
        if answers:
            said = answers[0]
            self.acknowledged = (said["revision"], said["phase"], said["step"], said["weight_bp"])

    def _order(self, life, name, fields, answers):
        try:
            status, said = life.api(f"/api/v1/rollouts/flights/{name}", "POST", fields)
        except (OSError, ValueError):
            return
        if status == 200:
            answers.append(said)

    async def _look(self, life):
        """The last acknowledged position or the one that was being written, never an older one."""
        position = await in_thread(life.position)
        revision, phase, _, weight_bp = position
        if self.acknowledged is not None:
            known = self.acknowledged[0]
            assert revision >= known, f"woke up at {position}, acknowledged was {self.acknowledged}"
            if revision == known:
                assert position == self.acknowledged
        tally = await asked(life.port, 40)
        while (later := await in_thread(life.position)) != position:  # a step began meanwhile
            position, tally = later, await asked(life.port, 40)
            _, phase, _, weight_bp = position
        assert set(tally.statuses) == {200}
        assert shares_fit(tally, weight_bp), (tally.versions, position)
        if phase in ("rolled_back", "aborted"):
            assert tally.versions["v2"] == 0
            self.taken_back += 1


async def kill_again_and_again(site, nursery, kills, *, points):
    """``kills`` at random moments, then one at each stage of the first ``points`` commits."""
    seed = random.randrange(10**6)
    print("seed", seed)
    site.write(steps="{weight: 20%, hold: 1h}, {weight: 50%, hold: 1h}")
    killed = Killed(site, nursery, random.Random(seed))
    began = time.monotonic()
    for _ in range(kills):
        await killed.once()
    for nth in range(1, points + 1):
        for stage in STAGES:
            await killed.once(f"{stage}:{nth}")
    last = await in_thread(nursery.start, site)
    await killed._look(last)
    await in_thread(last.terminate)
    print(f"{killed.kills} kills in {time.monotonic() - began:.0f} s, none lost a position; "
          f"{killed.taken_back} lives began taken back, 0 requests for the candidate")  # fmt: skip


@pytest.mark.slow
async def test_r01_a_killed_router_wakes_up_where_it_was(site, nursery):
    await kill_again_and_again(site, nursery, 2, points=1)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
async def test_r01_r02_a_thousand_kills(site, nursery):
    """RAMPWAY_KILLS asks for another number."""
    kills = int(os.environ.get("RAMPWAY_KILLS", "1000"))
    points = min(kills // 10, 20)
    await kill_again_and_again(site, nursery, kills - 3 * points, points=points)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("requests", [240, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_r02_taken_back_gets_nothing_after_restart_reload_and_old_file(
    site, nursery, requests
):
    router = await in_thread(nursery.start, site.write())
    old = site.file.read_text()
    await in_thread(router.order, "promote")
    await in_thread(router.order, "rollback", reason="bad")
    before = site.services[1].requests()

    router.kill()
    router = await in_thread(nursery.start, site)
    tally = await asked(router.port, requests // 4)
    site.file.write_text(old.replace("weight: 50%", "weight: 60%"))
    assert (await in_thread(router.api, "/api/v1/reload", "POST", {}))[0] == 200
    tally.versions += (await asked(router.port, requests // 4)).versions
    site.file.write_text(old)
    router.process.send_signal(signal.SIGHUP)
    tally.versions += (await asked(router.port, requests // 4)).versions
    await in_thread(router.terminate)
    router = await in_thread(nursery.start, site)
    tally.versions += (await asked(router.port, requests // 4)).versions

    assert tally.versions == {"v1": requests}
    assert site.services[1].requests() == before
    assert (await in_thread(router.status))["phase"] == "rolled_back"


@pytest.mark.slow
async def test_r03_an_order_is_answered_after_it_is_on_the_disk(site, nursery):
    """The commit is made with synchronous=FULL (WAL is synced) and ends before the answer."""
    trace = site.folder / "trace"
    router = await in_thread(nursery.start, site.write(), f"trace:{trace}")
    took = []
    for name in ("pause", "resume") * 50:
        began = time.monotonic()
        await in_thread(router.order, name)
        answered = time.monotonic()
        committed = [float(x.split()[1]) for x in trace.read_text().splitlines()
                     if x.startswith("committed")]  # fmt: skip
        # Evidence is put down beside it: the last commit of all may come after the answer.
        assert any(began < at < answered for at in committed)
        took.append(answered - began)
    p99 = sorted(took)[98]
    print(f"reply p50 {sorted(took)[50] * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms")
    assert p99 < promised(0.05)
    with sqlite3.connect(f"file:{site.folder}/r.db?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store = SqliteStore(site.folder / "other.db")
    db = store._connect()
    assert db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    db.close()


COMMANDS = (
    lambda rng: Promote(full=rng.random() < 0.1), lambda _: Pause(), lambda _: Resume(),
    lambda _: Abort(), lambda _: Rollback(), lambda _: Retry(force=True),
    lambda rng: SetWeight(weight_bp=rng.choice((0, 1, 777, 5_000, 9_999, 10_000))),
)  # fmt: skip


@pytest.mark.parametrize("sequences", [60, pytest.param(5_000, marks=pytest.mark.nightly)])
@pytest.mark.timeout(1800)
async def test_r04_weights_add_up_through_any_commands_and_crashes(sequences):
    """``Tables.publish`` of the world checks every table; here the revisions and the record too."""
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(sequences):
        w = await World(seed=rng.randrange(10**6)).start()
        revision = 0
        for _ in range(rng.randrange(3, 12)):
            what = rng.random()
            if what < 0.15:
                await w.start()  # the process was killed: only the disk remains
            elif what < 0.4:
                await w.run(rng.uniform(0, 40), rate=20, candidate=rng.choice((0, 0, 1.0)), tick=2)
            else:
                try:
                    await w.order(rng.choice(COMMANDS)(rng))
                except ControlError:
                    continue
            assert w.record.revision >= revision, "a revision only grows"
            revision = w.record.revision
            assert sum(w.entry.weights_bp) == 10_000
            if not w.reconciler.runs["r"].live:
                assert w.serving == {w.record.stable: 10_000}  # v2, where it was promoted


def _asked(router, version):
    return router.api("/api/v1/routes/flights")[1]["versions"][version]["in_flight"]


@pytest.mark.slow
async def test_r05_r06_flips_are_atomic_and_a_rollback_is_instant(site, nursery):
    """10 flips in a second under load: 0 errors; then 12 slow requests finish after a rollback."""
    _, candidate = site.services
    router = await in_thread(nursery.start, site.write(workers=2))
    async with Load(router.port, kept=2, fresh=2, pause_s=0.01) as load:
        for flip in range(10):
            weight = "0%" if flip % 2 else "100%"
            began = time.monotonic()
            await in_thread(router.order, "set-weight", weight=weight, **HOUR)
            assert shares_fit(await asked(router.port, 8), 0 if flip % 2 else 10_000)
            await asyncio.sleep(max(0.1 - (time.monotonic() - began), 0))
        await in_thread(router.order, "set-weight", weight="100%", **HOUR)
        await in_thread(candidate.faults, latency_ms=2000)
        slow = asyncio.create_task(asked(router.port, 12, at_once=12))
        await in_thread(until, lambda: _asked(router, "v2") >= 12)
        began = time.monotonic()
        said = await in_thread(router.order, "rollback", reason="now")
        took_s = time.monotonic() - began
        after = await asked(router.port, 200)
        finished = await slow
    print(f"rollback acknowledged in {took_s * 1e3:.1f} ms, inside {said['took_s'] * 1e3:.1f} ms")
    assert load.tally.lost == []
    assert set(load.tally.statuses) == {200}
    assert took_s < promised(0.1)
    assert after.versions == {"v1": 200}
    assert finished.versions == {"v2": 12}


def _spoil_truncate(path):
    path.write_bytes(path.read_bytes()[:5_000])


def _spoil_header(path):
    path.write_bytes(b"garbage!" + path.read_bytes()[8:])


def _spoil_pages(path):
    data = bytearray(path.read_bytes())
    data[4_096:12_288] = bytes(range(256)) * 32
    path.write_bytes(data)


def _spoil_empty(path):
    path.write_bytes(b"")


def _execute(path, sql):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


def _spoil_record(path):
    _execute(path, "UPDATE routes SET record = replace(record, 'progressing', 'flying')")


def _spoil_half(path):
    path.with_name(path.name + "-wal").write_bytes(b"x" * 100)
    path.unlink()


def _spoil_journal(path):
    _execute(path, "DROP TABLE journal")


def _spoil_entries(path):
    _execute(path, "DELETE FROM journal WHERE id = (SELECT max(id) FROM journal)")


def _spoil_folder(path):
    path.unlink()
    path.mkdir()


SPOILERS = (_spoil_truncate, _spoil_header, _spoil_pages, _spoil_empty, _spoil_record,
            _spoil_half, _spoil_journal, _spoil_entries, _spoil_folder)  # fmt: skip


@pytest.mark.slow
def test_r07_a_damaged_store_is_refused_by_name_within_5_seconds(site, nursery):
    first = nursery.start(site.write())
    first.order("promote")
    first.terminate()
    path = site.folder / "r.db"
    for leftover in ("-wal", "-shm"):
        path.with_name(path.name + leftover).unlink(missing_ok=True)
    whole = path.read_bytes()
    for spoil in SPOILERS:
        if path.is_dir():
            path.rmdir()
        path.write_bytes(whole)
        for leftover in ("-wal", "-shm"):
            path.with_name(path.name + leftover).unlink(missing_ok=True)
        spoil(path)
        life = nursery.start(site, wait=False)
        until(lambda life=life: life.process.poll() is not None, 5)
        assert life.heard("serving") is None
        if spoil is _spoil_folder:  # what the policy names is looked at before anything starts
            said = life.log_file.read_text()
            assert "store: expected the name of a file, got a folder" in said
            assert "r.db" in said
            continue
        refused = life.heard("cannot_start")
        assert refused is not None, (spoil.__name__, life.lines())
        assert "r.db" in refused["error"]


@pytest.mark.slow
async def test_r08_with_a_full_disk_nothing_grows_and_a_rollback_still_happens(site, nursery):
    """No file of the control process may grow any more, the log included."""
    _, candidate = site.services
    rollout = (
        "rollout:\n      candidate: v2\n      strategy: {canary: {steps: [{weight: 20%, hold: 1h},"
        " {weight: 50%, hold: 1h}], bake: 1h}}\n      rescue: {on: [5xx]}\n"
    )
    router = await in_thread(nursery.start, site.write(rollout=rollout))
    pid = router.process.pid
    before = await in_thread(router.position)
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    async with Load(router.port, kept=3, fresh=1) as load:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
        status, said = await in_thread(router.api, "/api/v1/rollouts/flights/promote", "POST", {})
        assert status in (503, 507), said
        assert await in_thread(router.position) == before
        await in_thread(candidate.faults, error_rate=1.0)
        await in_thread(until, lambda: router.status()["phase"] == "rolled_back", 20)
        served = (await asked(router.port, 40)).versions
        assert served == {"v1": 40}
        status, said = await in_thread(router.api, "/api/v1/rollouts/flights/retry", "POST",
                                       {"force": True})  # fmt: skip
        assert status in (503, 507), said
        assert "store" in str((await in_thread(router.api, "/healthz"))[1]["problems"])
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        await in_thread(until, lambda: not router.status()["unsaved"], 10)
    assert load.tally.lost == []
    assert set(load.tally.statuses) == {200}
    router.kill()
    second = await in_thread(nursery.start, site)
    assert (await in_thread(second.status))["phase"] == "rolled_back"
    actions = [e["action"] for e in second.api("/api/v1/journal")[1]["entries"]]
    assert "rollback" in actions


async def ramp(jumps):
    """The journal of a whole rollout, with the wall clock stepped at these seconds of it."""
    w = await World(seed=7).start()
    for second in range(400):
        if second in jumps:
            w.clock.advance(0, wall=jumps[second])
        await w.run(1, rate=50, tick=0.5)
    return w.journal, w.rollout.phase


@pytest.mark.parametrize("seed", range(3))
async def test_r09_steps_of_the_wall_clock_neither_skip_nor_repeat_anything(seed):
    rng = random.Random(seed)
    jumps = {rng.randrange(200): rng.choice((-3600, 3600)) for _ in range(6)}
    slewed = {second: 0.0005 * second for second in range(400)}
    expected = await ramp({})
    assert expected[1] is Phase.COMPLETED
    assert [a for a, *_ in expected[0]].count("advance") >= 1
    assert await ramp(jumps) == expected
    assert await ramp(slewed) == expected


ASKS = """
      gates: [error_rate, {prometheus: {url: "http://127.0.0.1:1", query: up, at_least: 0.9,
                                        interval: 5s, consecutive_error_limit: 1}}]
"""


def silent_policy(limit):
    """Steps that need samples, a gate that asks outside, and what happens without a decision."""
    decided = (
        "on_no_data: {after: 5m, then: abort}\n      max_duration: 10m\n"
        "      on_inconclusive: rollback\n"
        if limit
        else "on_no_data: {after: 5m, then: hold}\n"
    )
    steps = ", ".join(f"{{weight: {w}%, hold: 60s, until: {{samples: 200}}}}" for w in (10, 50))
    text = canary(steps=f"[{steps}]")
    start = text.index("      gates:")
    end = text.index("      on_new_candidate:")
    return text[:start] + ASKS.lstrip("\n") + text[end:].rstrip() + f"\n      {decided}"


async def none(w, _now):
    await w.run(5, rate=0, tick=1)


async def few(w, now):
    await w.run(5, rate=20 if now < 60 else 0, tick=1)


async def not_a_number(w, _now):
    await w.run(5, rate=100, tick=1)
    run = w.reconciler.runs["r"]
    if run.live:
        w.reconciler.measured(run, "prometheus", Measurement((float("nan"),)))


async def infinite(w, _now):
    await w.run(5, rate=100, tick=1)
    run = w.reconciler.runs["r"]
    if run.live:
        w.reconciler.measured(run, "prometheus", Measurement((float("inf"), 1.0)))


async def dead(w, _now):
    await w.run(5, rate=100, tick=1)
    run = w.reconciler.runs["r"]
    if run.live:
        w.reconciler.measured(run, "prometheus", Measurement(error="connection refused"))


async def stale(w, now):
    """Everything was well for half a minute; then nobody answers any more."""
    await w.run(5, rate=10 if now < 30 else 0, tick=1)
    run = w.reconciler.runs["r"]
    if run.live and now < 30:
        w.reconciler.measured(run, "prometheus", Measurement((1.0,)))


async def one_side_only(w, _now):
    """Only stable is ever answered: the candidate's share hangs."""
    w.clock.advance(5)
    entry = w.entry
    if entry.candidate >= 0 and entry.weights_bp[entry.candidate]:
        from router.core.wire.outcomes import ArmCounts, Batch, Cell

        cell = Cell(entry.weights_bp[entry.candidate], ArmCounts(0, 0), ArmCounts(400, 2, 402),
                    thresholds_s=entry.thresholds_s)  # fmt: skip
        w.reconciler.observe((Batch("r", entry.revision, (cell,)),))
    await w.settle()


SILENCES = (none, few, not_a_number, infinite, dead, stale, one_side_only)


@pytest.mark.parametrize("limit", [False, True], ids=["hold", "limit"])
@pytest.mark.parametrize("silence", SILENCES, ids=lambda s: s.__name__)
async def test_r10_missing_metrics_hold_and_after_the_limit_roll_back(silence, limit):
    policy = silent_policy(limit)
    loads(policy)
    w = await World(policy).start()
    for tick in range(180):  # 15 minutes
        await silence(w, tick * 5)
        assert w.weight in (0, 1_000), "it got no more"
    if limit:
        assert w.rollout.phase in (Phase.ROLLED_BACK, Phase.ABORTED)
        assert w.serving == {"v1": 10_000}
    else:
        assert (w.rollout.phase.live, w.weight, w.rollout.step) == (True, 1_000, 0)
    assert not any(action in ("advance", "complete") for action, *_ in w.journal)


async def test_r12_the_journal_alone_gives_the_end_state_and_every_reason():
    """Replayed from empty, with nothing else, it ends where the record is."""
    w = await World().start()
    await w.run(61)
    await w.order(Pause(actor="ann", reason="lunch"))
    await w.start()
    await w.order(Resume(actor="ann"))
    await w.run(10, candidate=1.0)
    await w.order(Retry(force=True, actor="bob", reason="fixed"))
    await w.run(200)
    phase, revision, step, weight = "", 0, 0, 0
    for entry in w.disk.entries:
        assert entry.phase_from == phase, entry
        assert entry.revision > revision
        assert entry.actor
        assert entry.reason
        phase, revision, step, weight = entry.phase_to, entry.revision, entry.step, entry.weight_bp
        if entry.actor == "router":
            assert entry.evidence.reports, "what the router decides it decides by evidence"
    assert (phase, revision) == (w.rollout.phase.value, w.record.revision)
    assert step == w.rollout.step + 1
    assert weight == w.weight or phase == "completed"
    taken = next(e for e in w.disk.entries if e.action == "rollback")
    assert taken.evidence.limit == 100
    assert any(report.candidate.bad for report in taken.evidence.reports)


@pytest.mark.slow
async def test_r12_why_is_answered_by_the_real_program(site, nursery):
    router = await in_thread(nursery.start, site.write())
    await in_thread(router.order, "promote", reason="early")
    status, said = await in_thread(call, f"{router.admin}/api/v1/rollouts/flights/why")
    assert status == 200
    assert "early" in said["sentence"]
    entries = router.api("/api/v1/journal")[1]["entries"]
    assert [e["action"] for e in entries] == ["promote", "begin", "start"]
    assert entries[0]["revision"] > entries[1]["revision"]
