"""Every step of an exchange that the table has is taken, and no other one is (see conftest)."""

from __future__ import annotations

import pytest

from router.core.wire.table import MatchEntry, RescueEntry, StickyEntry, StickyKind
from router.proxy.stage import STEPS, Stage
from tests.proxy.rig import Rig, request, rollout, route, until, version
from tests.proxy.scripted import OK, Scripted, answers, closed_port, hangs

FAILS = b"HTTP/1.1 500 Broken\r\nContent-Length: 2\r\n\r\nno"
HEAD = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n{"
RESCUE = RescueEntry(statuses=(5,), connect=True)


async def by_itself():
    async with Rig(route(version("v1", closed_port()), match=MatchEntry(path="/other"))) as rig:
        assert (await rig.ask()).status == 404


async def answered():
    async with Scripted(answers(OK)) as stable, Rig(route(version("v1", stable))) as rig:
        assert (await rig.ask(body=b"mine")).status == 200


async def rescued():
    async with Scripted(answers(OK)) as stable, Scripted(answers(FAILS)) as fails:
        for candidate in (closed_port(), fails):
            async with Rig(rollout(stable, candidate, 10_000, rescue=RESCUE)) as rig:
                assert (await rig.ask()).status == 200


async def failed():
    async with Scripted(hangs) as silent:
        for endpoint, status in ((closed_port(), 502), (silent, 504)):
            async with Rig(route(version("v1", endpoint))) as rig:
                assert (await rig.ask()).status == status


async def chosen_by_body():
    sticky = StickyEntry(StickyKind.BODY, "user")
    async with (
        Scripted(answers(OK)) as stable,
        Rig(rollout(stable, stable, 5_000, sticky=sticky)) as rig,
    ):
        client = await rig.client()
        await client.send(HEAD)
        await until(lambda: rig.plane.exchanges)
        assert (await client.ask(b'"user": "somebody"}')).status == 200
        leaves = await rig.client()
        await leaves.send(HEAD)
        await until(lambda: rig.plane.exchanges)
        leaves.close()
        await rig.settled()


STORIES = {
    by_itself: {(Stage.ARRIVED, Stage.ENDED)},
    answered: {
        (Stage.ARRIVED, Stage.WAITING),
        (Stage.WAITING, Stage.SENT),
        (Stage.SENT, Stage.ANSWERING),
        (Stage.ANSWERING, Stage.ENDED),
    },
    rescued: {(Stage.WAITING, Stage.WAITING), (Stage.SENT, Stage.WAITING)},
    failed: {(Stage.WAITING, Stage.ENDED), (Stage.SENT, Stage.ENDED)},
    chosen_by_body: {
        (Stage.ARRIVED, Stage.COLLECTING),
        (Stage.COLLECTING, Stage.WAITING),
        (Stage.COLLECTING, Stage.ENDED),
    },
}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_the_steps_of_the_table_are_taken(story, taken):
    await story()
    assert STORIES[story] <= set(taken)


def test_every_step_has_its_story():
    assert set().union(*STORIES.values()) == {(a, b) for a, steps in STEPS.items() for b in steps}


async def test_a_step_that_the_table_has_not_is_seen(taken):
    async with Scripted(hangs) as silent, Rig(route(version("v1", silent))) as rig:
        client = await rig.client()
        await client.send(request())
        await until(lambda: [one.stage for one in rig.plane.exchanges] == [Stage.SENT])
        (exchange,) = rig.plane.exchanges
        exchange.stage = Stage.COLLECTING
        assert taken[-1][1] not in STEPS[taken[-1][0]]
        taken.clear()
        client.close()
