"""Late labels in virtual time: joined, judged at the weight of routing, refused when not ours."""

from __future__ import annotations

import json

import pytest

from router.control.fleet.feedback import Feedback, Label
from router.control.state.store import RECEIPTS_MAX
from router.control.told.status import route_view
from router.control.told.views import FeedbackView
from router.core.rollout.events import Rollback
from router.core.rollout.rollout import Phase
from router.core.wire.counts import PairSample
from router.core.wire.receipt import BadReceipt, Chosen, Receipt
from router.telemetry.metrics import Metrics
from tests.core.pairs.judged import judged_by
from tests.receipts import sealed

SECRET = "only-for-these-tests"
TAKES = f'feedback: {{secret: "{SECRET}", expires: 1d}}'
STEPS = "[{weight: 20%, hold: 1h}]"


def with_feedback(policy, *, sticky=False, payload="opaque"):
    text = policy(steps=STEPS).replace("error_rate, ", "accuracy, ", 1)
    user = "\n    sticky: {header: X-User-Id}" if sticky else ""
    return text.replace(
        "    stable: v1", f"    stable: v1\n    payload: {payload}\n    {TAKES}{user}"
    )


def take(feedback, given):
    """As :meth:`Feedback.tell` of a route without a log."""
    refused = []
    for index, label in enumerate(given):
        try:
            feedback._take(label)
        except BadReceipt as bad:
            refused.append({"index": index, "why": str(bad)})
    if refused:
        feedback._count("", "", "refused", len(refused))
    return {"accepted": len(given) - len(refused), "refused": refused}


class Clients:
    """Who got predictions, and later learn the truth."""

    def __init__(self, world):
        self.world = world
        self.feedback = Feedback(world.reconciler, world.clock, Metrics())
        self.made = 0

    def receipt(self, arm=Chosen.CANDIDATE, **changes):
        self.made += 1
        version = {"c": "v2", "s": "v1"}.get(arm.value, "v3")
        entry = self.world.entry
        weight = entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0
        made = Receipt(
            "r", version, entry.revision, weight, arm, int(self.world.clock.wall()), nonce=self.made
        )
        return sealed(made._replace(**changes), SECRET)

    async def pair(self, stable, candidate, *, reverse=False):
        """A mirrored request with both answers; the receipt that its client got."""
        self.made += 1
        revision = self.world.entry.revision
        copy, asked, got = ("v1", "v2", candidate) if reverse else ("v2", "", stable)
        bodies = [
            json.dumps({"y": one}).encode() for one in (got, stable if reverse else candidate)
        ]
        trial = self.world.reconciler.runs["r"].trial
        sample = PairSample("r", copy, revision, "id", 200, 200, *bodies, primary=asked,
                            nonce=self.made)  # fmt: skip
        trial.shadow.add(sample, judged_by(trial.shadow, sample), 0.0)
        self.made -= 1
        return self.receipt(Chosen.FORCED, version=asked or "v1")

    def tell(self, text, truth, *, correct=True):
        answer = take(self.feedback, [Label(text, correct=correct, truth=truth)])
        self.world.reconciler.turn()
        return answer

    @property
    def paired(self):
        """Labelled pairs that became evidence: candidate alone wrong, stable alone, same."""
        one = self.world.reconciler.runs["r"].trial.judge.states["accuracy"].paired
        return one.worse, one.better, one.same

    def say(self, *labels):
        answer = take(self.feedback, [Label(text, correct=right) for text, right in labels])
        self.world.reconciler.turn()
        return answer

    def refusal(self, text):
        answer = self.say((text, True))
        assert answer["accepted"] == 0
        return answer["refused"][0]["why"]

    def wrong(self, arm):
        """Wrong predictions of an arm that became evidence."""
        counts = self.world.reconciler.runs["r"].trial.judge.states["accuracy"]
        return (counts.candidate if arm is Chosen.CANDIDATE else counts.stable).bad


@pytest.fixture
async def clients(world, policy):
    return Clients(await world(with_feedback(policy)).start())


