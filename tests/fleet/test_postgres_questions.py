"""Questions for people in a real PostgreSQL server: as in a file, and by several routers."""

from __future__ import annotations

import asyncio
import random

import pytest

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(120)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.control.reviews.book import NotYours  # noqa: E402
from router.control.reviews.postgres_questions import SharedQuestions  # noqa: E402
from router.control.state.errors import StoreUnavailable  # noqa: E402
from router.control.state.postgres_layout import migrated  # noqa: E402
from router.control.state.postgres_link import connected  # noqa: E402
from tests.control.reviews.questions_contract import (  # noqa: E402
    NO,
    YES,
    QuestionsContract,
    add,
    claimed,
    said,
    stands,
)


@pytest.fixture
async def opened(url):
    """One more router's each time."""
    db = await connected(url)
    await migrated(db, "here")
    await db.close()
    made = []

    async def build():
        made.append(SharedQuestions(url))
        return made[-1]

    yield build
    for one in made:
        await one.close()


class TestServer(QuestionsContract):
    pass


async def test_people_at_three_routers_get_each_question_once_and_answer_it_once(opened):
    three = [await opened() for _ in range(3)]
    names = [f"q{n:03}" for n in range(120)]
    for n, kept in enumerate(three):
        await add(kept, *names[n::3], most=200)
    answered, given = [], []

    async def works(person, chance):
        while found := await claimed(chance.choice(three), person, 7):
            given.extend((person, item) for item in found)
            for item in found:
                assert await said(chance.choice(three), item, person, YES) == "decided"
                answered.append(item)

    await asyncio.gather(*(works(f"p{n}", random.Random(n)) for n in range(9)))
    while left := await claimed(three[0], "last", 100):  # what another claim had just locked
        for item in left:
            await said(three[0], item, "last", YES)
            answered.append(item)
    assert sorted(answered) == names, "each once"
    assert len(dict.fromkeys(item for _, item in given)) == len(given), "nobody's twice"
    assert (await three[1].standing(0))["r"].versions["v2"]["unsure"].decided == 120


async def test_one_answer_of_many_that_are_sent_at_once_counts(opened):
    three = [await opened() for _ in range(3)]
    await add(three[0], "a")
    assert await claimed(three[1], "ann") == ["a"]
    told = await asyncio.gather(
        *(said(kept, "a", "ann", one) for kept in three for one in (YES, NO, YES)),
        return_exceptions=True,
    )
    assert told.count("decided") == 1
    assert all(isinstance(one, NotYours) for one in told if one != "decided"), told
    assert (await three[0].standing(0))["r"].versions["v2"]["unsure"].decided == 1


async def test_two_of_three_who_answer_at_once_differ_and_a_third_decides(opened):
    three = [await opened() for _ in range(3)]
    await add(three[0], "a", needs=2)
    for kept, by, opinion in zip(three, ("ann", "bob", "eve"), (YES, NO, YES), strict=True):
        assert await claimed(kept, by) == ["a"]
        others = [one for one in three if one is not kept]
        assert await claimed(others[0], "joe") == []
        await said(others[1], "a", by, opinion)
    assert await stands(three[2], "a") == ["decided"]
    assert (await three[1].look(["a"]))[0][1] == b"y"


async def test_what_is_due_ends_once(opened):
    three = [await opened() for _ in range(3)]
    names = [f"q{n:02}" for n in range(60)]
    await add(three[0], *names, due=101.0)
    ended = await asyncio.gather(*(kept.expire(102.0, 25) for kept in three for _ in range(4)))
    assert sorted(one.item.id for part in ended for one in part) == names
    assert (await three[0].standing(0))["r"].versions["v2"]["unsure"].expired == 60


async def test_routers_hear_of_an_answer_elsewhere_and_read_it(opened):
    here, there = await opened(), await opened()
    heard = asyncio.Event()
    there.on_decided = heard.set
    assert await stands(there, "a") == ["unknown"]
    await add(here, "a")
    await claimed(here, "ann")
    assert await there.outcomes(60.0) == []
    await said(here, "a", "ann", YES)
    async with asyncio.timeout(20):
        await heard.wait()
    assert await there.outcomes(60.0) == [("a", b"y")]
    assert await there.outcomes(-1.0) == []


async def test_a_server_that_ends_loses_nothing(opened, server):
    kept = await opened()
    await add(kept, "a", "b")
    assert await claimed(kept, "ann", 1) == ["a"]
    await asyncio.to_thread(server.stop)
    with pytest.raises(StoreUnavailable):
        await add(kept, "c")
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(20):
        while True:
            try:
                assert await claimed(kept, "bob") == ["b"]
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
    assert await said(kept, "a", "ann", YES) == "decided"
    assert await stands(kept, "a", "b", "c") == ["decided", "open", "unknown"]
