"""An alarm where nothing can be compared: the share falls, and the arms are compared."""

from __future__ import annotations

from router.core.gates.guard import TRIAL_BP
from router.core.rollout.rollout import Phase


async def baking(world):
    w = await world().start()
    for _ in range(4_000):
        await w.run(5, rate=50)
        if w.rollout.phase is Phase.BAKING:
            return w
    raise AssertionError(f"it never bakes: {w.rollout}")


async def test_a_broken_candidate_in_the_bake_is_taken_back_after_a_few(world):
    w = await baking(world)
    before = w.candidate_requests
    await w.run(10, rate=50, candidate=1.0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert w.candidate_requests - before < 30
    assert w.rollout.reason.startswith("error_rate: failed: candidate ")
    assert [action for action, *_ in w.journal][-2:] == ["cap", "rollback"]


async def test_an_outage_that_both_share_takes_nobody_back(world):
    w = await baking(world)
    await w.run(5, rate=50, candidate=0.5, stable=0.5)
    assert (w.rollout.phase, w.weight) == (Phase.BAKING, TRIAL_BP)
    assert w.rollout.reason.startswith(("brake: at most 5 %; ", "trial 1: at most 5 %; "))
    await w.run(20, rate=50, candidate=0.5, stable=0.5)
    assert w.rollout.phase is Phase.BAKING
    for _ in range(100):
        await w.run(5, rate=50)
        if w.weight == 10_000:
            break
    assert w.rollout.phase in {Phase.BAKING, Phase.COMPLETED}
    assert w.rollout.cap_bp is None
