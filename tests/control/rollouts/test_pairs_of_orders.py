"""Two orders while the disk has no time to answer: each is answered, and the last one counts."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from router.control.state.errors import ControlError
from router.core.rollout.events import (
    Abort,
    Pause,
    Promote,
    Resume,
    Retry,
    Rollback,
    SetWeight,
)
from router.core.rollout.rollout import Phase

ORDERS = {
    "promote": Promote("ann"), "full": Promote("ann", full=True), "pause": Pause("ann"),
    "resume": Resume("ann"), "abort": Abort("ann"), "rollback": Rollback("ann"),
    "retry": Retry("ann", force=True), "weight": SetWeight("ann", weight_bp=3_000, until=1e6),
    "lift": SetWeight("ann"),
}  # fmt: skip
BEFORE = {
    "progressing": (), "paused": (Pause("ann"),), "baking": (Promote("ann", full=True),),
    "aborted": (Abort("ann"),), "rolled back": (Rollback("ann"),),
    "completed": (Promote("ann", full=True), Promote("ann")),
}  # fmt: skip


@pytest.mark.parametrize("before", BEFORE)
async def test_every_order_of_a_pair_is_answered(world, policy, before):
    for first, second in product(ORDERS, ORDERS):
        w = await world(policy(steps="[{weight: 5%, hold: 1h}, {weight: 20%, hold: 1h}]")).start()
        for event in BEFORE[before]:
            await w.order(event)
        w.store.held = True
        moves = []
        for name in (first, second):
            try:
                moves.append(w.reconciler.order("r", ORDERS[name]))
            except ControlError:
                continue  # refused is an answer
        back = [m for m in moves if m.entry.action in ("abort", "rollback")]
        if back and back[-1] is moves[-1]:
            assert w.serving == {"v1": 10_000}, f"{first}, {second}: without the disk"
        w.store.held = False
        w.store.release()
        await w.settle()
        answers = await asyncio.wait_for(
            asyncio.gather(*(m.done for m in moves), return_exceptions=True), 5
        )
        assert len(answers) == len(moves)
        if moves and not isinstance(answers[-1], Exception):
            assert w.rollout.phase.value == moves[-1].entry.phase_to, (first, second)


@pytest.mark.parametrize("order", [Abort, Rollback])
async def test_an_end_at_nothing_needs_no_disk(world, policy, order):
    """A rollout that waits at 0 %, for a hook or a person, is ended at once as well."""
    steps = "[{weight: 0%, approval: {}}, {weight: 20%, hold: 1h}]"
    w = await world(policy(steps=steps)).start()
    w.store.broken = True
    await w.order(order("ann", "no"))
    assert w.rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK)
