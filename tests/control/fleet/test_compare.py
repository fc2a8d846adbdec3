"""When pairs are compared: slices, bounds, the right attempt; and what the table asks for."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from router.control.fleet.compare import (
    AHEAD_BYTES,
    AHEAD_PAIRS,
    QUEUE_BYTES_MAX,
    QUEUE_PAIRS_MAX,
    Comparer,
)
from router.core.pairs.tally import CopyDelivery
from router.core.payloads import PAYLOADS
from router.core.wire.counts import MirrorCounts, PairSample
from router.core.wire.table import Mirror
from router.loops import BOOKS
from tests.control.inline_reader import InlineReader

SHADOW = "{{shadow: {{mirror: 50%, until: {{samples: {samples}}}{more}}}}}"


def shadowed(policy, *, samples=100, more="", compare="{}", gates="[agreement]"):
    text = re.sub(
        r"strategy: .*", "strategy: " + SHADOW.format(samples=samples, more=more), policy()
    )
    text = re.sub(r"gates: .*", f"gates: {gates}\n      compare: {compare}", text)
    return text.replace("match:", "payload: json\n    match:")


def sample(stable=None, other=None, *, revision=1, version="v2", statuses=(200, 200), **more):
    bodies = [json.dumps(b or {"y": 1}).encode() for b in (stable, other)]
    return PairSample("r", version, revision, "id", *statuses, *bodies, **more)


class Bench:
    """A comparer over a control plane in virtual time."""

    def __init__(self, world):
        self.world = world
        self.counted = Counter()
        reconciler = world.reconciler
        self.reader = InlineReader()
        self.comparer = Comparer(
            lambda: reconciler.runs, reconciler.observe, self.count, world.clock, self.reader
        )

    def count(self, route, version, result, number):
        self.counted[result] += number

    async def take(self, *samples):
        self.comparer.put(samples)
        while self.reader.pump():
            pass
        await self.world.settle()

    @property
    def trial(self):
        return self.world.reconciler.runs["r"].trial

    @property
    def revision(self):
        return self.world.record.revision


@pytest.fixture
async def bench(world, policy):
    made = []

    async def make(**settings):
        one = Bench(await world(shadowed(policy, **settings)).start())
        made.append(one)
        return one

    yield make
    for one in made:
        assert one.comparer._pairs == len(one.comparer._ahead) + sum(
            len(lane.unread) for lane in one.comparer._lanes.values()
        )


async def test_pairs_end_a_shadow(bench):
    b = await bench(samples=100)
    await b.take(*(sample(revision=b.revision) for _ in range(99)))
    assert b.world.rollout.phase.live
    await b.take(sample(revision=b.revision))
    assert b.world.rollout.phase.value == "completed"
    assert b.world.serving == {"v1": 10_000}
    assert b.counted == {"agreed": 100}


async def test_disagreement_takes_it_back_and_says_so(bench):
    b = await bench(samples=1_000)
    await b.take(*(sample({"y": 1}, {"y": 2}, revision=b.revision) for _ in range(5)))
    assert b.world.rollout.phase.value == "rolled_back"
    assert re.match(r"agreement: disagreed with stable: (\d) of \1 ", b.world.rollout.reason)
    assert b.world.entry.mirrors == ()


SLO = "[agreement, shadow_slo: {slower_than: 200ms}]"


async def test_a_slow_candidate_is_taken_back_before_it_answers_anybody(bench):
    b = await bench(samples=1_000, gates=SLO)
    slow = {"primary_s": 0.1, "shadow_s": 0.3}
    await b.take(*(sample(revision=b.revision, **slow) for _ in range(20)))
    assert b.world.rollout.phase.value == "rolled_back"
    assert b.world.rollout.reason.startswith("shadow_slo: slower than 200ms by the candidate alone")


async def test_times_of_reverse_pairs_accuse_nobody(bench):
    """There the client's own upload is in the candidate's time."""
    b = await bench(samples=1_000, gates=SLO, more=", then: {canary: {steps: [{weight: 9%}]}}")
    turned = {"version": "v1", "primary": "v2", "primary_s": 0.3, "shadow_s": 0.1}
    await b.take(*(sample(revision=b.revision, **turned) for _ in range(40)))
    assert b.world.rollout.phase.live
    assert b.trial.judge.states["shadow_slo"].candidate.total == 0


async def test_pairs_of_another_attempt_or_route_are_not_compared(bench):
    b = await bench()
    stale = sample(revision=b.trial.revision - 1)
    await b.take(stale, PairSample("elsewhere", "v2", 9, "id", 200, 200))
    assert (b.counted, b.trial.pairs) == ({"stale": 2}, 0)


async def test_a_flood_is_dropped_counted_and_not_queued(bench):
    b = await bench(samples=10_000)
    most = QUEUE_PAIRS_MAX // 2
    b.comparer.put(sample(revision=b.revision) for _ in range(most + 7))
    assert (b.comparer._pairs, b.counted) == (most, {"dropped": 7})
    assert b.trial.shadow.uncompared == 7
    await b.take()
    assert b.counted == {"dropped": 7, "agreed": most}
    large = sample({"y": "x" * 2**20}, revision=b.revision)
    b.comparer.put(large for _ in range(100))
    assert QUEUE_BYTES_MAX / 2 - 2**20 < b.comparer._bytes <= QUEUE_BYTES_MAX / 2
    await b.take()
    assert (b.comparer._bytes, b.comparer._pairs, b.comparer._lanes) == (0, 0, {})


async def test_one_routes_flood_drops_its_own_pairs_and_the_other_has_its_turn(world, policy):
    each = "      for_each: {header: X-Country, values: [de, fr], rest: stable}\n"
    b = Bench(await world(shadowed(policy, samples=100_000) + each).start())
    pairs = {
        country: replace(
            sample({"y": 1}, revision=b.world.reconciler.runs[f"r@{country}"].record.revision),
            route=f"r@{country}",
        )
        for country in ("de", "fr")
    }
    b.comparer.put([pairs["de"]] * 3_000 + [pairs["fr"]] * 500)
    assert b.counted == {"dropped": 2_000}
    fr = b.world.reconciler.runs["r@fr"].trial
    while fr.pairs < 500:
        assert b.reader.pump(20)
    de = b.world.reconciler.runs["r@de"].trial
    assert abs(de.pairs - fr.pairs) <= AHEAD_PAIRS + 20


async def test_the_reader_is_given_a_few_at_a_time(bench):
    b = await bench(samples=10_000)
    b.comparer.put(sample(revision=b.revision) for _ in range(100))
    assert len(b.comparer._ahead) == AHEAD_PAIRS
    await b.take()
    large = sample({"y": "x" * 10**6}, {"y": "x" * 10**6}, revision=b.revision)
    b.comparer.put(large for _ in range(8))
    assert b.comparer._ahead_bytes <= AHEAD_BYTES
    await b.take()
    huge = sample({"y": "x" * (AHEAD_BYTES + 1)}, revision=b.revision)
    b.comparer.put([huge, huge])
    assert len(b.comparer._ahead) == 1
    await b.take()
    assert b.counted == {"agreed": 108, "unusable": 2}


async def test_pairs_are_booked_in_the_order_in_which_they_came(bench):
    """A failed status is known at once; counted before the answers that wait it would accuse."""
    b = await bench(samples=10_000)
    booked = []
    add = b.trial.shadow.add
    b.trial.shadow.add = lambda one, *more: (booked.append(one.request_id), add(one, *more))[1]
    pairs = [
        replace(
            sample(revision=b.revision, statuses=(200, 500 if n % 3 == 1 else 200)),
            request_id=str(n),
        )
        for n in range(50)
    ]
    b.comparer.put(pairs)
    assert booked == []
    b.reader.pump(2)
    assert booked == ["0", "1"]
    await b.take()
    assert booked == [str(n) for n in range(50)]


async def test_what_the_reader_had_when_it_ended_is_lost_counted_and_not_tried_again(bench):
    b = await bench(samples=10_000)
    b.comparer.put(sample(revision=b.revision) for _ in range(50))
    b.reader.pump(6)
    read = b.counted["agreed"]
    assert read == 5
    had = len(b.comparer._ahead)
    b.reader.die()
    assert b.counted == {"agreed": read, "lost": had}
    assert b.trial.shadow.uncompared == had
    b.reader.rise()
    await b.take()
    assert b.counted == {"agreed": 50 - had, "lost": had}


async def test_a_reading_that_fails_is_a_bug_of_ours_and_accuses_nobody(bench, monkeypatch):
    class Broken:
        def read(self, body):
            raise RecursionError

    BOOKS.__init__()
    b = await bench(samples=10_000)
    monkeypatch.setitem(PAYLOADS, "json", Broken())
    await b.take(*(sample(revision=b.revision) for _ in range(3)))
    assert b.counted == {"lost": 3}
    assert "RecursionError" in BOOKS.failures["reader"].last
    assert b.trial.judge.capital == 1.0
    BOOKS.__init__()


async def test_noise_that_is_settled_while_a_pair_is_read_changes_its_question(bench):
    b = await bench(samples=30, compare="{noise: 10%, noise_pairs: 20}")
    ticks = iter(range(10_000))

    def pair(version="v2"):
        bodies = ({"y": 1, "t": next(ticks)}, {"y": 1, "t": next(ticks)})
        return sample(*bodies, revision=b.revision, version=version)

    b.comparer.put([pair(("v2", "v1")[n % 2]) for n in range(40 + 2 * AHEAD_PAIRS)])
    await b.take()
    assert b.trial.shadow.noise.silenced == {"t"}
    assert b.world.rollout.phase.live
    assert b.trial.pairs == AHEAD_PAIRS


async def test_what_became_of_copies_is_kept(bench):
    b = await bench()
    b.comparer.mirrored([
        MirrorCounts("r", "v2", 7, 2, {"queue": 3, "sample": 50}),
        MirrorCounts("r", "v1", 4),
        MirrorCounts("elsewhere", "v2", 1),
    ])  # fmt: skip
    tallies = b.trial.shadow.tallies
    assert tallies["v2"].delivery == CopyDelivery(7, 2, {"queue": 3})
    assert tallies["(stable)"].delivery.delivered == 4


async def test_noise_is_no_evidence_until_it_is_known_and_then_does_not_decide(bench):
    b = await bench(samples=30, compare="{noise: 10%, noise_pairs: 20}")
    assert b.world.entry.mirrors == (Mirror(1, 5_000), Mirror(0, 500))
    ticks = iter(range(10_000))

    def pair(version="v2"):
        return sample(
            {"y": 1, "t": next(ticks)},
            {"y": 1, "t": next(ticks)},
            revision=b.revision,
            version=version,
        )

    await b.take(*(pair() for _ in range(25)))
    assert (b.trial.pairs, b.trial.judge.capital) == (0, 1.0)
    await b.take(*(pair("v1") for _ in range(20)))
    await b.take(*(pair() for _ in range(29)))
    assert b.trial.shadow.noise.silenced == {"t"}
    assert (b.trial.pairs, b.world.rollout.phase.live) == (29, True)
    await b.take(pair())
    assert b.world.rollout.phase.value == "completed"


async def test_without_noise_cancelling_the_same_candidate_is_taken_back(bench):
    b = await bench(samples=30)
    ticks = iter(range(10_000))
    await b.take(
        *(sample({"t": next(ticks)}, {"t": next(ticks)}, revision=b.revision) for _ in range(30))
    )
    assert b.world.rollout.phase.value == "rolled_back"


async def test_a_shadow_becomes_a_canary_by_itself_and_pairing_goes_on(bench):
    canary = "{canary: {steps: [{weight: 10%, hold: 60s}], bake: 30s}}"
    b = await bench(samples=50, more=f", also: [v3], then: {canary}", compare="{reverse: 20%}")
    assert b.world.entry.mirrors == (Mirror(1, 5_000), Mirror(2, 5_000))
    await b.take(*(sample(revision=b.revision) for _ in range(50)))
    assert (b.world.rollout.step, b.world.weight) == (1, 1_000)
    assert b.world.entry.mirrors == (Mirror(0, 2_000, of=1),)
    turned = [
        sample({"y": 2}, {"y": 1}, revision=b.revision, version="v1", primary="v2")
        for _ in range(20)
    ]
    await b.take(*turned)
    assert b.world.rollout.phase.value == "rolled_back"
    assert re.match(r"agreement: disagreed with stable: \d+ of [567]\d ", b.world.rollout.reason)
    assert b.world.serving == {"v1": 10_000}


async def test_a_shadow_with_then_is_promoted_in_the_end(bench):
    canary = "{canary: {steps: [{weight: 10%, hold: 60s}], bake: 30s}}"
    b = await bench(samples=10, more=f", then: {canary}", gates="[error_rate]")
    await b.take(*(sample(revision=b.revision) for _ in range(10)))
    await b.world.run(120)
    assert b.world.rollout.phase.value == "completed"
    assert b.world.serving == {"v2": 10_000}


async def test_segments_are_asked_of_the_data_plane(bench):
    b = await bench(compare="{segment: {header: X-Country}}")
    assert b.world.entry.segment_header == "x-country"
    await b.take(sample(revision=b.revision, segment="DE"))
    assert b.trial.shadow.tallies["v2"].segments == {"DE": [1, 1]}


async def test_each_segment_is_judged_by_its_own_pairs(world, policy):
    """Nine of ten answers agree in all; in one country none does."""
    each = "      for_each: {header: X-Country, values: [de, fr], rest: stable}\n"
    b = Bench(await world(shadowed(policy, samples=1_000) + each).start())
    runs = b.world.reconciler.runs
    for country, other, number in (("fr", 1, 90), ("de", 2, 10)):
        name = f"r@{country}"
        revision = runs[name].record.revision
        pair = sample({"y": 1}, {"y": other}, revision=revision)
        await b.take(*(replace(pair, route=name) for _ in range(number)))
    assert runs["r@de"].rollout.phase.value == "rolled_back"
    assert runs["r@de"].rollout.reason.startswith("agreement: disagreed with stable: ")
    assert runs["r@fr"].rollout.phase.live
    assert runs["r@fr"].trial.shadow.candidate.agreement == 1.0
    assert runs["r"].rollout is None


async def test_a_restart_keeps_what_was_learnt(bench):
    b = await bench(compare="{noise: 10%, noise_pairs: 20}")
    ticks = iter(range(10_000))
    for version in ("v2", "v1"):
        await b.take(*(
            sample({"t": next(ticks)}, {"t": next(ticks)}, revision=b.revision, version=version)
            for _ in range(20)
        ))  # fmt: skip
    await b.take(sample(revision=b.revision))
    b.world.reconciler.last_words()
    await b.world.settle()
    await b.world.start()
    assert b.trial.shadow.noise.silenced == {"t"}
    assert b.trial.shadow.candidate.pairs == 21
    assert b.trial.pairs == 1


async def test_a_truth_that_is_faster_than_the_comparing_waits_for_its_pair(world, policy):
    text = shadowed(policy, samples=1_000, gates="[agreement: {dry_run: true}, accuracy]")
    secret = "feedback: {secret: abcdefghijklmnopqrstuvwxyz}"
    b = Bench(await world(text.replace("payload: json", f"payload: json\n    {secret}")).start())
    shadow = b.trial.shadow
    for nonce in (1, 2, 3):
        assert shadow.judged(nonce, 1) is None
    pairs = [sample({"y": 1}, {"y": n % 2}, revision=b.revision, nonce=n) for n in (1, 2, 9)]
    await b.take(*pairs, sample({"y": [1, 0]}, {"y": [1, 0]}, revision=b.revision, nonce=3))
    b.world.reconciler.turn()
    paired = b.trial.judge.states["accuracy"].paired
    assert (paired.worse, paired.better, paired.same) == (1, 0, 1), "each truth once, with its pair"
    assert shadow.judged(9, 1) is not None, "a pair that was there first needs no waiting"
    await b.take(sample({"y": 1}, {"y": 0}, revision=b.revision, nonce=2))
    assert paired.worse == 1, "a truth counts once"
