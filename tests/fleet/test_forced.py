"""``--force`` is for the start: who has followed another router leads later without it."""

from __future__ import annotations

import asyncio

import pytest

from tests.fleet.inside import Held, Lives, answers
from tests.reliability.whole import ask

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from router.main import EXIT_OK  # noqa: E402 - asyncpg first


async def leads(life):
    await asyncio.wait_for(life.leads.wait(), 60)
    return life


async def test_who_leads_at_its_start_is_forced(tmp_path, url):
    async with Held() as version:
        version.may.set()
        assert await (await leads(Lives(tmp_path / "a", url, version.port, "a"))).ends() == EXIT_OK
        b = await leads(Lives(tmp_path / "b", url, version.port, "b", force=True, called="v2"))
        assert await b.ends() == EXIT_OK


async def test_who_has_followed_is_not_forced_when_it_leads(tmp_path, url, capsys):
    async with Held() as version:
        version.may.set()
        a = await leads(Lives(tmp_path / "a", url, version.port, "a"))
        b = Lives(tmp_path / "b", url, version.port, "b", force=True)
        await answers(b.port)
        b.write("v2")
        assert await a.ends() == EXIT_OK
        async with asyncio.timeout(60):
            while "cannot_lead" not in capsys.readouterr().out:
                assert not b.leads.is_set(), "the version that serves is gone"
                await asyncio.sleep(0.05)
        assert (await ask(b.port))[0] == 200
        b.write("v1")
        await leads(b)
        assert await b.ends() == EXIT_OK
