"""Who cannot wait for the regular report: at once, once a turn, and seldom where nobody reads."""

import asyncio

from router.link import urgent
from router.link.messages import Report, ReportSoon
from router.link.urgent import ASKED_S, SOON_MOST_S, Urgent
from router.proxy.plane import Listen
from router.proxy.worker import Worker
from tests.nights.machine import Machine


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
    async with asyncio.timeout(30):
        while len(told.at) < 3:
            told.urgent.soon()
            await asyncio.sleep(0)
    assert all(later - former > 0.009 for former, later in zip(told.at, told.at[1:], strict=False))


async def test_slow_requests_that_come_all_along_are_told_less_often(monkeypatch):
    monkeypatch.setattr(urgent, "SOON_S", 0.01)
    monkeypatch.setattr(urgent, "SOON_MOST_S", 0.04)
    told = Told()
    async with asyncio.timeout(30):
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


# --- asked by control, in virtual time ------------------------------------------------------------

MOMENT_S = 0.001


def lived(main):
    """What this coroutine function answers, in a process of its own."""
    machine, said = Machine(seed=1), []

    async def live():
        said.append(await main())

    process = machine.start("worker", live)
    machine.run(machine.now + 60, lambda: not process.alive)
    machine.close()
    assert process.errors == []
    return said[0]


async def slow_all_along(soon):
    """Slow requests until the pause between reports of them is the longest."""
    for _ in range(1_000):
        soon()
        await asyncio.sleep(MOMENT_S)


def test_who_is_asked_answers_at_once_whatever_pause_slow_requests_have():
    async def main():
        told, loop = Told(), asyncio.get_running_loop()
        await slow_all_along(told.urgent.soon)
        before, asked_at = len(told.at), loop.time()
        told.urgent.asked()
        await asyncio.sleep(MOMENT_S)
        return told.at[1:before], asked_at, told.at[before]

    reports, asked_at, answered_at = lived(main)
    assert reports[-1] - reports[-2] >= SOON_MOST_S, "the pause has grown"
    assert answered_at - asked_at < MOMENT_S


def test_a_flood_of_questions_is_answered_in_turn_and_none_late():
    async def main():
        told, loop = Told(), asyncio.get_running_loop()
        asked_at = []
        for _ in range(500):
            asked_at.append(loop.time())
            told.urgent.asked()
            await asyncio.sleep(MOMENT_S)
        await asyncio.sleep(ASKED_S)
        return asked_at, told.at

    asked_at, answers = lived(main)
    lasted_s = asked_at[-1] - asked_at[0]
    assert len(answers) <= lasted_s / ASKED_S + 2
    for asked in asked_at:
        assert next(at for at in answers if at >= asked) - asked < ASKED_S + MOMENT_S


def test_a_worker_that_control_asks_does_not_wait_for_company():
    async def main():
        worker, sent, loop = Worker(0, Listen("127.0.0.1", 0)), [], asyncio.get_running_loop()

        class Link:
            open, outbox_bytes = True, 0

            def send(self, message):
                sent.append((loop.time(), message))

        worker.link = Link()
        await slow_all_along(worker.recorder.soon)
        sent.clear()
        asked_at = loop.time()
        worker._on_message(ReportSoon())
        await asyncio.sleep(MOMENT_S)
        return asked_at, sent

    asked_at, ((answered_at, report),) = lived(main)
    assert isinstance(report, Report)
    assert answered_at - asked_at < MOMENT_S
