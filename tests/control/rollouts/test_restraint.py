"""Freezes, windows, groups, retries and undo: what keeps a rollout, and what never does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from router.control.state.errors import NotPossible, UnknownRoute
from router.core.rollout.events import Abort, Promote, Retry, Rollback
from router.core.rollout.rollout import Phase
from router.core.wire.counts import EndpointState

MONDAY_8 = datetime(2026, 1, 5, 8, tzinfo=UTC).timestamp()
WINDOW = "windows: [mon-fri 09:00-17:00 UTC]"
HOUR = 3_600


def more(policy, text, **settings):
    return policy(**settings).replace(
        "on_new_candidate: queue", f"on_new_candidate: queue\n      {text}"
    )


def named(text, name, formerly=""):
    return text.replace(
        "- name: r", f"- name: {name}" + f"\n    formerly: {formerly}" * bool(formerly)
    )


def waits(w):
    return w.reconciler.runs["r"].waiting


async def at(world, text, wall):
    w = world(text)
    w.clock.advance(0, wall=wall - w.clock.wall())
    return await w.start()


async def test_outside_its_window_a_rollout_stays_and_says_when_it_goes_on(world, policy):
    w = await at(
        world,
        more(policy, WINDOW, steps="[{weight: 1%, hold: 60s}, {weight: 25%, hold: 9h}]"),
        MONDAY_8 + HOUR - 125,
    )
    await w.run(90)
    assert (w.rollout.step, w.weight) == (0, 100)
    assert "mon-fri 09:00-17:00 UTC" in waits(w).reason
    assert "opens Mon 2026-01-05 09:00" in waits(w).reason
    assert waits(w).next_at == MONDAY_8 + HOUR + 60, "the whole hold is yet to come"
    assert [e.action for e in w.disk.entries] == ["start", "stop"], "said once"
    await w.run(85)
    assert w.rollout.step == 0
    await w.run(8)
    assert w.rollout.step == 1
    assert [e.action for e in w.disk.entries] == ["start", "stop", "go_on", "advance"]
    assert "the clocks go on after 2m" in w.disk.entries[2].reason
    assert waits(w).reason == ""
    tomorrow = MONDAY_8 + 25 * HOUR
    done = w.clock.wall() + 9 * HOUR - (MONDAY_8 + 9 * HOUR) + tomorrow
    assert waits(w).next_at == pytest.approx(done, abs=9), "eight hours today, one tomorrow"


async def test_neither_window_nor_freeze_stops_a_rollback(world, policy):
    for restrain in (WINDOW, "group: alone"):
        w = await at(world, more(policy, restrain, steps="[{weight: 50%, hold: 60s}]"), MONDAY_8)
        await w.reconciler.freeze(True, "ann", "sale", route="r")
        await w.run(10, candidate=1.0)
        assert w.rollout.phase is Phase.ROLLED_BACK
        assert w.weight == 0


async def test_a_person_may_promote_outside_the_window_but_not_in_a_freeze(world, policy):
    w = await at(world, more(policy, WINDOW), MONDAY_8)
    await w.order(Promote("ann", "I know what I do"))
    assert w.rollout.step == 1
    await w.reconciler.freeze(True, "bob", "sale")
    with pytest.raises(NotPossible, match="frozen by bob: sale"):
        w.reconciler.order("r", Promote())


async def test_a_freeze_of_a_route_ends_by_itself_and_survives_a_restart(world):
    w = await world().start()
    end = w.clock.wall() + 300
    await w.reconciler.freeze(True, "ann", "sale", route="r", until=end)
    with pytest.raises(UnknownRoute):
        w.reconciler.freeze(True, "ann", "", route="other")
    await w.run(100)
    assert w.weight == 100
    assert waits(w).next_at == pytest.approx(end + 60, abs=1), "the hold is yet to come"
    await w.start()
    await w.run(100)
    assert w.weight == 100
    assert waits(w).reason.startswith("frozen by ann until ")
    await w.run(180)
    assert w.weight > 100
    said = [e.reason for e in w.disk.entries if e.action == "freeze"]
    assert said[0].startswith("frozen by ann until ")
    assert said[1:] == ["the freeze by ann has ended"]
    assert w.disk.settings["frozen"] == {}


async def test_of_two_freezes_the_longer_counts(world):
    w = await world().start()
    await w.reconciler.freeze(True, "ann", "all")
    await w.reconciler.freeze(True, "bob", "mine", route="r", until=w.clock.wall() + 1e6)
    assert "ann" in w.reconciler.restraint.starting(w.reconciler.runs["r"])
    await w.reconciler.freeze(False, "ann", "")
    assert "bob" in w.reconciler.restraint.starting(w.reconciler.runs["r"])
    await w.reconciler.freeze(False, "bob", "", route="r")
    assert not w.reconciler.restraint.freezes


async def test_a_freeze_stops_a_bake_and_a_new_rollout_too(world, policy):
    w = await world().start()
    await w.run(125)
    assert w.rollout.phase is Phase.BAKING
    await w.reconciler.freeze(True, "ann", "sale")
    await w.run(60)
    assert w.rollout.phase is Phase.BAKING
    await w.order(Abort())
    await w.edit(policy(candidate="v3"))
    assert w.rollout.candidate == "v2"
    assert "frozen by ann: sale" in w.reconciler.runs["r"].notes[-1]
    await w.reconciler.freeze(False, "ann", "")
    await w.settle()
    assert w.rollout.candidate == "v3"


@pytest.mark.parametrize("name", ["r", "s"])
async def test_a_route_that_is_new_in_a_freeze_is_on_the_disk(world, policy, name):
    """Never seen, or with a name whose record went to another (night 3113)."""
    w = await world().start()
    await w.order(Abort())
    await w.edit(named(policy(), "q", formerly="r"))
    await w.reconciler.freeze(True, "ann", "sale")
    new = policy().split("routes:")[1].replace("/v2/*", "/s/*").replace("name: r", f"name: {name}")
    await w.edit(named(policy(), "q") + new)
    run = w.reconciler.runs[name]
    assert w.disk.records[name] == run.record
    assert (run.record.stable, run.rollout) == ("v1", None)
    await w.start()
    assert w.reconciler.runs[name].record == run.record
    await w.reconciler.freeze(False, "ann", "")
    await w.settle()
    assert w.reconciler.runs[name].rollout.candidate == "v2"


# --- groups ---------------------------------------------------------------------------------


def pair(policy, second_hold="90s"):
    blind = "until: {samples: 0}"  # nobody sends the second route anything
    steps = f"[{{weight: 1%, hold: 60s, {blind}}}, {{weight: 25%, hold: 60s, {blind}}}]"
    first = more(policy, "group: g", steps=steps)
    other = more(policy, "group: g", steps=steps.replace("60s", second_hold, 1))
    other = other.split("routes:")[1].replace("name: r", "name: s").replace("/v2/*", "/s/*")
    return first + other


def phases(w):
    return [(run.rollout.phase.value, run.rollout.step) for run in w.reconciler.runs.values()]


async def test_a_group_leaves_each_step_together(world, policy):
    w = await world(pair(policy)).start()
    await w.run(80)
    assert phases(w) == [("progressing", 0), ("progressing", 0)]
    assert waits(w).reason == "waits for s, which is progressing in step 1 of 2"
    await w.run(12)
    assert phases(w) == [("progressing", 1), ("progressing", 1)]
    await w.run(200)
    assert [p for p, _ in phases(w)] == ["baking", "baking"], "s bakes unseen, and r waits for it"
    w.reconciler.order("s", Promote("ann"))
    await w.run(1)
    assert [p for p, _ in phases(w)] == ["completed", "completed"]


@pytest.mark.parametrize(("order", "phase"), [(Abort, "aborted"), (Rollback, "rolled_back")])
async def test_one_failure_takes_all_back_in_the_same_turn(world, policy, order, phase):
    w = await world(pair(policy)).start()
    await w.run(20)
    w.reconciler.order("s", order("ann", "no"))
    assert [p for p, _ in phases(w)] == [phase, phase]
    assert all(
        entry.weights_bp[entry.candidate] == 0 if entry.candidate >= 0 else True
        for entry in w.tables.last.routes
    )
    assert "s of group g was" in w.rollout.reason
    await w.settle()
    await w.order(Retry("ann"))
    await w.run(100)
    assert phases(w)[0] == ("progressing", 0)
    assert waits(w).reason == "waits for s, which was taken back; `retry` it"
    w.reconciler.order("s", Retry("ann"))
    await w.settle()
    await w.run(100)
    assert phases(w) == [("progressing", 1), ("progressing", 1)]


async def test_a_crash_between_two_members_is_mended_at_the_start(world, policy):
    w = await world(pair(policy)).start()
    await w.run(20)
    before = w.disk.records["r"]
    w.reconciler.order("s", Rollback("ann", "no"))
    await w.settle()
    w.disk.records["r"] = before  # the router died before this one was on the disk
    await w.start()
    assert [p for p, _ in phases(w)] == ["rolled_back", "rolled_back"]


# --- retry and undo -------------------------------------------------------------------------


async def test_retries_back_off_and_force_overrides(world):
    w = await world().start()
    await w.order(Abort())
    await w.order(Retry("ann"))
    await w.run(10)
    await w.order(Abort())
    await w.run(30)
    with pytest.raises(
        NotPossible,
        match=r"v2 was retried 1 time within a day, the back-off is 1m; possible in 30s",
    ):
        w.reconciler.order("r", Retry("ann"))
    await w.start()
    with pytest.raises(NotPossible, match="possible in 1m"):  # the clock stood still: never sooner
        w.reconciler.order("r", Retry("ann"))
    await w.run(60)
    await w.order(Retry("ann"))
    assert w.rollout.attempt == 3
    await w.order(Abort())
    with pytest.raises(NotPossible, match="the back-off is 2m"):
        w.reconciler.order("r", Retry("ann"))
    await w.order(Retry("ann", "it is urgent", force=True))
    assert w.rollout.reason == "attempt 4 started, forced, by ann: it is urgent"


async def test_another_candidate_is_not_held_by_the_retries_of_the_first(world, policy):
    w = await world().start()
    for _ in range(3):
        await w.order(Abort())
        await w.order(Retry("ann", force=True))
    await w.order(Abort())
    await w.edit(policy(candidate="v3"))
    await w.order(Abort())
    await w.order(Retry("ann"))
    assert w.rollout.candidate == "v3"


async def test_retries_are_capped_per_day(world, policy):
    w = await world(more(policy, "anti_flap: {backoff: 0s, per_day: 2}")).start()
    for _ in range(2):
        await w.order(Abort())
        await w.order(Retry("ann"))
    await w.order(Abort())
    with pytest.raises(NotPossible, match="per_day is 2; possible in 1d"):
        w.reconciler.order("r", Retry("ann"))
    w.clock.advance(86_400)
    await w.order(Retry("ann"))


@pytest.mark.parametrize("late", [False, True])
async def test_undo_within_the_rollback_window(world, policy, late):
    w = await world(more(policy, "rollback_window: 2h")).start()
    await w.run(200)
    assert w.rollout.phase is Phase.COMPLETED
    w.clock.advance(2 * HOUR + 10 if late else HOUR)
    if late:
        with pytest.raises(NotPossible, match="rollback_window is 2h; roll out v1 as a candidate"):
            w.reconciler.order("r", Rollback("ann"))
    else:
        await w.order(Rollback("ann"))
        assert w.serving == {"v1": 10_000}


async def test_members_of_a_group_that_stand_do_not_wait_for_each_other(world, policy):
    w = world(pair(policy))
    w.probed = True
    await w.start()
    runs = w.reconciler.runs.values()
    assert all(run.rollout.standing for run in runs)
    for run in runs:
        state = EndpointState(
            run.route.name, "v2", "http://127.0.0.1:9002", True, False, 0, 0, ready=True
        )
        w.reconciler.seen(0, (state,))
        await w.settle()
        assert not run.rollout.standing
