"""Experiments, fixed splits and the bandit in virtual time, through the whole control plane."""

from __future__ import annotations

from dataclasses import replace

import pytest

from router.control.fleet.feedback import Feedback, Label
from router.control.rollouts.lifecycle import adds_risk
from router.control.state.errors import PolicyRejected
from router.core.rollout.events import Abort, Rollback
from router.core.rollout.rollout import Phase
from router.core.rollout.traffic import Draw
from router.core.wire.outcomes import ArmCounts, Batch, Cell, UserCounts
from router.core.wire.receipt import Chosen, Receipt
from router.telemetry.metrics import Metrics
from tests.receipts import sealed

SECRET = "only-for-these-tests"


def written(policy, rest, *, gates="[error_rate]"):
    text = policy(rollout=False)
    head = f"    sticky: {{header: X-User-Id}}\n    feedback: {{secret: {SECRET}}}\n    stable: v1"
    text = text.replace("    stable: v1", head)
    if rest.startswith("{experiment"):
        rest = f"rollout: {{candidate: v2, strategy: {rest}, gates: {gates}}}"
    return text.rstrip() + f"\n    {rest}\n"


EXPERIMENT = "{experiment: {arms: {v2: 30%, v3: 20%}, for: 100s}}"
BANDIT = "{experiment: {arms: {v2: 30%, v3: 30%}, for: 10d, bandit: {every: 1m, floor: 5%}}}"


async def test_arms_get_their_shares_for_the_planned_time(world, policy):
    w = await world(written(policy, EXPERIMENT)).start()
    assert w.serving == {"v1": 5_000, "v2": 3_000, "v3": 2_000}
    await w.run(99)
    assert w.serving == {"v1": 5_000, "v2": 3_000, "v3": 2_000}
    await w.start()
    assert w.serving == {"v1": 5_000, "v2": 3_000, "v3": 2_000}
    await w.run(110)
    assert w.rollout.phase is Phase.COMPLETED
    assert w.serving == {"v1": 10_000}, "nobody is the winner by itself"
    assert w.record.stable == "v1"
    await w.start()
    assert w.serving == {"v1": 10_000}, "and it does not begin again"


@pytest.mark.parametrize(("shares", "risk"), [
    ({"v2": 2_900, "v3": 3_050}, True), ({"v2": 3_050, "v3": 2_900}, True),
    ({"v2": 2_900, "v3": 3_000}, False), ({"v2": 3_000, "v3": 2_900}, False),
])  # fmt: skip
async def test_one_arm_s_rise_is_risk_although_all_together_fall(world, policy, shares, risk):
    """It was applied at once, before the disk knew of it (night 220)."""
    w = await world(written(policy, BANDIT)).start()
    after = replace(w.rollout, shares=tuple(shares.items()))
    assert adds_risk(w.record, replace(w.record, rollout=after)) is risk


async def test_a_bad_candidate_ends_the_experiment(world, policy):
    w = await world(written(policy, EXPERIMENT, gates="[guard]")).start()
    bad = ArmCounts(0, 40, arrived=40, users=UserCounts(tuple(range(40)), bad=tuple(range(40))))
    good = ArmCounts(66, 0, arrived=66, users=UserCounts(tuple(range(100, 166))))
    cell = Cell(3_750, bad, good, w.entry.thresholds_s, sticky=True)
    w.reconciler.observe((Batch("r", w.entry.revision, (cell,)),))
    await w.settle()
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert w.serving == {"v1": 10_000}


async def test_an_arm_cannot_leave_the_policy_meanwhile(world, policy):
    w = await world(written(policy, EXPERIMENT)).start()
    without = written(policy, "{experiment: {arms: {v2: 30%}, for: 100s}}").replace(
        "      v3: {endpoints: [http://127.0.0.1:9003]}\n", ""
    )
    with pytest.raises(PolicyRejected, match="v3 takes part in the rollout of v2"):
        await w.edit(without)
    await w.order(Abort("ann"))
    await w.edit(without)


async def test_fixed_shares_need_no_rollout(world, policy):
    w = await world(written(policy, "split: {v1: 70%, v2: 20%, v3: 10%}")).start()
    assert w.serving == {"v1": 7_000, "v2": 2_000, "v3": 1_000}
    assert (w.entry.candidate, w.rollout) == (-1, None)
    await w.edit(written(policy, "split: {v1: 60%, v2: 40%}"))
    assert w.serving == {"v1": 6_000, "v2": 4_000}
    names = [version.name for version in w.entry.versions]
    before = list(map(Draw(names, (7_000, 2_000, 1_000), -1, 0).at, range(10_000)))
    after = list(map(Draw(names, w.entry.weights_bp, -1, 0).at, range(10_000)))
    assert sum(x != y for x, y in zip(before, after, strict=True)) == 2_000


async def test_what_was_taken_back_gets_no_share_of_a_split(world, policy):
    w = await world().start()
    await w.order(Rollback("ann"))
    await w.edit(policy(rollout=False).rstrip() + "\n    split: {v1: 70%, v2: 30%}\n")
    assert w.serving == {"v1": 10_000}


RATES = {"v1": 0.10, "v2": 0.20, "v3": 0.05}


class Shoppers:
    """Users who are shown a version by its share and buy at its rate; the shop tells days later."""

    def __init__(self, world):
        self.world = world
        self.feedback = Feedback(world.reconciler, world.clock, Metrics())
        self.made = 0

    async def buy(self, count):
        world, entry = self.world, self.world.entry
        for _ in range(count):
            self.made += 1
            (name,) = world.random.choices([v.name for v in entry.versions], entry.weights_bp)
            arm = {"v1": Chosen.STABLE, "v2": Chosen.CANDIDATE}.get(name, Chosen.OTHER)
            receipt = Receipt("r", name, entry.revision, 5_000, arm, int(world.clock.wall()),
                              unit=self.made, nonce=self.made)  # fmt: skip
            bought = world.random.random() < RATES[name]
            self.feedback._take(Label(sealed(receipt, SECRET), reward=float(bought)))
        await world.run(60, rate=0)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_bandit_moves_traffic_to_the_version_that_earns_most(world, policy, seed):
    w = await world(written(policy, BANDIT), seed=seed).start()
    shop = Shoppers(w)
    for _ in range(15):
        await shop.buy(150)
    assert w.serving["v2"] > 8_000
    assert min(w.serving.values()) >= 500, "everybody goes on being measured"
    moves = [e for e in w.disk.entries if e.action == "share"]
    assert 0 < len(moves) <= 15
    assert "shares follow rewards" in moves[-1].reason
    before = w.serving
    w.reconciler.last_words()
    await w.start()
    assert w.serving == before
    assert w.reconciler.runs["r"].trial.rewards["v2"].count > 0


async def test_a_bandit_is_marked_as_what_it_is(world, policy):
    from router.control.told.status import rollout_view

    w = await world(written(policy, BANDIT)).start()
    await Shoppers(w).buy(50)
    run = w.reconciler.runs["r"]
    view = rollout_view(
        run, run.record.carried, w.reconciler.observatory, 1, w.clock.now()
    ).to_json()
    assert "no fair comparison" in view["bandit"]["warning"]
    assert sum(one["count"] for one in view["bandit"]["rewards"].values()) == 50
    assert sum(view["shares_bp"].values()) == 10_000
