"""Who cannot wait for the regular report: at once, once a turn, and seldom where nobody reads."""

import asyncio

from router.link import urgent
from router.link.urgent import Urgent


class Told:
    def __init__(self, *, spared=False):
        self.at, self.spared = [], spared
        self.urgent = Urgent(self.report, lambda: self.spared)

    def report(self):
        self.at.append(asyncio.get_running_loop().time())


async def test_what_comes_in_one_turn_is_reported_once_at_its_end():
    told = Told()
    for _ in range(3):
        told.urgent.wake()
    assert told.at == []
    await asyncio.sleep(0)
    assert len(told.at) == 1


async def test_slow_requests_wait_for_company_after_the_first(monkeypatch):
    monkeypatch.setattr(urgent, "SOON_S", 0.01)
    told = Told()
    async with asyncio.timeout(5):
        while len(told.at) < 3:
            told.urgent.soon()
            await asyncio.sleep(0)
    assert all(later - former > 0.009 for former, later in zip(told.at, told.at[1:], strict=False))


async def test_slow_requests_that_come_all_along_are_told_less_often(monkeypatch):
    monkeypatch.setattr(urgent, "SOON_S", 0.01)
    monkeypatch.setattr(urgent, "SOON_MOST_S", 0.04)
    told = Told()
    async with asyncio.timeout(5):
        while len(told.at) < 5:
            told.urgent.soon()
            await asyncio.sleep(0)
        pauses = [later - former for former, later in zip(told.at, told.at[1:], strict=False)]
        assert all(map(float.__ge__, pauses, [0.009, 0.019, 0.039, 0.039])), pauses
        await asyncio.sleep(0.06)  # a pause without any
        told.urgent.soon()
        await asyncio.sleep(0)
        assert len(told.at) == 6
        before = told.at[-1]
        told.urgent.soon()
        while len(told.at) < 7:
            await asyncio.sleep(0.001)
        assert told.urgent._pause_s == 0.02
        assert told.at[-1] - before > 0.009


async def test_a_failure_does_not_wait_for_the_pause_of_slow_requests():
    told = Told()
    told.urgent.soon()
    await asyncio.sleep(0)
    told.urgent.soon()
    told.urgent.wake()
    await asyncio.sleep(0)
    assert len(told.at) == 2


async def test_where_nobody_reads_them_none_comes_more_often(monkeypatch):
    monkeypatch.setattr(urgent, "SOON_S", 3_600.0)
    told = Told(spared=True)
    for _ in range(9):
        told.urgent.wake()
        await asyncio.sleep(0.001)
    assert len(told.at) == 1
