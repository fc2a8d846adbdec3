"""The page at a router that follows: what is wrong as the leader says it, its own beside it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from router.admin.following import Following
from router.control.told.answers import HealthView, LeaderView
from router.core.policy.server import Admin
from tests.admin.conftest import running
from tests.admin.test_following import Says, led_by
from tests.page.stage import BROWSER, browser, open_page

pytestmark = [pytest.mark.page, pytest.mark.skipif(not BROWSER, reason="no chromium installed")]
pytest.importorskip("playwright")
OPEN = Admin(listen="127.0.0.1:0")
FACTS = "ul[aria-label='The router itself']"


def at(site):
    """As a lab of which pages are opened."""
    return SimpleNamespace(lives=[SimpleNamespace(admin=site.server.url)])


async def test_troubles_of_who_decides_are_seen_at_who_follows():
    async with running(OPEN) as leader, browser() as b:
        leader.controller.ok = False
        leads = LeaderView(replica="a", admin=leader.server.url)
        said = Says(led_by(leader.server.url))
        said.health = lambda: HealthView(
            ok=True, problems=["worker 1 said nothing for 4.0 s"], replica="b", leader=leads
        )
        async with running(OPEN, following=Following(said)) as site:
            page = await open_page(b, at(site))
            facts = page.locator(FACTS)
            await facts.locator("li.bad:has-text('router: store: disk full')").wait_for()
            await facts.locator("li.bad:has-text('router b: worker 1 said nothing')").wait_for()
            await facts.locator("li:has-text('router b was asked; a leads')").wait_for()
            leader.controller.ok, said.health = True, lambda: HealthView(ok=True, problems=[])
            await facts.wait_for(state="detached")
            page = await open_page(b, at(leader))
            assert await page.locator(FACTS).count() == 0
