"""One hostile client that sees which arm it has, among 29 honest ones: it is never the jury.

The product's own coin, recorder and evidence. It makes up users on a sticky route and spoils those
whose answers named the candidate, or pins itself to it. The candidate is equal for all others.
"""

from __future__ import annotations

import random

import pytest

from router.core.judge import Judge, JudgeSettings
from router.core.jury import MANY, capital_without
from router.core.policy import RolloutPolicy
from router.core.wire.baseline import Baseline
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.outcomes import Outcome
from router.core.wire.table import StickyEntry, StickyKind
from router.proxy.assign import assign
from router.proxy.matching import NO_DOCUMENT
from router.proxy.serving import ServedRoute
from router.telemetry.recorder import Recorder
from router.upstream import Pools
from tests.proxy.rig import rollout
from tests.proxy.test_assign import head

POLICY = {
    "candidate": "v2", "strategy": {"canary": {"steps": [{"weight": "10%", "hold": "1h"}]}},
    "gates": [{"error_rate": {}}, {"guard": {}}],
}  # fmt: skip
HOSTILE = 7


class World:
    """One rollout and its clients, numbered from 1."""

    def __init__(self, seed, clients, *, sticky=True, failing=(0.01, 0.01), **policy):
        self.rng = random.Random(seed)
        self.clients, self.failing = clients, failing
        nobody = EndpointEntry("127.0.0.1", 9)
        keyed = StickyEntry(StickyKind.HEADER, "x-user", salt="0123") if sticky else None
        self.recorder, self.pools = Recorder(source=1), Pools()
        entry = rollout(nobody, nobody, 1_000, sticky=keyed, pinnable=True, bets_a_user=50)
        self.route = ServedRoute(entry, self.pools, self.recorder)
        policy = RolloutPolicy.model_validate(POLICY | policy)
        settings = JudgeSettings.of(policy, sticky=sticky)
        self.judge = Judge(policy.gates, settings, Baseline(5_000, 50), 0.0)
        self.now, self.users = 0.0, 0

    def ask(self, who, *, fails=None, pinned=False, user=0):
        """One request; None: as its version fails. Answers whether it was the candidate's."""
        self.users += not user
        choice = assign(self.route, head(f"X-User: u{user or self.users}"), NO_DOCUMENT)
        version = self.route.candidate if pinned else choice.version
        arm, nth, mine = version.arm, 0, version is self.route.candidate
        if pinned:
            arm = version.forced
            arm.arrived += 1
        elif arm.users is None:
            arm.arrived += 1
        else:
            nth = arm.arrive(choice.unit)
        self.route.callers[who] = 1
        bad = self.rng.random() < self.failing[not mine] if fails is None else fails
        outcome = Outcome.SERVER_ERROR if bad else Outcome.OK
        arm.end(outcome, 0.01, 0, choice.unit, nth, who=who)
        return mine

    def attack(self):
        """A made-up user shows its arm by a good request; of those of the candidate one fails."""
        user = self.users = self.users + 1
        if self.ask(HOSTILE, fails=False, user=user):
            self.ask(HOSTILE, fails=True, user=user)

    def go_on(self, turns, attack=None):
        """Until it is taken back, or the turns are over; answers after how many."""
        try:
            for turn in range(turns):
                for who in range(1, self.clients + 1):
                    self.ask(who)
                if attack is not None:
                    attack()
                self.recorder.cut()
                self.now += 0.25
                for batch in self.recorder.delta().batches:
                    self.judge.observe(batch, self.now)
                if self.judge.tick(self.now).value == "rollback":
                    return turn + 1
            return 0
        finally:
            self.pools.close()


def test_one_of_thirty_cannot_take_an_equal_candidate_back_though_it_sees_its_arm():
    world = World(3, 30)
    assert world.go_on(200, world.attack) == 0
    assert "one client of 3" in world.judge.judgement().sentence
    assert world.judge.capital > world.judge.limit


def test_the_same_client_is_enough_where_few_are_seen_and_that_is_said():
    world = World(3, 4)
    assert world.go_on(300, world.attack) > 0
    assert world.judge.conviction.endswith("; all evidence is from 5 clients")


def test_by_pins_it_cannot_either():
    world = World(5, 30, sticky=False)
    attack = lambda: world.ask(HOSTILE, fails=True, pinned=True)  # noqa: E731
    assert world.go_on(60, attack) == 0
    alone = World(5, 3, sticky=False)
    assert alone.go_on(200, lambda: alone.ask(HOSTILE, fails=True, pinned=True)) > 0


def test_nor_can_it_spend_the_budget_of_bad_answers():
    fields = {"gates": [{"guard": {"on_fail": "notify"}}], "max_bad_responses": 20}
    world = World(6, 30, sticky=False, failing=(0.0, 0.0), **fields)
    attack = lambda: world.ask(HOSTILE, fails=True)  # noqa: E731 - in both arms
    assert world.go_on(500, attack) == 0
    assert world.judge.bad > 20
    alone = World(6, 3, sticky=False, failing=(0.0, 0.0), **fields)
    assert alone.go_on(500, lambda: alone.ask(HOSTILE, fails=True)) > 0


@pytest.mark.parametrize("sticky", [True, False])
def test_a_candidate_that_fails_for_all_is_taken_back_all_the_same(sticky):
    world = World(8, 30, sticky=sticky, failing=(1.0, 0.01))
    assert world.go_on(100) > 0
    assert world.judge.bad <= 14, "at most three looks of three to five"
    assert "client" not in world.judge.conviction


def test_places_are_fewer_than_clients_never_more():
    world = World(9, MANY - 1)
    world.go_on(5)
    assert not world.judge.jury.many
    assert len(world.judge.jury.lanes) == MANY - 1


def test_who_was_heard_survives_a_restart():
    world = World(3, 30)
    world.go_on(60, world.attack)
    policy = RolloutPolicy.model_validate(POLICY)
    settings = JudgeSettings.of(policy, sticky=True)
    again = Judge.restored(policy.gates, settings, world.judge.snapshot())
    assert again.snapshot() == world.judge.snapshot()
    assert capital_without(again, HOSTILE) == capital_without(world.judge, HOSTILE)
    assert capital_without(again, HOSTILE) < again.capital
