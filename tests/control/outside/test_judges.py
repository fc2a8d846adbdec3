"""Judges are asked beside everything: what they say, how they fail, what they may cost."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter

import pytest
from aiohttp import web

from router.control.fleet.compare import Comparer
from router.control.outside import judges as judges_
from router.control.outside.judges import DRAWN_MAX, FAILURES_MAX, Judges
from router.control.rollouts.lines import BatchLine
from router.control.state.settings import StoreSettings
from router.control.told.judged import judge_views
from router.core.judging.said import ANSWER_BYTES_MAX
from router.core.judging.spent import DAY_S, Spending
from router.core.rollout.events import Abort
from tests.control.fleet.test_compare import sample, shadowed
from tests.control.inline_reader import InlineReader
from tests.waiting import for_ever

LONG = b" " * (ANSWER_BYTES_MAX + 1)


class Site:
    """A judge; ``habit`` is what it does with a question."""

    def __init__(self):
        self.asked, self.headers, self.habit = [], [], "rule"
        self.gates: dict[int, asyncio.Event] = {}

    async def answer(self, request):
        asked = await request.json()
        self.asked.append(asked)
        self.headers.append(request.headers.get("Authorization"))
        if self.habit == "hang":
            await for_ever()
        if self.habit == "late first" and len(self.asked) == 1:
            await self.gates.setdefault(1, asyncio.Event()).wait()
        if isinstance(self.habit, int):
            return web.Response(status=self.habit)
        if isinstance(self.habit, bytes):
            return web.Response(body=self.habit)
        first, second = (asked[name]["y"] for name in ("first", "second"))
        better = "first" if first < second else "second" if second < first else "tie"
        return web.json_response({"better": better, "usage": {"total_tokens": 7, "cost": 0.5}})


@pytest.fixture
async def site():
    made = Site()
    app = web.Application()
    app.add_routes([web.post("/judge", made.answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/judge"
    yield made
    await runner.cleanup()


class Bench:
    """A comparer with judges over a control plane in virtual time."""

    def __init__(self, world):
        self.world, self.counted = world, Counter()
        reconciler, self.reader = world.reconciler, InlineReader()
        self.judges = Judges(
            lambda: reconciler.runs, reconciler.observe, self.count, world.clock, world.store
        )
        self.comparer = Comparer(
            lambda: reconciler.runs,
            reconciler.observe,
            lambda *_: None,
            world.clock,
            self.reader,
            judges=self.judges,
        )

    def count(self, route, gate, result):
        assert (route, gate) == ("r", "judge")
        self.counted[result] += 1

    async def take(self, *pairs):
        """Compare pairs of (stable, candidate), and wait until nothing of them is open."""
        revision = self.world.record.revision
        self.comparer.put([sample({"y": a}, {"y": b}, revision=revision) for a, b in pairs])
        while self.reader.pump():
            pass
        await self.quiet()

    async def quiet(self):
        async with asyncio.timeout(20):
            while any(lane.tasks or lane.waiting for lane in self.judges._lanes.values()):
                await asyncio.sleep(0.005)
        await self.world.settle()

    @property
    def run(self):
        return self.world.reconciler.runs["r"]

    @property
    def state(self):
        return self.run.trial.judge.states["judge"]

    @property
    def view(self):
        (view,) = judge_views("r", self.run.trial, self.judges)
        return view.to_json()


@pytest.fixture
async def bench(world, policy, site):
    made = []

    async def make(more="", *, sample="100%", timeout="5s"):
        gate = f'{{judge: {{url: "{site.url}", sample: {sample}, timeout: {timeout}{more}}}}}'
        text = shadowed(policy, samples=5_000, gates=f"[{gate}]")
        one = Bench(await world(text).start())
        made.append(one)
        return one

    yield make
    for one in made:
        await one.judges.close()


async def test_a_candidate_whose_answers_are_worse_is_taken_back(bench, site):
    b = await bench()
    for _ in range(5):
        await b.take(*[(1, 2)] * 4)
    assert b.world.rollout.phase.value == "rolled_back"
    assert re.match(r"judge: called worse than stable's answer in (\d+), better in 0 of \1 pairs",
                    b.world.rollout.reason)  # fmt: skip
    assert {frozenset(one) for one in site.asked} == {frozenset(("question", "first", "second"))}
    firsts = Counter(one["first"]["y"] for one in site.asked)
    assert set(firsts) == {1, 2}, "a coin draws which stands first"
    assert b.view["today"]["tokens"] == 7 * len(site.asked)


async def test_what_is_as_good_stays_and_what_says_the_same_costs_nothing(bench, site):
    b = await bench()
    for _ in range(5):
        await b.take((1, 2), (2, 1), (1, 1), (3, 3))
    assert b.world.rollout.phase.live
    assert (len(site.asked), b.state.equal, b.state.asked) == (10, 10, 10)
    assert b.counted == {"stable": 5, "candidate": 5, "same": 10}


async def test_verdicts_are_fed_in_the_order_of_drawing(bench, site):
    b = await bench()
    fed = []
    b.run.trial.tape = fed.append
    site.habit = "late first"
    b.comparer.put([
        sample({"y": 1}, {"y": y}, revision=b.world.record.revision) for y in (2, 0, 2)
    ])  # fmt: skip
    while b.reader.pump():
        pass
    async with asyncio.timeout(20):
        while sum(b.counted.values()) < 2:
            await asyncio.sleep(0.005)
    assert not [line for line in fed if isinstance(line, BatchLine) and line.batch.verdicts]
    site.gates[1].set()
    await b.quiet()
    batches = [line.batch for line in fed if isinstance(line, BatchLine)]
    said = [one.worse for batch in batches for one in batch.verdicts]
    assert said == [1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    ("habit", "why"),
    [
        (503, "it answered 503"),
        (302, "it answered 302"),
        (LONG, "its answer is longer than"),
        (b"better", "its answer is no JSON"),
        (b'{"better": "v2"}', "its answer has neither better nor score"),
        ("hang", "no answer within"),
    ],
)
async def test_a_judge_that_fails_costs_its_evidence_and_is_left_alone(bench, site, habit, why):
    b = await bench(timeout="100ms" if habit == "hang" else "5s")
    site.habit = habit
    await b.take(*[(1, 2)] * 4)
    await b.take(*[(1, 2)] * 4)
    assert b.world.rollout.phase.live
    assert b.state.capital == 1.0
    assert b.view["trouble"].startswith(why)
    assert b.view["left_alone"]
    assert b.state.unknown == b.counted["unanswered"] >= FAILURES_MAX
    before = len(site.asked)
    await b.take(*[(1, 2)] * 4)
    assert len(site.asked) == before
    b.world.clock.advance(301)
    site.habit = "rule"
    await b.take((1, 2))
    assert (b.view["trouble"], b.view["left_alone"], b.state.evidence.worse) == ("", False, 1)


async def test_the_budget_of_a_day_ends_the_asking_until_midnight(bench, site):
    b = await bench(", budget: {calls: 3}")
    await b.take(*[(1, 2)] * 8)
    assert (len(site.asked), b.counted["passed_over"]) == (3, 5)
    assert b.view["today"]["used_up"] == "3 calls"
    b.world.clock.advance(DAY_S)
    assert b.view["today"]["used_up"] == ""
    await b.take((1, 2))
    assert len(site.asked) == 4


async def test_what_was_spent_is_kept_for_the_next_process(bench, site):
    b = await bench(", budget: {calls: 3, tokens: 1000, cost: 100}")
    await b.take((1, 2), (2, 1))
    b.judges.keep()
    await b.world.settle()
    kept = b.world.disk.settings["judge/r/judge"]
    after = Spending()
    after.restore(json.loads(json.dumps(kept)))
    assert (after.calls, after.tokens, after.cost) == (2, 14, 1.0)
    again = Judges(dict, print, print, b.world.clock, b.world.store)
    again.resume(StoreSettings(spent={"r/judge": kept, "r/broken": {"day": "x"}}))
    assert again.spent("r", "judge").calls == 2


async def test_no_more_are_drawn_than_may_wait(bench, site):
    b = await bench()
    site.habit = "hang"
    revision = b.world.record.revision
    b.comparer.put([sample({"y": 1}, {"y": 2}, revision=revision) for _ in range(DRAWN_MAX + 9)])
    assert b.counted == {"passed_over": 9}


async def test_share_0_asks_nobody(bench, site):
    b = await bench(", dry_run: true", sample="0%")
    await b.take(*[(1, 2)] * 4)
    assert (site.asked, b.counted) == ([], {})


async def test_credentials_are_those_of_the_policy_of_the_moment(bench, site):
    b = await bench(', headers: {Authorization: "Bearer 1"}')
    await b.take((1, 2))
    assert site.headers == ["Bearer 1"]
    assert "Bearer" not in b.run.trial.policy.model_dump_json()


async def test_an_attempt_that_is_over_is_asked_nothing_more(bench, site, monkeypatch):
    monkeypatch.setattr(judges_, "LOOK_EVERY_S", 0.0)
    b = await bench()
    site.habit = "hang"
    revision = b.world.record.revision
    b.comparer.put([sample({"y": 1}, {"y": 2}, revision=revision)])
    b.reader.pump()
    assert [lane.tasks for lane in b.judges._lanes.values()]
    await b.world.order(Abort(actor="ann", reason="lunch"))
    await b.judges.turn()
    assert repr(b.judges) == "<Judges of 0 gates>"
