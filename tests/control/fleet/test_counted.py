"""Counts of a thousand routes in one report wait their turn, in order."""

from __future__ import annotations

import asyncio

from router.control.fleet.counted import COUNTS_A_TURN, CountsWaiting
from router.loops import BOOKS


async def test_a_turn_books_its_part_and_the_rest_follows_in_order():
    booked = []
    counted = CountsWaiting(lambda worker, counts: booked.append((worker, counts)))
    counted.put(0, range(70))
    assert booked == [(0, tuple(range(COUNTS_A_TURN)))], "at once what one turn can take"
    counted.put(1, [100])
    assert len(booked) == 1, "nobody overtakes"
    for _ in range(5):
        await asyncio.sleep(0)
    assert all(len(counts) <= COUNTS_A_TURN for _, counts in booked)
    assert [one for _, counts in booked for one in counts] == [*range(70), 100]
    assert booked[-1] == (1, (100,))


async def test_what_a_worker_counted_is_booked_before_its_end():
    booked = []
    counted = CountsWaiting(lambda _worker, counts: booked.extend(counts))
    counted.put(0, range(200))
    counted.rest()
    assert booked == list(range(200))


async def test_counts_that_cannot_be_booked_cost_themselves():
    BOOKS.__init__()
    booked = []

    def book(_worker, counts):
        if 0 in counts:
            raise MemoryError
        booked.extend(counts)

    counted = CountsWaiting(book)
    counted.put(0, range(70))
    for _ in range(5):
        await asyncio.sleep(0)
    assert booked == list(range(COUNTS_A_TURN, 70))
    assert BOOKS.failures["counts"].count == 1
    BOOKS.__init__()
