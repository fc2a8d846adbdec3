from __future__ import annotations

import pytest

from router.control.state.errors import NotPossible, PolicyRejected, StoreUnavailable
from router.control.state.store import Superseded
from router.core.rollout.events import Abort, Pause, Promote, Resume, Retry, Rollback, SetWeight
from router.core.rollout.rollout import Phase

STEPS = "[{weight: 1%, hold: 60s}, {weight: 25%, hold: 60s}]"
HEALTHY = [
    ("start", "progressing", 1, 100),
    ("advance", "progressing", 2, 2_500),
    ("bake", "baking", 2, 10_000),
    ("complete", "completed", 2, 10_000),
]


async def test_a_healthy_candidate_goes_through_every_step_and_becomes_stable(world):
    w = await world().start()
    assert w.serving == {"v1": 9_900, "v2": 100}
    await w.run(200)
    assert w.journal == HEALTHY
    assert w.serving == {"v2": 10_000}
    assert w.record.stable == "v2"
    assert "done after 1m and" in w.disk.entries[1].reason


async def test_a_failing_candidate_is_taken_back_with_the_judges_sentence(world):
    w = await world().start()
    await w.run(61)
    assert w.weight == 2_500
    await w.run(10, candidate=1.0)
    last = w.disk.entries[-1]
    assert (last.action, last.phase_to, last.weight_bp) == ("rollback", "rolled_back", 0)
    assert last.reason == last.evidence.sentence == w.rollout.reason
    assert "candidate" in last.reason
    assert "limit" in last.reason
    assert w.serving == {"v1": 10_000}
    before = w.candidate_requests
    await w.run(600, candidate=1.0)
    assert w.candidate_requests == before, "0 % means zero requests"
    assert w.disk.entries[-1] is last


