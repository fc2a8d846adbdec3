"""What `get` says is still to come: the date in virtual time, the risks, what follows an order."""

from __future__ import annotations

import pytest

from router.control.rollouts.adoption import upcoming
from router.control.rollouts.orders import decided
from router.control.told.foreseen import FRESH_S, Foresight
from router.control.told.status import rollout_view
from router.core.rollout.events import Abort, Promote
from router.core.rollout.rollout import Phase

HALF = "[{weight: 50%, hold: 60s}]"


def served(w, counts, requests=100):
    for version, role in (("v1", "stable"), ("v2", "candidate")):
        w.reconciler.observatory.add(0, (counts("r", version, role, requests),), w.clock.now())


async def test_the_date_of_a_live_rollout_is_the_one_at_which_it_completes(world, policy, counts):
    w = await world(policy(steps=HALF, bake="30s")).start()
    foresight, run = Foresight(), w.reconciler.runs["r"]
    for _ in range(40):
        await w.run(0.5, rate=10)
        served(w, counts, 5)
    seen = foresight.of(run, w.reconciler.observatory, w.clock.now(), w.clock.wall())
    assert seen.through_at is not None
    assert any("slower candidate passes" in risk for risk in seen.risks)
    left_s = seen.through_at - w.clock.wall()
    assert left_s == pytest.approx(70.0, abs=10.0)
    again = foresight.of(run, w.reconciler.observatory, w.clock.now() + 1, w.clock.wall() + 1)
    assert again is seen, "not made anew for everybody who asks"
    late = w.clock.now() + FRESH_S
    assert foresight.of(run, w.reconciler.observatory, late, w.clock.wall()) is not seen
    began = w.clock.now()
    while w.rollout.phase is not Phase.COMPLETED:
        await w.run(1, rate=10)
        assert w.clock.now() - began < 300
    assert 1 / 1.5 < (w.clock.now() - began) / left_s < 1.5
    assert foresight.of(run, w.reconciler.observatory, w.clock.now(), w.clock.wall()) is None


async def test_without_traffic_there_is_no_date_and_the_risks_are_told(world, policy):
    w = await world(policy(steps=HALF)).start()
    run = w.reconciler.runs["r"]
    seen = Foresight().of(run, w.reconciler.observatory, w.clock.now(), w.clock.wall())
    assert (seen.through_at, bool(seen.risks)) == (None, True)
    view = rollout_view(run, run.record.carried, w.reconciler.observatory, 1, 0.0, foreseen=seen)
    assert view.risks == list(seen.risks)
    assert view.decided_at == w.disk.entries[-1].at
    lacks = {gate.gate: gate.lacks for gate in view.gates if gate.lacks}
    assert lacks["guard"].startswith("guard has 0 of ")


@pytest.mark.parametrize(
    ("on_new", "order", "follows"),
    [
        ("queue", Abort("ann"), "v3 was waiting when v2 was given up, so it waits for a person"),
        ("start", Abort("ann"), "the rollout of v3 starts"),
        ("queue", Promote("ann", full=True), "v3 waits until the rollout of v2 has ended"),
    ],
)
async def test_an_order_says_what_comes_next(world, policy, on_new, order, follows):
    w = await world(policy(steps=HALF, on_new=on_new)).start()
    await w.edit(policy(steps=HALF, on_new=on_new, candidate="v3"))
    run = w.reconciler.runs["r"]
    record, _ = decided(run, order, w.clock.now())
    assert upcoming(run.route, record).startswith(follows)


async def test_nothing_comes_next_where_the_file_has_nobody_else(world, policy):
    w = await world(policy(steps=HALF)).start()
    run = w.reconciler.runs["r"]
    record, _ = decided(run, Abort("ann"), w.clock.now())
    assert upcoming(run.route, record) == "v2 was taken back; `retry` starts it again"
    await w.edit(policy(rollout=False))
    assert upcoming(run.route, record) == ""
