"""What a version is not blamed for: payloads that fail on stable as well, a single instance."""

import asyncio
from collections import Counter

import pytest

from tests.proxy.rig import RESCUE, Rig, replace, rollout, route, version
from tests.proxy.scripted import OK, Scripted, closed_port

EXCUSE = replace(RESCUE, excuse_payload=True)
ERROR = b"HTTP/1.1 500 Broken\r\nContent-Length: 2\r\n\r\nno"


def answering(*answers):
    """A backend that gives these answers in turn, the last one for ever; None: a reset."""
    left = list(answers)

    async def script(peer):
        while True:
            await peer.request()
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer is None:
                peer.reset()
                return
            await peer.send(answer)

    return Scripted(script)


async def asked(stable, candidate, weight_bp, rescue=EXCUSE, requests=1):
    """Statuses that clients got, and both arms' counts."""
    async with (
        stable, candidate,
        Rig(rollout(stable, candidate, weight_bp, rescue=rescue, thresholds_s=(5.0,))) as rig,
    ):  # fmt: skip
        statuses = [(await rig.ask(body=b"x")).status for _ in range(requests)]
        await rig.settled()
        rig.count()
        return statuses, rig.arm("candidate"), rig.arm("stable")


DRAWN = 10_000
"""The coin always falls to the candidate, and its requests are evidence."""


@pytest.mark.parametrize(
    ("stable", "candidate", "status", "bad"),
    [
        ([ERROR], [ERROR], 500, 0),  # the payload's
        ([OK], [ERROR], 200, 1),  # the candidate's
        ([None], [ERROR], 502, 0),  # lost by both
        ([ERROR], [None], 500, 0),
        ([OK], [None], 200, 1),
        ([ERROR], [OK], 200, 0),  # nothing to replay
    ],
)
async def test_the_candidate_is_blamed_only_where_stable_can(stable, candidate, status, bad):
    statuses, counted, other = await asked(answering(*stable), answering(*candidate), DRAWN)

    assert statuses == [status]
    assert (counted["arrived"], counted["bad"]) == (1, bad)
    assert counted["ok"] == (candidate == [OK])
    assert other == Counter()


@pytest.mark.parametrize(
    ("answers", "status", "bad"), [([ERROR, ERROR], 500, 0), ([ERROR, OK], 200, 1)]
)
async def test_stable_is_excused_by_the_same_rule(answers, status, bad, monkeypatch):
    monkeypatch.setattr("router.proxy.assign.coin", lambda: 9_900)
    statuses, other, counted = await asked(answering(*answers), answering(OK), 5_000)

    assert statuses == [status]
    assert (counted["arrived"], counted["bad"], counted["ok"]) == (1, bad, 0)
    assert other == Counter()


async def test_without_the_excuse_the_candidate_is_blamed_at_once(monkeypatch):
    monkeypatch.setattr("router.proxy.assign.coin", lambda: 0)
    statuses, counted, _ = await asked(answering(ERROR), answering(ERROR), 5_000, RESCUE)

    assert (statuses, counted["bad"]) == ([500], 1)


async def test_without_a_coin_what_stable_fails_as_well_is_nobody_s():
    """At 100 %, by default: the replay is a pair."""
    both = answering(ERROR), answering(ERROR)
    statuses, counted, _ = await asked(*both, 10_000, rescue=RESCUE, requests=4)
    assert statuses == [500] * 4
    assert (counted["arrived"], counted["bad"], counted["left"]) == (4, 0, 4)
    _, counted, _ = await asked(answering(OK), answering(ERROR), 10_000, rescue=RESCUE, requests=4)
    assert (counted["arrived"], counted["bad"]) == (4, 4)


async def test_what_stable_said_to_the_same_requests_is_told():
    stable, candidate = answering(OK, OK, ERROR), answering(ERROR)
    async with (
        stable, candidate, Rig(rollout(stable, candidate, DRAWN, rescue=RESCUE)) as rig,
    ):  # fmt: skip
        for _ in range(3):
            await rig.ask(body=b"x")
        await rig.settled()
        told = [batch.replays for batch in rig.recorder.delta().batches]
        assert [sum(one) for one in zip(*told, strict=True)] == [2, 1]
        assert not any(any(batch.replays) for batch in rig.recorder.delta().batches)


async def test_a_stable_that_cannot_be_reached_excuses_nobody():
    async with (
        answering(ERROR) as candidate,
        Rig(rollout(closed_port(), candidate, DRAWN, rescue=EXCUSE)) as rig,
    ):
        assert (await rig.ask(body=b"x")).status in (502, 503)
        await rig.settled()
        rig.count()

        assert rig.arm("candidate")["bad"] == 1


async def test_a_client_that_leaves_during_the_replay_leaves_the_blame():
    replayed = asyncio.Event()

    async def silent(peer):
        await peer.request()
        replayed.set()
        await peer.wait_gone()

    async with (
        Scripted(silent) as stable,
        answering(ERROR) as candidate,
        Rig(rollout(stable, candidate, DRAWN, rescue=EXCUSE)) as rig,
    ):
        client = await rig.client()
        await client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        async with asyncio.timeout(30):
            await replayed.wait()
        rig.count()
        assert rig.arm("candidate")["bad"] == 0, "not settled before the replay is over"
        client.close()
        await rig.settled()
        rig.count()

        assert rig.arm("candidate")["bad"] == 1


async def test_the_replay_s_time_makes_nobody_slow():
    async def late(peer):
        await peer.request()
        await asyncio.sleep(0.25)
        await peer.send(OK)

    async with (
        Scripted(late) as stable,
        answering(ERROR) as candidate,
        Rig(rollout(stable, candidate, DRAWN, rescue=EXCUSE, thresholds_s=(0.1,))) as rig,
    ):
        assert (await rig.ask(body=b"x")).status == 200
        await rig.settled()
        rig.count()

        assert (rig.arm("candidate")["bad"], rig.arm("candidate")["slow"]) == (1, 0)


async def test_a_poisonous_payload_convicts_nobody():
    """A client sends one request over and over that no version can answer."""
    statuses, candidate, stable = await asked(
        answering(ERROR), answering(ERROR), 5_000, requests=40
    )

    assert statuses == [500] * 40
    assert candidate["arrived"] + stable["arrived"] == 40
    assert candidate["bad"] == stable["bad"] == 0


async def instances(*answers, requests=30):
    """The candidate's counts when its instances answer so."""
    async with answering(OK) as stable, answering(answers[0]) as one, answering(answers[1]) as two:
        entry = route(
            version("v1", stable), version("v2", one, two), candidate=1, rollout_id="rollout-1",
            revision=7, weights_bp=(0, 10_000),
        )  # fmt: skip
        async with Rig(entry) as rig:
            for _ in range(requests):
                await rig.ask(body=b"x")
            await rig.settled()
            rig.count()
            return rig.arm("candidate")


async def test_one_broken_instance_is_ejected_and_the_candidate_not_blamed():
    counted = await instances(ERROR, OK)

    assert (counted["arrived"], counted["ok"], counted["bad"]) == (30, 25, 0)


async def test_a_candidate_whose_instances_all_fail_is_blamed_for_every_answer():
    counted = await instances(ERROR, ERROR, requests=4)

    assert (counted["arrived"], counted["ok"], counted["bad"]) == (4, 0, 4)
