"""Who waited for the disk goes on in parts, in order, and nobody is left when the store closes."""

import asyncio

import pytest

from router.control.state.answered import ANSWERS_A_TURN, Answered
from router.control.state.errors import StoreUnavailable


async def test_of_many_that_the_disk_took_at_once_a_few_go_on_in_each_turn():
    loop = asyncio.get_running_loop()
    answered, went_on, turn = Answered(loop), [], 0
    for number in range(3 * ANSWERS_A_TURN):
        done = loop.create_future()
        done.add_done_callback(lambda _done, number=number: went_on.append((turn, number)))
        answered.put(done, None)
    while len(went_on) < 3 * ANSWERS_A_TURN:
        await asyncio.sleep(0)
        turn += 1
    assert [number for _, number in went_on] == list(range(3 * ANSWERS_A_TURN)), "in order"
    turns = [turn for turn, _ in went_on]
    assert max(turns.count(one) for one in turns) <= ANSWERS_A_TURN


async def test_a_store_that_closes_leaves_nobody_waiting_and_a_failure_is_theirs():
    loop = asyncio.get_running_loop()
    answered = Answered(loop)
    gone, *others = (loop.create_future() for _ in range(2 * ANSWERS_A_TURN))
    gone.cancel()
    answered.put(gone, None)
    for done in others[:-1]:
        answered.put(done, None)
    answered.put(others[-1], StoreUnavailable("the disk is full"))
    answered.rest()
    assert all(done.done() for done in others)
    with pytest.raises(StoreUnavailable, match="full"):
        others[-1].result()
    await asyncio.sleep(0)  # the part that was coming finds nothing
