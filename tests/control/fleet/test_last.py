"""A failure is heard after what was counted before it at other routers; nothing else waits."""

from __future__ import annotations

import asyncio

from router.control.fleet.last import HERE, WAIT_S, FailuresLast
from router.control.state.postgres_exchange import FailureQuestion
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.reporter import WorkerId
from router.link.messages import Report
from tests.control.fleet.hearing import Hearing

FIRST, SECOND = WorkerId("a", 7, 0), WorkerId("b", 7, 0)
ASKED = FailureQuestion("a", 7, 1)
LATER = ASKED._replace(number=2)


def report(number, bad=0):
    arm = ArmCounts(ok=1, bad=bad, arrived=1 + bad)
    return Report((Batch("r", 1, (Cell(500, arm, slice=number),)),))


def led(*others):
    heard = Hearing()
    return FailuresLast(heard, lambda: set(others)), heard


async def test_a_failure_waits_for_what_others_counted_before_it():
    last, heard = led("b", "c")
    last.ask(ASKED)
    last.report(FIRST, report(1, bad=1))
    last.report(FIRST, report(2))
    last.report(SECOND, report(1))
    assert heard.reports == [(SECOND, report(1))]
    for one in (HERE, "b"):
        last.answered(one, ASKED)
        assert len(heard.reports) == 1
    last.answered("c", ASKED)
    assert heard.reports[1:] == [(FIRST, report(1, bad=1)), (FIRST, report(2))], "in their order"
    last.report(FIRST, report(3, bad=1))
    assert heard.reports[-1] == (FIRST, report(3, bad=1)), "nobody is asked now"


async def test_who_does_not_answer_is_not_waited_for_long():
    last, heard = led("b")
    last.ask(ASKED)
    last.report(FIRST, report(1, bad=1))
    async with asyncio.timeout(20):
        while not heard.reports:
            await asyncio.sleep(WAIT_S / 5)


async def test_an_answer_that_comes_before_the_failure_counts_and_one_to_an_earlier_does_not():
    last, heard = led("b", "c")
    last.answered("b", ASKED)
    assert last.ask(ASKED), "this router has not answered"
    last.report(FIRST, report(1, bad=1))
    last.answered(HERE, LATER)
    last.answered("c", ASKED._replace(boot=6))
    assert heard.reports == [], "before it began again, there were other failures"
    last.answered("c", ASKED)
    assert heard.reports == [(FIRST, report(1, bad=1))]
    assert not last.ask(LATER), "it has answered this one, too"
    last.report(FIRST, report(2, bad=1))
    last.answered("b", ASKED)
    last.answered("c", LATER)
    assert len(heard.reports) == 1
    last.answered("b", LATER)
    assert len(heard.reports) == 2


async def test_each_failure_waits_for_its_own_answers_and_behind_those_before_it():
    last, heard = led("b")
    other = FailureQuestion("b", 7, 1)
    last.ask(ASKED)
    last.report(FIRST, report(1, bad=1))
    last.ask(other)
    last.report(SECOND, report(1, bad=1))
    for one in (HERE, "b"):
        last.answered(one, other)
    assert heard.reports == []
    assert (last.held, last.told) == (2, 0)
    for one in (HERE, "b"):
        last.answered(one, ASKED)
    assert [who for who, _ in heard.reports] == [FIRST, SECOND]
    assert (last.held, last.told) == (2, 2)


async def test_nobody_waits_where_there_is_no_other_router():
    last, heard = led()
    last.ask(ASKED)
    last.report(FIRST, report(1, bad=1))
    assert heard.reports == [(FIRST, report(1, bad=1))]


async def test_the_last_word_of_a_worker_comes_before_its_end():
    last, heard = led("b")
    last.ask(ASKED)
    last.report(FIRST, report(1, bad=1))
    last.gone(FIRST, "ended")
    assert heard.reports == [(FIRST, report(1, bad=1))]
    assert heard.texts == ["ended"]