def draw(clients, rng, candidate, stable):
    """One prediction by a real coin, and its truth."""
    arm = Chosen.CANDIDATE if rng.random() < 0.2 else Chosen.STABLE
    wrong = rng.random() < (candidate if arm is Chosen.CANDIDATE else stable)
    return clients.receipt(arm), not wrong


async def test_a_candidate_that_is_wrong_more_often_is_taken_back_by_its_labels(clients):
    rng, world = clients.world.random, clients.world
    for _ in range(3_000):
        clients.say(draw(clients, rng, 0.4, 0.1))
        if not world.rollout.phase.live:
            break
    await world.settle()
    assert world.rollout.phase is Phase.ROLLED_BACK
    assert "wrong by label" in world.rollout.reason


@pytest.mark.simulated
async def test_an_equal_candidate_is_left_alone(clients):
    rng, world = clients.world.random, clients.world
    for _ in range(3_000):
        clients.say(draw(clients, rng, 0.1, 0.1))
    assert world.rollout.phase.live


async def test_labels_carry_the_weight_of_routing_and_may_come_in_any_order(clients, monkeypatch):
    seen = []
    trial = clients.world.reconciler.runs["r"].trial
    monkeypatch.setattr(trial, "observe", lambda batch, _now: seen.append(batch))
    early = clients.receipt(weight_bp=100)
    late = clients.receipt(Chosen.STABLE, weight_bp=2_000)
    clients.say((late, False), (early, True))
    assert [(b.labels[0].weight_bp, b.labels[0].stable_wrong) for b in seen] == [
        (2_000, 1),
        (100, 0),
    ]


async def test_the_same_receipt_counts_once(clients):
    text = clients.receipt()
    assert clients.say((text, False), (text, False))["accepted"] == 1
    assert "used before" in clients.refusal(text)
    assert clients.wrong(Chosen.CANDIDATE) == 1


async def test_forged_old_early_and_foreign_receipts_are_refused(clients):
    wall = int(clients.world.clock.wall())
    forged = clients.receipt().replace(".c.", ".s.")
    assert "not ours" in clients.refusal(forged)
    assert "expired" in clients.refusal(clients.receipt(issued=wall - 86_500))
    assert "future" in clients.refusal(clients.receipt(issued=wall + 120))
    assert "takes no feedback" in clients.refusal(clients.receipt(route="other"))
    assert "no longer" in clients.refusal(clients.receipt(version="v9"))
    assert "no receipt" in clients.refusal("hello")
    assert clients.wrong(Chosen.CANDIDATE) == 0


@pytest.mark.parametrize("arm", [Chosen.FORCED, Chosen.OTHER])
async def test_what_no_coin_chose_is_counted_for_people_only(clients, arm):
    assert clients.say((clients.receipt(arm), False))["accepted"] == 1
    assert (clients.wrong(Chosen.CANDIDATE), clients.wrong(Chosen.STABLE)) == (0, 0)
    assert clients.world.reconciler.runs["r"].labelled["v3"].wrong == 1


async def test_labels_of_an_earlier_attempt_are_no_evidence(clients):
    old = clients.receipt()
    await clients.world.order(Rollback("ann"))
    assert clients.say((clients.receipt(), False))["accepted"] == 1, "after the end: for people"
    from router.core.rollout.events import Retry

    await clients.world.order(Retry("ann", force=True))
    clients.say((old, False))
    assert clients.wrong(Chosen.CANDIDATE) == 0
    clients.say((clients.receipt(), False))
    assert clients.wrong(Chosen.CANDIDATE) == 1


async def test_on_sticky_routes_each_user_s_first_label_counts(world, policy):
    clients = Clients(await world(with_feedback(policy, sticky=True)).start())
    for user in (1, 1, 1, 2):
        clients.say((clients.receipt(unit=user), False))
    assert clients.wrong(Chosen.CANDIDATE) == 2
    w = clients.world
    w.reconciler.last_words()
    await w.start()
    again = Clients(w)
    again.made = 1_000
    again.say((again.receipt(unit=1), False), (again.receipt(unit=3), False))
    assert again.wrong(Chosen.CANDIDATE) == 3, "users are remembered through a restart"


