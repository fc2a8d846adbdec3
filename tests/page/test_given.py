"""What caches and tables answer in a version's place: in the API, in a shell, on the page."""

import asyncio
import json
import subprocess
import sys
import time

import pytest

from router.upstream.table_file import write_table
from tests.batch.models import Model, ask
from tests.page.stage import BROWSER, browser, open_page, router

pytestmark = [pytest.mark.page, pytest.mark.skipif(not BROWSER, reason="no chromium installed")]
pytest.importorskip("playwright")

ROUTES = """\
  - name: cached
    match: {{path: /cached*}}
    cache: {{ttl: 1h}}
    versions: {{v1: {{endpoints: ["{url}"]}}}}
    stable: v1
  - name: looked-up
    match: {{path: /looked-up*}}
    versions:
      v1: {{endpoints: ["{url}"]}}
      table: {{table: {{file: <folder>/answers.tab, key: {{json: x}}, miss: v1}}}}
    stable: v1
    rollout:
      candidate: table
      strategy: {{blue_green: {{until: {{samples: 0}}, bake: 1h}}}}
      gates: [guard]
"""


def bodies(*values):
    return [json.dumps({"x": x}).encode() for x in values]


async def test_what_a_cache_and_a_table_answered_is_told_everywhere(tmp_path):
    rows = [(str(x), b'{"label": 1}') for x in range(10)]
    write_table(tmp_path / "answers.tab", rows, time.time())
    async with (
        Model() as model, router(tmp_path, ROUTES.format(url=model.url)) as lab, browser() as b,
    ):  # fmt: skip
        await lab.order("looked-up", "promote", reason="by hand")
        await lab.until(lambda s: s["weight_bp"] == 10_000, "looked-up")
        await ask(lab.port, bodies(*[1, 2, 3] * 5), path="/cached", at_once=1)
        await ask(lab.port, bodies(4), path="/cached", fields="Authorization: x\r\n", at_once=1)
        await ask(lab.port, bodies(*range(7), *range(90, 95)), path="/looked-up", at_once=1)
        await told(lab, "cached", "v1", "cache", hits=12, waited=0, asked=3, passed=1)
        await told(lab, "looked-up", "table", "table", hits=7, misses=5, stale=0)
        lines = (
            "12 answered again, 0 waited for the answer to another, 3 asked, 1 never kept",
            "7 found, 5 not in it, 0 too old or not there",
        )
        for route, line in zip(("cached", "looked-up"), lines, strict=True):
            assert line in await asyncio.to_thread(rampway, lab, "get", route)
            page = await open_page(b, lab, f"#/route/{route}")
            await page.locator("ul.given li", has_text=line).wait_for()
            assert page.said == []
        assert lines[1] in await asyncio.to_thread(rampway, lab, "why", "looked-up")
        text = await lab.get("/metrics")
        assert 'rampway_cache_hits_total{route="cached",version="v1"} 12' in text
        assert 'rampway_table_misses_total{route="looked-up",version="table"} 5' in text


async def told(lab, route, version, what, **wanted):
    """Until workers have told exactly this: each tells its counts when it likes."""
    one = None
    try:
        async with asyncio.timeout(30):
            while one != wanted:
                one = (await lab.get(f"/api/v1/routes/{route}"))["versions"][version].get(what)
                await asyncio.sleep(0.1)
    except TimeoutError:
        assert one == wanted


def rampway(lab, *words):
    command = [sys.executable, "-m", "router", *words, "--admin", lab.lives[-1].admin]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
