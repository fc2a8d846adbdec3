"""Deliveries: in order, tried again, bounded, counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from router.control.outside.outbox import QUEUE_MAX, Delivery, Outbox, Undelivered, refused
from tests.waiting import for_ever


async def done_by(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def outbox():
    counted = Counter()
    return Outbox(lambda kind, result: counted.update([(kind, result)]), pause_s=0.001), counted


async def test_one_destination_gets_things_in_order_although_some_fail():
    box, counted = outbox()
    seen, tries = [], Counter()

    def delivery(n):
        async def send():
            tries[n] += 1
            if tries[n] <= n % 3:
                raise Undelivered("not yet")
            seen.append(n)

        return Delivery("alert", send, retries=2)

    for n in range(30):
        box.put("a", delivery(n))
    await done_by(lambda: len(seen) == 30)
    assert seen == list(range(30))
    assert counted == {("alert", "delivered"): 30}


async def test_a_destination_that_is_down_costs_the_others_nothing_and_is_bounded():
    box, counted = outbox()
    told, arrived = [], []

    async def hang():
        await for_ever()

    async def send():
        arrived.append(1)

    for _ in range(QUEUE_MAX + 6):
        box.put("down", Delivery("event", hang, 0, told.append))
        await asyncio.sleep(0)
    box.put("up", Delivery("alert", send, 0))
    await done_by(lambda: arrived)
    assert counted["event", "dropped"] == 5
    assert told == [f"{QUEUE_MAX} deliveries wait already"] * 5
    await box.close(0.01)
    assert counted["event", "dropped"] == 5 + QUEUE_MAX


async def test_a_clear_no_is_not_tried_again_and_the_last_error_is_told():
    box, counted = outbox()
    tries, told = Counter(), []

    def failing(name, final):
        async def send():
            tries[name] += 1
            raise Undelivered(f"{name} {tries[name]}", final=final)

        return Delivery("alert", send, 3, told.append)

    box.put("a", failing("final", True))
    box.put("a", failing("again", False))
    await done_by(lambda: len(told) == 2)
    assert told == ["final 1", "again 4"]
    assert counted == {("alert", "failed"): 2}
    assert [refused(s) for s in (400, 404, 408, 429, 500)] == [True, True, False, False, False]


async def test_what_comes_right_after_the_last_one_is_not_forgotten():
    box, _ = outbox()
    seen = []

    def delivery(n):
        async def send():
            seen.append(n)

        return Delivery(
            "alert", send, 0, lambda _e: box.put("a", delivery(n + 1)) if n < 50 else None
        )

    box.put("a", delivery(0))
    await done_by(lambda: len(seen) == 51)
