"""Rows 43 to 56 of docs/features.md that no other test shows in one piece."""

from __future__ import annotations

import pytest

from router.core.rollout.events import Abort, Pause, Promote, Resume
from router.core.rollout.rollout import Phase
from router.core.wire.counts import VersionCounts
from router.core.wire.histogram import bucket_of
from router.core.wire.table import Mirror
from tests.proxy.rig import Rig, rollout
from tests.proxy.scripted import OK, Scripted, answers

WEEK_S = 7 * 86_400


async def test_the_share_is_drawn_in_hundredths_of_a_percent(monkeypatch):
    """Coins from just below to just above 12.34 %: those below are copied, the others are not."""
    coins = iter([0, 1_233, 1_233, 1_234, 1_235, 5_000, 9_999])
    async with Scripted(answers(OK)) as stable, Scripted(answers(OK)) as shadow:
        entry = rollout(stable, shadow, 0, mirrors=(Mirror(1, 1_234),))
        async with Rig(entry) as rig:
            for coin in coins:
                monkeypatch.setattr("router.proxy.mirror.coin", lambda coin=coin: coin)
                assert (await rig.ask(body=b"x")).status == 200
                await rig.settled()
            rig.count()
    assert sum(one.delivered for one in rig.mirrors) == 3


async def test_a_shadow_lasts_as_long_as_planned_and_leaves_nothing_behind(world, policy):
    w = await world(policy("shadow: {mirror: 25%, hold: 7d}")).start()
    await w.run(WEEK_S - 3_600, rate=0.01, tick=1_800)
    assert (w.rollout.phase, w.entry.mirrors[0].share_bp) == (Phase.PROGRESSING, 2_500)
    await w.run(7_200, rate=0.01, tick=1_800)
    assert w.rollout.phase is Phase.COMPLETED
    assert (w.serving, w.entry.mirrors) == ({"v1": 10_000}, ())
    assert w.record.stable == "v1"


@pytest.mark.parametrize(
    ("order", "phase", "serving"),
    [
        (Promote("ann"), Phase.PROGRESSING, {"v1": 9_000, "v2": 1_000}),
        (Promote("ann", full=True), Phase.BAKING, {"v2": 10_000}),
        (Abort("ann"), Phase.ABORTED, {"v1": 10_000}),
    ],
    ids=["the next step", "everything", "remove it"],
)
async def test_a_person_ends_a_shadow_with_one_verb(world, policy, order, phase, serving):
    then = "then: {canary: {steps: [{weight: 10%, hold: 1h}], bake: 1h}}"
    w = await world(policy(f"shadow: {{mirror: 25%, approval: {{}}, {then}}}")).start()
    await w.run(30)
    assert w.rollout.phase is Phase.AWAITING_APPROVAL
    await w.order(order)
    assert (w.rollout.phase, w.serving) == (phase, serving)
    assert w.entry.mirrors == ()


async def test_a_shadow_that_is_paused_is_kept_as_it_is(world, policy):
    w = await world(policy("shadow: {mirror: 25%, hold: 1m}")).start()
    await w.order(Pause("ann", "keep it"))
    await w.run(600, rate=1, tick=5)
    assert w.entry.mirrors[0].share_bp == 2_500
    await w.order(Resume("ann"))
    await w.run(61, rate=1, tick=1)
    assert w.rollout.phase is Phase.COMPLETED


async def test_latency_and_errors_of_both_stand_side_by_side(world, policy):
    """What people see of the last minute: stable's answers beside those to copies."""
    w = await world(policy("shadow: {mirror: 50%, hold: 1h}")).start()
    fast, slow = bucket_of(0.010), bucket_of(0.080)
    counted = [
        VersionCounts("r", "v1", "stable", (100, *[0] * 10), (0, 100, 0, 0, 0), ((fast, 100),)),
        VersionCounts("r", "v2", "shadow", (30, 20, *[0] * 10), (0, 30, 0, 0, 20), ((slow, 50),)),
    ]
    w.reconciler.observatory.add(0, counted, w.clock.now())
    stable, shadow = (
        w.reconciler.observatory.view("r", name, w.clock.now()).to_json() for name in ("v1", "v2")
    )
    assert (stable["errors"], shadow["shadow"]["errors"]) == (0, 20)
    assert stable["p99_s"] == pytest.approx(0.010, rel=0.05)
    assert shadow["shadow"]["p99_s"] == pytest.approx(0.080, rel=0.05)
    assert shadow["requests"] == 0, "a copy is nobody's answer"
