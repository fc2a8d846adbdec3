"""The façade over a whole plane: real store, real processes (that answer like workers)."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from router.config.check import load
from router.control.fleet.local import local
from router.control.plane import Plane
from router.control.state.answers import OrderKey
from router.control.state.errors import (
    Conflict,
    KeyReused,
    NoRollout,
    NotPossible,
    PolicyRejected,
    UnknownRoute,
)
from router.control.state.sqlite import SqliteStore
from router.core.rollout.events import Abort, Pause, Promote, Resume, Retry, Rollback
from router.core.wire.counts import MirrorCounts, PairSample
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.reporter import WorkerId
from router.link.messages import PairReport, Report

FAKE = Path(__file__).parents[1] / "fleet" / "fake_worker.py"


def command(fd, index, listen):
    return (
        sys.executable,
        str(FAKE),
        "--link-fd",
        str(fd),
        "--worker",
        str(index),
        "--listen",
        listen,
    )


async def begun(plane, route="r"):
    """Once a worker has seen the candidate, and everybody serves by the table that followed."""
    async with asyncio.timeout(20):
        run = plane.reconciler.runs[route]
        while run.rollout is None or run.rollout.standing or run.pending is not None:
            await asyncio.sleep(0.01)
        while plane.reconciler.tables.stale:
            await asyncio.sleep(0.01)
    await plane.fleet.applied(plane.reconciler.generation)


@pytest.fixture
async def plane(tmp_path, policy):
    file = tmp_path / "policy.yaml"
    file.write_text(
        "listen: 127.0.0.1:0\n" + policy(steps="[{weight: 1%, hold: 1h}, {weight: 25%, hold: 1h}]")
    )
    made = Plane(load(file), SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
    await made.start()
    await begun(made)
    yield made
    await made.stop(drain_s=1)


async def test_it_tells_everything_about_a_rollout(plane):
    c = plane.controller
    (summary,) = await c.routes()
    assert (summary.stable, summary.candidate, summary.phase) == (
        "v1",
        "v2",
        "progressing",
    )
    status = c.rollout("r")
    assert {
        "id", "phase", "step", "steps", "plan", "weight_bp", "measured_bp", "mirror_bp",
        "remaining_s", "samples", "until_samples", "revision", "reason", "actor", "attempt",
        "override", "approval", "action", "sentence", "gates", "versions", "in_flight",
        "generation", "unsaved", "notes", "health", "strategy",
    } <= set(status.__struct_fields__)  # fmt: skip
    assert (status.step, status.steps, status.weight_bp) == (1, 2, 100)
    assert 3_590 < status.remaining_s <= 3_600
    assert {g.name for g in status.gates} >= {"error_rate", "guard"}
    assert set(c.route("r").versions) == {"v1", "v2", "v3"}
    assert c.health().ok
    assert c.ready().ok
    with pytest.raises(UnknownRoute):
        c.rollout("x")
    with pytest.raises(UnknownRoute):
        await c.journal("x")


async def test_what_failed_in_a_worker_is_forgotten_with_it(plane):
    here, there = plane.fleet.states()[0].who, WorkerId("pod-b", 1, 0)
    for who in (here, there):
        plane.report(who, Report(failures={"sweep": 2}))

    def problems():
        return [one for one in plane.controller.health().problems if one.startswith("loop")]

    assert [one.partition(" of ")[2] for one in problems()] == [
        "worker-0: failed 2 times", "worker-1000: failed 2 times"
    ]  # fmt: skip
    plane.gone(there, "router pod-b is not heard any more")
    assert problems() == ["loop sweep of worker-0: failed 2 times"]
    plane.report(there, Report(failures={"sweep": 1}))
    plane.report(there._replace(boot=2), Report(failures={"sweep": 3}))  # in its place
    assert [one for one in problems() if "worker-10" in one] == [
        "loop sweep of worker-1001: failed 3 times"
    ]
    plane.gone(here, "it ended")
    text = await plane.controller.metrics_text()
    assert "worker-0" not in "".join(problems())
    assert 'rampway_loop_failures_total{process="worker-0",loop="sweep"} 2' in text


async def test_a_command_is_answered_when_it_is_on_disk_and_in_every_worker(plane):
    c = plane.controller
    result = await c.command("r", Promote("ann", "looks good"))
    assert (result.weight_bp, result.step, result.durable, result.changed) == (2_500, 2, True, True)
    assert all(w.generation >= plane.reconciler.generation for w in plane.fleet.states())
    (entry, *_) = await c.journal("r", limit=1)
    assert (entry.action, entry.actor, entry.reason) == ("promote", "ann", result.reason)
    told = await c.why("r")
    assert told.sentence == result.reason
    assert told.now.reports


async def test_revisions_ids_and_dry_runs(plane):
    c = plane.controller
    revision = c.rollout("r").revision
    would = await c.command("r", Pause("ann"), dry_run=True)
    assert (would.dry_run, would.changed, would.phase) == (True, False, "paused")
    assert c.rollout("r").revision == revision
    first = await c.command("r", Pause("ann"), if_revision=revision, key=OrderKey("one", "pause"))
    again = await c.command("r", Pause("ann"), if_revision=revision, key=OrderKey("one", "pause"))
    assert (again.repeated, again.revision, again.changed) == (True, first.revision, False)
    with pytest.raises(Conflict) as conflict:
        await c.command("r", Resume("ann"), if_revision=revision)
    assert conflict.value.actual == first.revision
    so = await c.command("r", Pause("ann"))
    assert (so.changed, so.phase, so.reason) == (False, "paused", f"already so: {first.reason}")
    assert await c.command("r", Pause(), dry_run=True) == structs.replace(so, dry_run=True)
    other = OrderKey("one", "another order")
    with pytest.raises(KeyReused, match="Idempotency-Key one belongs to another order"):
        await c.command("r", Resume("ann"), key=other)
    same = await asyncio.gather(
        *(c.command("r", Resume("ann"), key=OrderKey("two", "resume")) for _ in range(5))
    )
    assert len({r.revision for r in same}) == 1
    assert sum(r.changed for r in same) == 1


async def test_events_reach_those_who_listen(plane):
    heard = []

    async def listen():
        async for letter in plane.controller.subscribe("r"):
            heard.append(letter)
            if letter.data.get("action") == "rollback":
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await plane.controller.command("r", Promote("ann"))
    await plane.controller.command("r", Rollback("ann", "no"))
    await asyncio.wait_for(listening, 30)
    assert [letter.data["action"] for letter in heard] == ["promote", "rollback"]
    assert heard[-1].text == plane.controller.rollout("r").line == "v2 was taken back by ann: no"


async def test_a_bad_report_of_a_worker_ends_in_a_rollback_and_in_the_metrics(plane):
    c = plane.controller
    await c.command("r", Promote("ann"))
    revision = plane.reconciler.runs["r"].entry.revision
    for _ in range(50):
        cell = Cell(2_500, ArmCounts(bad=2, arrived=2), ArmCounts(ok=6, arrived=6))
        plane.report(plane.fleet.states()[0].who, Report((Batch("r", revision, (cell,)),)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if c.rollout("r").phase == "rolled_back":
            break
    assert c.rollout("r").phase == "rolled_back"
    assert c.rollout("r").weight_bp == 0
    await asyncio.wait_for(plane.fleet.applied(plane.reconciler.generation), 30)
    await asyncio.sleep(0.05)
    text = await c.metrics_text()
    seen = {
        (s.name, *sorted(s.labels.items())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert (
        seen[("rampway_decisions_total", ("action", "rollback"), ("by", "router"), ("route", "r"))]
        == 1
    )
    assert seen[("rampway_rollout_phase", ("phase", "rolled_back"), ("route", "r"))] == 1
    assert seen[("rampway_weight_ratio", ("route", "r"), ("version", "v1"))] == 1
    assert seen[("rampway_rollback_seconds_count", ("route", "r"))] == 1
    assert seen[("rampway_config_last_reload_successful",)] == 1
    for process in ("control", "worker-0"):
        assert seen[("process_resident_memory_bytes", ("process", process))] > 1e6
        assert ("process_cpu_seconds_total", ("process", process)) in seen
    result = await c.command("r", Retry("ann"))
    assert result.phase == "progressing"


async def test_a_bad_edit_never_takes_effect_and_is_shown(plane):
    file = Path(plane.source.path)
    good = file.read_text()
    generation = plane.reconciler.generation
    file.write_text(good.replace("stable: v1", "stable: v7"))
    with pytest.raises(PolicyRejected) as rejected:
        await plane.controller.reload()
    assert rejected.value.problems[0].line > 1
    assert plane.reconciler.generation == generation
    assert plane.controller.health().problems
    assert "rampway_config_last_reload_successful 0" in await plane.controller.metrics_text()
    file.write_text(good)
    await plane.controller.reload()
    assert not plane.controller.health().problems


async def test_an_edit_is_seen_by_itself_within_seconds(plane):
    file = Path(plane.source.path)
    file.write_text(
        file.read_text().replace("candidate: v2", "candidate: v3").replace("queue", "replace")
    )
    async with asyncio.timeout(10):
        while plane.controller.rollout("r").candidate != "v3":
            await asyncio.sleep(0.05)
    entries = await plane.controller.journal("r")
    assert [e.action for e in reversed(entries)] == ["start", "begin", "abort", "start"][
        : len(entries)
    ]
    assert len(entries) >= 4


async def test_the_journal_of_a_renamed_route_is_found_under_its_new_name(plane):
    await plane.controller.command("r", Abort("ann", "not today"))
    before = await plane.controller.journal("r")
    file = Path(plane.source.path)
    file.write_text(file.read_text().replace("name: r", "name: q", 1))
    async with asyncio.timeout(10):
        while "q" not in [one.name for one in await plane.controller.routes()]:
            await asyncio.sleep(0.05)
        while "rename" not in [e.action for e in await plane.controller.journal("q")]:
            await asyncio.sleep(0.05)
    entries = await plane.controller.journal("q")
    assert [e for e in entries if e.route == "r"] == before
    assert await plane.controller.journal("q", limit=1) == entries[:1]
    assert "not today" in (await plane.controller.why("q")).sentence


async def test_a_freeze_is_written_down(plane):
    await plane.controller.freeze(True, actor="ann", reason="sale")
    assert plane.controller.health().frozen.actor == "ann"
    entries = await plane.controller.journal()
    assert entries[0].reason == "frozen by ann: sale"


async def test_an_order_right_behind_a_freeze_meets_the_revision_that_it_looked_at(plane):
    c = plane.controller
    for frozen in (True, False):
        before = c.rollout("r").revision
        await c.freeze(frozen, actor="ann", reason="sale", route="r")
        seen = c.rollout("r").revision
        assert seen > before
        with pytest.raises(Conflict, match="sale" if frozen else "the clocks go on after"):
            await c.command("r", Promote("ann"), if_revision=before)
        if frozen:
            with pytest.raises(NotPossible, match="frozen by ann: sale"):
                await c.command("r", Promote("ann"), if_revision=seen)
    told = await c.command("r", Promote("ann"), if_revision=seen)
    assert told.weight_bp == 2_500


async def test_why_without_a_story_says_so(plane):
    with pytest.raises(NoRollout, match="by then"):
        await plane.controller.why("r", at=1.0)
    await plane.controller.command("r", Abort("ann"))
    assert "aborted by ann" in (await plane.controller.why("r")).sentence


async def test_whois_answers_like_the_data_plane(plane):
    c = plane.controller
    before = {k for k in map(str, range(2_000)) if c.whois("r", k).version == "v2"}
    await c.command("r", Promote("ann"))
    after = {k for k in map(str, range(2_000)) if c.whois("r", k).version == "v2"}
    assert before < after
    assert 0.2 < len(after) / 2_000 < 0.3


async def test_pairs_of_workers_are_compared_shown_and_counted(tmp_path, policy):
    file = tmp_path / "policy.yaml"
    shadow = "strategy: {shadow: {mirror: 50%, hold: 1h}}"
    text = re.sub("strategy: .*", shadow, policy()).replace("match:", "payload: json\n    match:")
    file.write_text("listen: 127.0.0.1:0\n" + text)
    plane = Plane(load(file), SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
    await plane.start()
    try:
        await begun(plane)
        revision = plane.reconciler.runs["r"].record.revision
        pairs = [
            PairSample("r", "v2", revision, f"q{n}", 200, 200, b'{"y": 1}', b'{"y": %d}' % (n == 3))
            for n in range(10)
        ]
        plane.pairs(plane.fleet.states()[0].who, PairReport(tuple(pairs), shed=4))
        plane.report(
            plane.fleet.states()[0].who,
            Report(mirrors=(MirrorCounts("r", "v2", 10, 0, {"queue": 2}),)),
        )
        async with asyncio.timeout(10):
            while plane.controller.shadow("r").versions["v2"].pairs < 10:
                await asyncio.sleep(0.01)
        told = plane.controller.shadow("r")
        assert (told.route, told.stable, told.candidate, told.live) == (
            "r", "v1", "v2", True,
        )  # fmt: skip
        v2 = told.versions["v2"]
        assert (v2.agreed, v2.stricter, v2.delivery.dropped) == (1, 9, {"queue": 2})
        assert plane.controller.rollout("r").shadow.agreement == 0.1
        text = await plane.controller.metrics_text()
        assert 'rampway_pairs_total{route="r",version="v2",result="agreed"} 1' in text
        assert 'rampway_rejected_total{cause="pairs_shed"} 4' in text
        assert 'rampway_shadow_agreement_ratio{route="r",version="v2"} 0.1' in text
        assert 'rampway_shadow_score_distance{route="r",version="v2"} 0.9' in text
        with pytest.raises(UnknownRoute):
            plane.controller.shadow("x")
    finally:
        await plane.stop(drain_s=1)


async def test_a_route_without_a_rollout_has_no_shadow(tmp_path, policy):
    file = tmp_path / "policy.yaml"
    file.write_text("listen: 127.0.0.1:0\n" + policy(rollout=False))
    plane = Plane(load(file), SqliteStore(tmp_path / "r.db"), fleet=local(command=command))
    await plane.start()
    try:
        with pytest.raises(NoRollout):
            plane.controller.shadow("r")
    finally:
        await plane.stop(drain_s=1)


class Slow(SqliteStore):
    """A disk that takes the first change late."""

    def __init__(self, path):
        super().__init__(path)
        self.go = asyncio.Event()

    def commit(self, *changes):
        return asyncio.ensure_future(self._late(*changes))

    async def _late(self, *changes):
        await self.go.wait()
        return await super().commit(*changes)


async def test_a_router_is_ready_when_the_rollouts_it_begins_are_on_the_disk(tmp_path, policy):
    file = tmp_path / "policy.yaml"
    file.write_text("listen: 127.0.0.1:0\n" + policy())
    store = Slow(tmp_path / "r.db")
    plane = Plane(load(file), store, fleet=local(command=command))
    await plane.start()
    try:
        await plane.fleet.serving()
        assert not plane.controller.ready().ok
        assert "rollouts" in plane.controller.ready().problems[0]
        store.go.set()
        await plane.begun()
        async with asyncio.timeout(10):
            while not plane.controller.ready().ok:
                await asyncio.sleep(0.01)
        assert plane.controller.rollout("r").candidate == "v2"
    finally:
        store.go.set()
        await plane.stop(drain_s=1)
