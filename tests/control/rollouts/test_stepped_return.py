"""Stepped rollbacks in virtual time, through the whole control plane."""

from __future__ import annotations

import pytest

from router.core.rollout.events import Abort, Promote, Retry, Rollback
from router.core.rollout.rollout import Phase

STEPPED = "      rollback: {over: 100s}\n"


async def test_traffic_returns_by_the_clock_while_the_rollout_is_over(world, policy):
    w = await world(policy(steps="[{weight: 50%, hold: 1h}]") + STEPPED).start()
    await w.order(Rollback("ann", "cold caches"))
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert w.serving == {"v1": 5_500, "v2": 4_500}
    assert w.entry.pinnable == ()
    assert w.disk.entries[-1].weight_bp == 4_500
    tables = len(w.tables.sent)
    await w.run(99)
    assert w.serving == {"v1": 10_000}
    assert len(w.tables.sent) == tables + 9, "one table a part, not one a tick"
    assert [a for a, *_ in w.journal] == ["start", "rollback"], "no further decision was needed"


async def test_a_restart_goes_on_where_the_return_was(world, policy):
    w = await world(policy(steps="[{weight: 50%, hold: 1h}]") + STEPPED).start()
    await w.order(Rollback("ann"))
    await w.run(35)
    before = dict(w.serving)
    assert before == {"v1": 7_000, "v2": 3_000}
    w.reconciler.last_words()
    await w.start()
    assert w.serving["v2"] <= 4_500
    await w.run(100)
    assert w.serving == {"v1": 10_000}


async def test_an_undo_of_a_completed_rollout_is_stepped_and_cut_short_at_once(world, policy):
    w = await world(policy(bake="0s") + STEPPED).start()
    await w.order(Promote("ann", full=True))
    assert w.serving == {"v2": 10_000}
    await w.order(Rollback("ann"))
    assert w.serving == {"v1": 1_000, "v2": 9_000}
    assert w.record.stable == "v1"
    w.store.broken = True
    await w.order(Rollback("bob", "worse than thought"))
    assert w.serving == {"v1": 10_000}, "without waiting for the disk"


async def test_gates_do_not_wait(world, policy):
    w = await world(policy(steps="[{weight: 25%, hold: 1h}]") + STEPPED).start()
    await w.run(20, candidate=1.0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert w.serving == {"v1": 10_000}


async def test_the_next_candidate_waits_for_the_end_of_the_return(world, policy):
    w = await world(policy(steps="[{weight: 50%, hold: 1h}]") + STEPPED).start()
    queued = policy(candidate="v3", steps="[{weight: 50%, hold: 1h}]", on_new="start")
    await w.edit(queued + STEPPED)
    await w.order(Rollback("ann"))
    await w.run(80)
    assert w.serving == {"v1": 9_500, "v2": 500}
    await w.run(15)
    assert w.serving == {"v1": 5_000, "v3": 5_000}


async def test_a_return_begins_where_the_traffic_is_not_where_it_was_going(world, policy):
    """A step up is on its way to the disk: what never came into force gives nothing back."""
    w = await world(
        policy(steps="[{weight: 10%, hold: 1h}, {weight: 50%, hold: 1h}]") + STEPPED
    ).start()
    w.store.held = True
    w.reconciler.order("r", Promote("ann"))
    assert w.serving == {"v1": 9_000, "v2": 1_000}
    w.reconciler.order("r", Rollback("ann"))
    assert w.serving == {"v1": 9_100, "v2": 900}
    w.store.release()
    await w.settle()
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert w.rollout.step == 0
    assert "10 % return over" in w.rollout.reason


@pytest.mark.parametrize("order", [Abort, Rollback])
async def test_an_attempt_that_never_came_into_force_gives_nothing_back(world, policy, order):
    """A retry is on its way to the disk: the candidate has nothing, and gets nothing."""
    w = await world(policy(steps="[{weight: 50%, hold: 1h}]") + STEPPED).start()
    await w.order(Rollback("ann", instant=True))
    w.store.held = True
    w.reconciler.order("r", Retry("ann", force=True))
    assert w.serving == {"v1": 10_000}
    w.reconciler.order("r", order("ann"))
    assert w.serving == {"v1": 10_000}
    w.store.release()
    await w.settle()
    assert not w.rollout.phase.live
    assert w.serving == {"v1": 10_000}
