"""Time in the router's own queue is nobody's slowness."""

from __future__ import annotations

import asyncio

import pytest

from router.proxy.stage import Stage
from tests.proxy.rig import TIMEOUTS, Rig, replace, route, until, version
from tests.proxy.scripted import OK, Scripted

PATIENT = replace(TIMEOUTS, response_s=20.0, body_s=20.0)


def crowded(backend, *, queue_timeout_s=20.0, **fields):
    """The candidate gets all, one at a time."""
    values = {"timeouts": PATIENT, "thresholds_s": (0.5,), "answer_within_s": 0.9}
    return route(
        version("v1", backend),
        version("v2", backend, in_flight=1, queue_timeout_s=queue_timeout_s),
        candidate=1, rollout_id="rollout-1", revision=7, weights_bp=(0, 10_000),
        **(values | fields),
    )  # fmt: skip


class Held:
    """A backend that keeps its first request until it is told, and answers others at once."""

    def __init__(self):
        self.first = asyncio.Event()
        self.goes = asyncio.Event()

    async def __call__(self, peer):
        while True:
            await peer.request()
            if not self.first.is_set():
                self.first.set()
                await self.goes.wait()
            await peer.send(OK)


async def asked(rig, number):
    """The first is with the version, the others are in the queue."""
    tasks = [asyncio.create_task(rig.ask(body=b"x"))]
    await until(lambda: any(one.stage is Stage.SENT for one in rig.plane.exchanges))
    tasks += [asyncio.create_task(rig.ask(body=b"x")) for _ in range(number - 1)]
    stages = [Stage.WAITING] * (number - 1) + [Stage.SENT]
    await until(lambda: sorted(e.stage for e in rig.plane.exchanges) == stages)
    return tasks


async def test_who_waits_in_the_queue_makes_nobody_slow():
    held = Held()
    async with Scripted(held) as backend, Rig(crowded(backend)) as rig:
        tasks = await asked(rig, 5)
        await until(lambda: rig.count() and rig.arm("candidate").get("bad"))  # it is too old now
        assert rig.arm("candidate") == {"arrived": 5, "bad": 1, "slow": 1}, "the one that is asked"
        held.goes.set()
        assert [(await one).status for one in tasks] == [200] * 5
        await rig.settled()
        rig.count()
        counted = rig.arm("candidate")
        assert (counted["slow"], counted["fast"]) == (1, 4)
        assert (counted["bad"], counted["ok"]) == (1, 4)
        latency = sum(one.latency_sum_s for one in rig.versions)
        assert latency < 2 * 1.2, "the wait of four is not in it"


@pytest.mark.parametrize("bound", ["queue", "total"])
async def test_a_turn_that_never_comes_is_no_failure_of_the_version(bound):
    held = Held()
    queue_timeout_s = 0.7 if bound == "queue" else 20.0
    async with (
        Scripted(held) as backend,
        Rig(crowded(backend, queue_timeout_s=queue_timeout_s)) as rig,
    ):
        first = (await asked(rig, 1))[0]
        if bound == "total":  # of those that come now
            rig.apply(replace(*rig.entries, timeouts=replace(PATIENT, total_s=0.7)))
        tasks = [first, *[asyncio.create_task(rig.ask(body=b"x")) for _ in range(2)]]
        answers = [await one for one in tasks[1:]]
        assert [one.status for one in answers] == [503, 503]
        assert all(b"queue_timeout" in one.body for one in answers)
        held.goes.set()
        await tasks[0]
        await rig.settled()
        rig.count()
        assert rig.outcomes["v2", "candidate", "SHED"] == 2
        assert rig.arm("candidate")["slow"] <= 1
        assert rig.arm("candidate")["bad"] <= 1, "the one that was asked"


async def test_a_client_that_leaves_the_queue_has_not_given_the_version_up():
    held = Held()
    async with (
        Scripted(held) as backend,
        Rig(crowded(backend, slow_abort_s=0.1, answer_within_s=0.0)) as rig,
    ):
        first = (await asked(rig, 1))[0]
        client = await rig.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        await until(lambda: any(one.stage is Stage.WAITING for one in rig.plane.exchanges))
        await asyncio.sleep(0.2)
        client.close()
        await until(lambda: len(rig.plane.exchanges) == 1)
        held.goes.set()
        assert (await first).status == 200
        await rig.settled()
        rig.count()
        assert rig.outcomes["v2", "candidate", "GIVEN_UP"] == 0
        assert rig.outcomes["v2", "candidate", "CLIENT_ABORT"] == 1
