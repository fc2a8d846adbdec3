"""The page of pipelines, in Chromium: who feeds whom, what each runs, which moved first."""

from importlib.resources import files

import pytest

from tests.page.airport import LOG
from tests.page.pipes import PIPELINE, Carriers, models
from tests.page.stage import BROWSER, browser, open_page, router

pytestmark = [pytest.mark.page, pytest.mark.skipif(not BROWSER, reason="no chromium installed")]
expect = pytest.importorskip("playwright.async_api").expect

RING = """async () => {
  const { places } = await import("/static/pipeline.js");
  const routes = ["a", "b", "c", "d"].map((route) => ({ route }));
  const pairs = [["a", "b"], ["b", "c"], ["a", "c"], ["c", "b"]];
  const feeds = pairs.map(([feeder, fed]) => ({ feeder, fed }));
  const at = [...places(routes, feeds).values()];
  return [at.length, new Set(at.map((one) => `${one.x} ${one.y}`)).size];
}"""


async def it_says_who_feeds_whom_and_who_moved_first(lab, page):
    await lab.until(lambda s: s["weight_bp"] == 5_000, "forecast")
    told = await lab.get("/api/v1/pipeline")
    main = page.locator("main")
    await page.locator(f".lead:text-is({told['moved_first']['sentence']!r})").wait_for()
    assert told["moved_first"]["route"] == "forecast"
    await expect(page.locator("svg.pipeline a")).to_have_count(3)
    await expect(page.locator("svg.pipeline .arrow")).to_have_count(2)
    first = page.locator("svg.pipeline a.first")
    for part in ("forecast", "squared, absolute at 50 %", "moved first"):
        await expect(first).to_contain_text(part)
    await main.get_by_text("No gate cascade").first.wait_for()  # late has none
    rows = page.locator("section.feed:has-text('forecast feeds late') table.arms tbody tr")
    for version in ("absolute", "squared"):
        await rows.locator(f"th:text-is('forecast {version}')").wait_for()
    await expect(rows).to_have_count(2)
    await main.get_by_text("Joined by baggage").first.wait_for()


async def a_box_is_reached_by_keyboard_and_keeps_it(page):
    box = page.locator("svg.pipeline a.first")
    await box.focus()
    focused = "() => document.activeElement?.getAttribute('href')"
    for _ in range(2):
        async with page.expect_response(lambda answer: "/pipeline" in answer.url):
            pass
    assert await page.evaluate(focused) == "#/route/forecast"
    await page.keyboard.press("Enter")
    await page.locator("main h1:has-text('forecast')").wait_for()


async def everybody_can_read_it(lab, b):
    axe = (files("axe_playwright_python") / "axe.min.js").read_text()
    for dark, width in ((False, 1200), (True, 1200), (True, 375)):
        page = await open_page(b, lab, "#/pipeline", dark=dark, width=width)
        await page.locator("table.arms").first.wait_for()
        wide = await page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, "the page itself scrolls sideways"
        await page.evaluate(axe)
        found = await page.evaluate("() => axe.run(document).then((r) => r.violations)")
        told = [(one["id"], [n["html"][:120] for n in one["nodes"]]) for one in found]
        assert told == [], (dark, width)


async def test_routes_that_feed_each_other_are_drawn(tmp_path):
    async with (
        router(tmp_path, PIPELINE, head=LOG, models=models()) as lab,
        Carriers(lab, per_s=60),
        browser() as b,
    ):
        page = await open_page(b, lab, "#/pipeline")
        await it_says_who_feeds_whom_and_who_moved_first(lab, page)
        assert await page.evaluate(RING) == [4, 4], "a ring ends, each box has its place"
        await a_box_is_reached_by_keyboard_and_keeps_it(page)
        assert page.said == []
        await everybody_can_read_it(lab, b)