async def test_memory_of_used_receipts_is_bounded(clients, monkeypatch):
    monkeypatch.setattr("router.control.state.receipts.RECEIPTS_MAX", 10)
    for _ in range(50):
        clients.say((clients.receipt(), True))
    assert len(clients.feedback._reconciler.receipts._seen) == 10
    assert RECEIPTS_MAX == 100_000


async def test_rewards_are_told_by_version(clients):
    text = clients.receipt()
    take(clients.feedback, [Label(text, reward=0.5), Label(clients.receipt(), reward=1.0)])
    reconciler = clients.world.reconciler
    told = route_view(reconciler.runs["r"], reconciler.observatory, 1, 0.0).feedback["v2"]
    assert told == FeedbackView(right=0, wrong=0, rewards=2, mean_reward=0.75)


@pytest.fixture
async def paired(world, policy):
    text = with_feedback(policy, payload="json").replace("{weight: ", "{mirror: 50%, weight: ", 1)
    return Clients(await world(text).start())


async def test_the_truth_about_a_mirrored_request_judges_both_answers(paired):
    paired.tell(await paired.pair(stable=1, candidate=0), 1)
    assert paired.paired == (1, 0, 0)
    paired.tell(await paired.pair(stable=1, candidate=0), 0, correct=False)
    paired.tell(await paired.pair(stable=1, candidate=1), 0, correct=False)
    assert paired.paired == (1, 1, 1)
    paired.tell(await paired.pair(stable=0, candidate=1, reverse=True), 0, correct=False)
    assert paired.paired == (2, 1, 1), "the candidate answered the client, and was wrong"
    assert paired.wrong(Chosen.CANDIDATE) == 2, "no coin chose them: only pairs count"


async def test_what_says_nothing_about_both_is_no_pair(paired):
    text = await paired.pair(stable=1, candidate=0)
    assert paired.tell(text, "one")["accepted"] == 1, "a number is never a text"
    paired.tell(paired.receipt(Chosen.FORCED), 1)  # nobody copied it
    paired.say((await paired.pair(stable=1, candidate=0), True))  # no truth
    again = await paired.pair(stable=1, candidate=0)
    paired.tell(again, 1)
    assert paired.tell(again, 1)["accepted"] == 0
    assert paired.paired == (1, 0, 0)


async def test_a_candidate_that_nobody_is_served_by_is_taken_back_by_the_truth(paired):
    rng, world = paired.world.random, paired.world
    labels = 0
    while world.rollout.phase.live and labels < 2_000:
        labels += 1
        truth = rng.randrange(2)
        answers = [truth if rng.random() < right else 1 - truth for right in (0.9, 0.6)]
        paired.tell(await paired.pair(*answers), truth, correct=answers[0] == truth)
    await world.settle()
    print(f"{labels} labels")
    assert labels < 200
    assert world.rollout.phase is Phase.ROLLED_BACK
    assert "labelled pairs: candidate alone wrong in" in world.rollout.reason


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "crashed"])
async def test_a_label_counts_once_through_a_restart(clients, clean):
    """A mark is on the disk with the evidence that its label made, or neither is."""
    world = clients.world
    given = [(clients.receipt(), False), (clients.receipt(), False)]
    clients.say(*given)
    if clean:
        world.reconciler.last_words()
    await world.start()
    again = Clients(world)
    counted = again.wrong(Chosen.CANDIDATE)
    assert counted == 2 if clean else counted in {0, 2}
    answer = again.say(*given)
    assert again.wrong(Chosen.CANDIDATE) == 2
    assert answer["accepted"] == 2 - counted
    assert all(one["why"] == "this receipt was used before" for one in answer["refused"])


async def test_marks_that_could_not_be_written_go_with_the_next_evidence(clients):
    world = clients.world
    world.store.broken = True
    given = (clients.receipt(), False)
    clients.say(given)
    world.reconciler.last_words()
    await world.settle()
    world.store.broken = False
    world.reconciler.last_words()
    await world.settle()
    await world.start()
    assert Clients(world).say(given)["accepted"] == 0
