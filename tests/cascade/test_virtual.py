"""What becomes of a route's answers in another one reaches its rollout, by either join."""

from types import SimpleNamespace

import pytest

from router.cli.pipeline import _lines
from router.control.rollouts.replay import Replay
from router.control.told.pipeline import PipelineView, pipeline
from router.link.reading import Looked
from tests.cascade.virtual import BY_KEY, Cascade

pytestmark = [pytest.mark.cascade, pytest.mark.xdist_group("cascade")]

SIX_HOURS_S = 6 * 3_600.0


def forecast(version, row):
    """a2 forecasts nothing but good weather."""
    return 5.0 if version == "a2" else float(row % 60)


def second(minutes):
    return min(0.05 + minutes / 60.0, 0.95)


@pytest.fixture
def whole(tmp_path):
    async def make(**how):
        return await Cascade(tmp_path, how.pop("forecast", forecast), second, **how).start()

    return make


async def day(site, requests, *, between=0.0, name=""):
    """Everything is made, time passes, everything is used."""
    rows = [site.ask_first(n, n % 4 == 0) for n in range(requests)]
    await site.pass_time(1.0 + between)
    for n, row in enumerate(rows):
        site.ask_second(row, f"{name}{n}")
    await site.pass_time(1.0)
    return rows


@pytest.mark.parametrize(("feeds", "between"), [("late", 0.0), (BY_KEY, SIX_HOURS_S)])
async def test_a_version_is_taken_back_for_what_its_answers_do_elsewhere(whole, feeds, between):
    site = await whole(feeds=feeds, hold="1d")
    await day(site, 200, between=between)
    assert site.phase == "rolled_back"
    assert "cascade: late, by who made its input" in site.reason
    tally = site.cascades.tallies["r", "late"]
    assert (tally.joined, tally.unjoined) == (200, 0)
    assert tally.arms["a2"].score_sum / tally.arms["a2"].scores < 0.2
    assert sum(arm.requests for arm in tally.arms.values()) == 200


@pytest.mark.parametrize("feeds", ["late", BY_KEY])
async def test_one_that_harms_nobody_goes_on(whole, feeds):
    site = await whole(feeds=feeds, forecast=lambda _version, row: float(row % 60), hold="10m")
    for n in range(8):
        await day(site, 60, name=f"{n}-")
        if site.phase == "completed":
            break
        await site.pass_time(300.0)
    assert site.phase == "completed", site.reason


async def test_truths_come_later_and_count_once(whole):
    site = await whole(gate="cascade: {ask: [errors, accuracy]}")
    rows = await day(site, 200)
    told = [(f"{n}", row.late) for n, row in enumerate(rows)]
    await site.truths(told[:150])
    await site.truths(told)
    await site.pass_time(1.0)
    accuracy = site.gate.asked[1]
    assert 195 < accuracy.candidate.total + accuracy.stable.total <= 200  # draws share buckets
    arms = site.cascades.tallies["r", "late"].arms
    assert sum(arm.labels for arm in arms.values()) == 200
    assert arms["a1"].wrong > 0


async def test_what_nobody_made_is_unjoined_and_failures_are_told(whole):
    site = await whole(gate="cascade: {ask: [errors]}")
    row = site.ask_first(1, False)
    site.ask_second(row, "known", status=500)
    site.ask_second(row, "alone", joined=False)
    await site.pass_time(1.0)
    tally = site.cascades.tallies["r", "late"]
    assert (tally.joined, tally.unjoined) == (1, 1)
    assert [arm.errors for arm in tally.arms.values()] == [1]
    counted = site.gate.asked[0].evidence
    assert counted.candidate.count + counted.stable.count == 1


async def test_within_bounds_how_old_what_was_made_may_be(whole):
    site = await whole(feeds="{route: late, by: {json: user.id}, within: 1h}", hold="9d")
    row = site.ask_first(1, False, user="ann")
    await site.pass_time(3_700.0)
    site.ask_second(row, "too-late")
    await site.pass_time(1.0)
    newer = site.ask_first(2, False, user="ann")
    await site.pass_time(60.0)
    site.ask_second(newer, "in-time")
    await site.pass_time(1.0)
    tally = site.cascades.tallies["r", "late"]
    assert (tally.joined, tally.unjoined) == (1, 1)


async def test_a_feed_that_leaves_the_policy_is_forgotten(whole):
    site = await whole()
    await day(site, 5)
    assert site.cascades.tallies
    await site.world.edit(site.text.replace("feeds: late", "feeds: []").replace(", cascade]", "]"))
    site.cascades.keep_only()
    assert not site.cascades.tallies
    assert not list(site.cascades.looked(_Sample, Looked(1, None)))


class _Sample:
    route = "nobody"


async def test_the_pipeline_shows_who_feeds_whom_and_who_moved_first(whole):
    site = await whole(feeds=BY_KEY, hold="1d")
    told = pipeline(_parts(site))
    assert told.feeds[0].joined == 0
    await day(site, 200)
    told = pipeline(_parts(site))
    first, second = told.routes
    assert (first.route, first.candidate, first.phase) == ("r", "a2", "rolled_back")
    assert (second.route, second.candidate, second.moved_at) == ("late", None, None)
    (feed,) = told.feeds
    assert (feed.feeder, feed.fed, feed.by, feed.within_s) == ("r", "late", "json user.id", 604_800)
    assert (feed.joined, feed.verdict) == (200, "fail")
    assert feed.sentence.startswith("late, by who made its input: ")
    assert sorted(arm.version for arm in feed.arms) == ["a1", "a2"]
    assert told.moved_first.route == "r"
    assert "r moved first: a2 began to take over from a1; " in told.moved_first.sentence
    text = "\n".join(_lines(told, told.feeds))
    assert "r (a1; a2 rolled back) -> late (b1), by json user.id within 7d" in text
    assert "200 requests of late joined" in text
    site.world.clock.advance(2 * 86_400.0)
    assert pipeline(_parts(site)).moved_first is None
    assert PipelineView.of(told.to_json()) == told


def _parts(site):
    return SimpleNamespace(
        reconciler=site.world.reconciler, cascades=site.cascades, clock=site.world.clock,
        watching=SimpleNamespace(watches={}),
    )  # fmt: skip


async def test_its_recording_replays_without_a_difference(whole, tmp_path):
    site = await whole(hold="1d", gate="cascade: {ask: [errors, scores, accuracy]}")
    rows = await day(site, 60)
    await site.truths([(f"{n}", row.late) for n, row in enumerate(rows)])
    await day(site, 200, name="more-")
    assert site.phase == "rolled_back"
    site.world.reconciler.recording.close()
    lines = (tmp_path / "r.jsonl").read_bytes().splitlines(keepends=True)
    assert any(b'"fed":[{' in line for line in lines)
    made = list(Replay().run(lines))
    assert [one.action for one in made][-1] == "rollback"
    assert [one.difference for one in made if one.difference] == []
    mine, others = (b'"candidate":%b,"unit"' % arm for arm in (b"true", b"false"))
    other = [line.replace(mine, others) for line in lines]
    assert [one for one in Replay().run(other) if one.difference]