async def test_a_rollback_is_published_although_the_store_is_broken_and_written_later(world):
    w = await world().start()
    await w.run(61)
    w.store.broken = True
    await w.run(10, candidate=1.0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert w.serving == {"v1": 10_000}
    assert w.disk.records["r"].rollout.phase is Phase.PROGRESSING
    assert w.told.failures
    with pytest.raises(StoreUnavailable):
        w.reconciler.order("r", Retry())
    w.store.broken = False
    await w.run(3)
    assert w.disk.records["r"].rollout.phase is Phase.ROLLED_BACK
    assert [a for a, *_ in w.journal if a != "cap"] == ["start", "advance", "rollback"]
    assert w.told.mended == 1


async def test_a_way_back_at_a_router_that_another_one_has_followed_is_not_told_as_in_force(
    world, monkeypatch
):
    w = await world().start()
    await w.run(61)

    def taken(_change):
        raise Superseded("another router leads now (process 7 on b)")

    monkeypatch.setattr(w.store, "_write", taken)
    move = w.reconciler.order("r", Rollback(actor="ann"))
    assert w.serving == {"v1": 10_000}, "its own workers give back all the same"
    with pytest.raises(Superseded, match=r"\(process 7 on b\); send the order to that one"):
        await move.done


async def test_a_step_up_waits_for_the_disk_and_keeps_its_place_when_it_fails(world):
    w = await world().start()
    w.store.broken = True
    await w.run(70)
    assert w.weight == 100, "nothing is added while the store is broken"
    w.store.broken = False
    await w.run(3)
    assert w.weight == 2_500
    revisions = [e.revision for e in w.disk.entries]
    assert revisions == sorted(set(revisions))


async def test_a_step_up_is_not_published_before_it_is_durable(world):
    w = await world().start()
    w.store.held = True
    await w.run(65)
    assert w.reconciler.runs["r"].pending is not None
    assert w.weight == 100
    w.store.release()
    await w.settle()
    assert w.weight == 2_500


async def test_a_rollback_overtakes_a_step_up_that_is_being_written(world):
    w = await world().start()
    w.store.held = True
    await w.run(65)
    pending = w.reconciler.runs["r"].pending
    move = w.reconciler.order("r", Rollback("ann", "looks bad"))
    assert w.weight == 0, "no disk was waited for"
    with pytest.raises(NotPossible, match="overtaken"):
        await pending.done
    w.store.release()
    await w.settle()
    assert await move.done is True
    assert w.disk.records["r"].rollout.phase is Phase.ROLLED_BACK
    await w.run(120)
    assert w.weight == 0


@pytest.mark.parametrize("seed", range(5))
async def test_a_restart_resumes_the_step_with_what_remained_of_its_hold(world, seed):
    w = await world(seed=seed).start()
    await w.run(40)
    await w.start()  # the process died and came back; its clock stood still
    assert w.weight == 100
    await w.run(15)
    assert w.weight == 100
    await w.run(9)
    assert w.weight == 2_500
    await w.start()
    assert w.weight == 2_500, "the position is the last one acknowledged"


async def test_a_restart_keeps_evidence_and_samples(world, policy):
    steps = "[{weight: 50%, hold: 1s, until: {samples: 2000}}]"
    w = await world(policy(steps=steps)).start()
    await w.run(30)
    trial = w.reconciler.runs["r"].trial
    seen, capital = trial.answers, trial.judge.capital
    assert seen > 1_000
    w.reconciler.last_words()
    await w.start()
    again = w.reconciler.runs["r"].trial
    assert (again.answers, again.judge.capital) == (seen, capital)
    await w.run(15)
    assert w.rollout.phase is Phase.BAKING


async def test_a_wall_clock_that_jumps_changes_nothing(world):
    w = await world().start()
    for jump in (3_600, -7_200, 86_400):
        w.clock.advance(0, wall=jump)
        await w.run(10)
    assert (w.rollout.step, w.weight) == (0, 100)
    await w.run(170)
    assert w.journal == HEALTHY


async def test_taken_back_stays_out_through_restart_reload_edits_and_old_files(world, policy):
    w = await world(policy(steps="[{weight: 50%, hold: 60s}]")).start()
    await w.run(20, candidate=1.0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    for text in (
        policy(),
        policy(steps="[{weight: 50%, hold: 10s}]"),
        policy(rollout=False),
        policy(on_new="replace"),
    ):
        await w.edit(text)
        assert w.weight == 0
        w.text = text
        await w.start()
        assert w.weight == 0
    await w.edit(policy(candidate="v3"))
    assert w.serving == {"v1": 9_900, "v3": 100}
    await w.order(Abort())
    await w.edit(policy())  # the old file of v2 again
    assert w.serving == {"v1": 10_000}
    assert "retry" in w.notes[0]
    await w.order(Retry("ann", "fixed it"))
    assert w.serving == {"v1": 9_900, "v2": 100}
    assert w.rollout.actor == "ann"


async def test_taken_back_cannot_be_reached_by_pin_or_rule(world, policy):
    pinned = policy().replace(
        "stable: v1",
        "stable: v1\n    pin: true\n    rules: [{match: {headers: {x-beta: yes1}}, version: v2}]",
    )
    w = await world(pinned).start()
    assert len(w.entry.rules) == 1
    assert 1 in w.entry.pinnable
    await w.order(Rollback())
    assert w.entry.rules == ()
    assert 1 not in w.entry.pinnable


async def test_retry_starts_again_with_new_evidence_and_the_edited_plan(world, policy):
    w = await world().start()
    await w.run(61)
    await w.run(10, candidate=1.0)
    await w.edit(policy(steps="[{weight: 5%, hold: 10s}]"))
    assert w.weight == 0
    await w.order(Retry("ann"))
    assert (w.weight, w.rollout.attempt) == (500, 2)
    await w.run(60)
    assert w.rollout.phase is Phase.COMPLETED


async def test_editing_the_plan_in_mid_rollout_changes_nothing_now(world, policy):
    w = await world().start()
    await w.run(61)
    for steps in ("[{weight: 90%, hold: 1s}]", "[{weight: 1%, hold: 9h}]"):
        await w.edit(policy(steps=steps))
        assert (w.rollout.step, w.weight) == (1, 2_500)
        assert "goes on by the policy it began with" in w.notes[0]
        await w.start()
        assert (w.rollout.step, w.weight) == (1, 2_500)
    await w.edit(policy(rollout=False))
    assert w.weight == 2_500
    await w.run(100)
    assert w.record.stable == "v2"


async def test_another_candidate_waits_or_replaces_as_the_policy_says(world, policy):
    w = await world().start()
    await w.edit(policy(candidate="v3"))
    assert w.serving == {"v1": 9_900, "v2": 100}
    assert "waits" in w.notes[0]
    await w.run(200)
    assert w.record.stable == "v2"
    assert w.serving == {"v2": 9_900, "v3": 100}, "and then it has its turn"

    w = await world().start()
    await w.edit(policy(candidate="v3", on_new="replace"))
    assert w.serving == {"v1": 9_900, "v3": 100}
    assert [a for a, *_ in w.journal] == ["start", "abort", "start"]


async def test_a_candidate_at_other_endpoints_begins_anew(world, policy):
    w = await world().start()
    await w.run(61)
    await w.edit(policy(v2_port=9_999))
    assert w.weight == 100
    assert [a for a, *_ in w.journal] == ["start", "advance", "abort", "start"]
    assert w.rollout.id == "r-2"


async def test_a_version_that_serves_cannot_be_removed_unless_forced(world, policy):
    w = await world().start()
    without = policy(candidate="v3").replace("      v2: {endpoints: [http://127.0.0.1:9002]}\n", "")
    generation = w.tables.last.generation
    with pytest.raises(PolicyRejected, match="v2 is progressing"):
        await w.edit(without)
    assert w.tables.last.generation == generation, "nothing of it was adopted"
    await w.run(200)
    assert w.record.stable == "v2"
    with pytest.raises(PolicyRejected, match="v2 is stable"):
        await w.edit(without)
    w.text = without
    with pytest.raises(PolicyRejected, match="v2 is stable"):
        await w.start()
    await w.start(force=True)
    assert w.serving.get("v1", 0) + w.serving.get("v3", 0) == 10_000


async def test_stable_follows_a_promotion_until_the_policy_says_otherwise(world, policy):
    w = await world().start()
    await w.run(200)
    await w.start()
    assert w.serving == {"v2": 10_000}
    await w.edit(policy(stable="v2", rollout=False))
    assert w.serving == {"v2": 10_000}
    await w.edit(policy(stable="v3", rollout=False))
    assert w.serving == {"v3": 10_000}
    assert w.journal[-1][0] == "stable"


async def test_undo_after_completion_gives_all_back_to_the_old_version(world):
    w = await world().start()
    await w.run(200)
    await w.order(Rollback("ann", "customers complain"))
    assert w.serving == {"v1": 10_000}
    await w.start()
    assert w.serving == {"v1": 10_000}


async def test_commands_go_through_the_same_door(world):
    w = await world().start()
    await w.order(Pause("ann"))
    await w.run(300)
    assert (w.rollout.phase, w.weight) == (Phase.PAUSED, 100)
    await w.order(Resume("ann"))
    await w.order(SetWeight("ann", "", 1_000, w.clock.now() + 30))
    assert w.weight == 1_000
    await w.run(31)
    assert w.weight == 100
    await w.order(Promote("ann"))
    assert w.weight == 2_500
    await w.order(Promote("ann", full=True))
    assert (w.rollout.phase, w.weight) == (Phase.BAKING, 10_000)
    with pytest.raises(NotPossible, match="it bakes at 100 %"):
        w.reconciler.order("r", SetWeight("ann", "", 10, 1e9))


async def test_a_freeze_stops_advances_but_not_rollbacks_and_survives(world):
    w = await world().start()
    await w.reconciler.freeze(True, "ann", "black friday")
    await w.run(200)
    assert w.weight == 100
    with pytest.raises(NotPossible, match="frozen by ann"):
        w.reconciler.order("r", Promote())
    await w.start()
    await w.run(100)
    assert w.weight == 100
    await w.order(Rollback())
    assert w.weight == 0
    await w.reconciler.freeze(False, "ann", "")


async def test_a_shadow_keeps_stable_and_is_not_repeated(world, policy):
    shadow = policy().replace(
        f"strategy: {{canary: {{steps: {STEPS}, bake: 30s}}}}",
        "strategy: {shadow: {mirror: 50%, until: {samples: 500}}}",
    )
    w = await world(shadow).start()
    assert w.entry.mirrors[0].share_bp == 5_000
    await w.run(60)
    assert w.rollout.phase is Phase.COMPLETED
    assert (w.serving, w.entry.mirrors) == ({"v1": 10_000}, ())
    await w.start()
    assert len(w.journal) == 2
    await w.edit(policy())
    assert w.serving == {"v1": 9_900, "v2": 100}, "the same candidate by another plan is new"


async def test_counts_of_an_older_attempt_are_for_display_only(world):
    w = await world().start()
    old = w.tables.last.routes[0]
    await w.order(Abort())
    await w.order(Retry())
    revision = w.entry.revision
    assert revision > old.revision
    w.tables.sent[-1] = w.tables.last
    from router.core.wire.outcomes import ArmCounts, Batch, Cell

    stale = Batch("r", old.revision, (Cell(100, ArmCounts(bad=500), ArmCounts(ok=500)),))
    w.reconciler.observe((stale,))
    await w.settle()
    assert w.weight == 100


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("nth", range(8))
async def test_a_crash_at_any_write_leaves_the_last_or_the_next_position(world, point, nth):
    """R1, R2: kill the process inside the nth write; look what a new one makes of the disk."""
    w = await world().start()
    seen = {"n": 0}

    class Crash(BaseException):
        pass

    def fail(name):
        seen["n"] += name == point
        if name == point and seen["n"] > nth:
            raise Crash

    w.store._fail_point = fail
    acknowledged = w.record
    try:
        for _ in range(400):
            acknowledged = w.record
            await w.run(1, candidate=0.0 if w.rollout.step == 0 else 1.0)
    except Crash:
        pass
    was = w.reconciler.runs["r"]
    possible = {acknowledged.revision, was.record.revision}
    if was.pending:
        possible.add(was.pending.record.revision)
    await w.start()
    assert w.record.revision in possible
    if acknowledged.rollout.phase is Phase.ROLLED_BACK:
        assert w.weight == 0
    await w.run(100, candidate=1.0)
    assert w.weight == 0


@pytest.mark.parametrize("name", ["pause", "promote"])
async def test_an_order_that_failed_does_not_come_back_with_the_next_start(world, policy, name):
    """A disk may have taken what it reported as failed (nights 2389, 4136)."""
    w = await world(policy(steps="[{weight: 50%, hold: 1h}, {weight: 60%, hold: 1h}]")).start()
    before = w.rollout

    def late(stage):
        if stage == "after":
            raise StoreUnavailable("disk I/O error")

    w.store._fail_point = late
    order = Pause("ann") if name == "pause" else Promote("ann")
    done = w.reconciler.order("r", order).done
    await w.settle()
    assert isinstance(done.exception(), StoreUnavailable)
    assert w.disk.records["r"].rollout != before, "it is on the disk all the same"
    w.store._fail_point = lambda _stage: None
    await w.run(3, rate=0)
    kept = w.disk.records["r"].rollout
    assert (kept.phase, kept.step) == (before.phase, before.step)
    assert w.disk.records["r"].revision == w.record.revision
    said = [entry for entry in w.disk.entries if entry.action == "keep"]
    assert [entry.reason for entry in said] == [
        f"{name} by ann did not come into force: the store failed"
    ]
    await w.start()
    assert (w.rollout.phase, w.rollout.step) == (before.phase, before.step)
