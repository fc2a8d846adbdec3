"""Model performance, data quality, live tap, usage: in Chromium, before a model and its truths."""

from importlib.resources import files

import pytest

from tests.page.airport import LOG, Model, Passengers, Weather, airport
from tests.page.stage import BROWSER, browser, open_page, router

pytestmark = [pytest.mark.page, pytest.mark.skipif(not BROWSER, reason="no chromium installed")]
expect = pytest.importorskip("playwright.async_api").expect
USAGE = """\
  - name: data
    match: {path: /data*}
    metrics: {path: /metrics, interval: 1s}
    versions:
      v1: {endpoints: ["<v3>"], price: {per_request: 0.002}}
    stable: v1
"""
READER = """\
admin:
  listen: "127.0.0.1:{admin}"
  tokens:
  - {{name: eve, role: viewer, token: eve-eve-eve-eve-eve}}
  - {{name: dan, role: data, token: dan-dan-dan-dan-dan}}
"""


async def accuracy_is_seen_with_its_band(lab, page):
    table = page.locator("table.performance")
    await table.locator("th:text-is('AUC')").wait_for()
    await page.wait_for_function(
        """() => document.querySelectorAll('.plots .uplot').length >= 5
            && /to .* %/.test(document.querySelector('table.performance')?.textContent)""",
    )
    named = ["v1", "v2", "v2 (copies)"]
    await expect(table.locator("tbody th")).to_have_text(named)
    said = await lab.get("/api/v1/routes/flights/performance")
    assert said["versions"]["v2"]["metrics"]["accuracy"]["count"] > 0
    judged = ["accuracy", "auc", "business", "trust"]
    await expect(page.locator("ul.gates strong")).to_have_text(judged)
    await page.locator("main code:has-text('rampway report flights --log')").wait_for()
    await page.get_by_role("button", name="1 hour").click()
    await page.wait_for_url("**performance?span=3600")
    await table.wait_for()


async def a_step_is_seen_and_accepted(lab, page):
    await page.locator(".alarms .badge:has-text('step')").first.wait_for(timeout=90_000)
    row = page.locator("table.signals tr:has-text('delay')")
    await row.locator(".badge.bad:has-text('step')").wait_for()
    await row.get_by_role("button", name="delay").focus()
    await page.keyboard.press("Enter")
    detail = page.locator("section.detail")
    await detail.locator("table.cells").wait_for()
    await expect(detail.locator(".uplot")).to_have_count(2)
    arms = detail.locator("table:has-text('Each arm') tbody th")
    await expect(arms).to_have_text(["Stable", "Candidate"])
    focused = "() => document.activeElement?.textContent"
    async with page.expect_response(lambda answer: "/data?" in answer.url):
        pass
    async with page.expect_response(lambda answer: "/data?" in answer.url):
        pass
    assert await page.evaluate(focused) == "delay"
    await page.click("[data-verb=accept]")
    await page.locator("dialog").get_by_label("Reason").fill("a new season")
    await page.locator("dialog button.primary").click()
    await page.locator(".banner.good:has-text('accepted')").wait_for()
    entries = (await lab.get("/api/v1/journal?route=flights"))["entries"]
    assert any("a new season" in entry["reason"] for entry in entries)


async def rows_come_and_stand_still_under_a_hand(page):
    rows = page.locator("table.tap tbody tr")
    await rows.first.wait_for()
    newest = "() => document.querySelector('table.tap tbody code').textContent"
    first = await page.evaluate(newest)
    await page.wait_for_function(f"(first) => ({newest})() !== first", arg=first)
    text = await page.locator("table.tap").inner_text()
    assert '"delay":' in text
    assert "passenger" not in text, "a redacted field is told"
    await page.locator("table.tap td:has-text('copy, v2:')").first.wait_for()
    await page.get_by_role("button", name="Hold still").click()
    first = await page.evaluate(newest)
    await page.locator("[role=status]:has-text('new wait')").wait_for()
    assert await page.evaluate(newest) == first
    await page.get_by_role("button", name="Go on").click()
    await page.wait_for_function(f"(first) => ({newest})() !== first", arg=first)
    await page.get_by_role("button", name="With a truth").click()
    await page.wait_for_function("() => location.hash.includes('show=truth')")
    assert await rows.count() <= 100


@pytest.mark.timeout(300)  # longer than its waits together
async def test_a_model_its_truths_and_its_data(tmp_path):
    models = {"v1": Model(0.9, 1), "v2": Model(0.3, 2)}
    weather = Weather(step_s=8, nulls_s=8)
    routes = airport("4s", "168s", "6s") + USAGE
    async with (
        router(tmp_path, routes, head=LOG, models=models) as lab,
        Passengers(lab, weather) as _,
        browser() as b,
    ):
        pages = {
            name: await open_page(b, lab, f"#/route/flights/{name}")
            for name in ("performance", "data", "tap")
        }
        await a_step_is_seen_and_accepted(lab, pages["data"])
        await accuracy_is_seen_with_its_band(lab, pages["performance"])
        await rows_come_and_stand_still_under_a_hand(pages["tap"])
        page = await open_page(b, lab, "#/route/flights")
        await page.locator("figure h3:text-is('Drift')").wait_for()
        await page.locator("h2:text-is('Scores')").wait_for()
        usage = await open_page(b, lab, "#/route/data/backends")
        await usage.locator("table.usage td:has-text('50 MiB')").wait_for()
        await usage.locator("table.usage", has_text="0.002000").wait_for()
        for one in (*pages.values(), page, usage):
            assert [said for said in one.said if "503" not in said] == []
            await one.context.close()  # a page that is open is drawn anew all the time
        await everybody_can_read_them(lab, b)
        await rows_are_for_the_role_data(lab, b)


async def everybody_can_read_them(lab, b):
    """By a screen reader, in the dark, on a phone."""
    axe = (files("axe_playwright_python") / "axe.min.js").read_text()
    for where, shown in {
        "performance": "table.performance", "data?signal=delay": "section.detail table.cells",
        "tap": "table.tap",
    }.items():  # fmt: skip
        for dark, width in ((False, 1200), (True, 375)):
            page = await open_page(b, lab, f"#/route/flights/{where}", dark=dark, width=width)
            await page.locator(shown).first.wait_for()
            await page.evaluate(axe)
            found = await page.evaluate("() => axe.run(document).then((r) => r.violations)")
            told = [(one["id"], [n["html"][:120] for n in one["nodes"]]) for one in found]
            assert told == [], (where, dark)
            wide = await page.evaluate("() => document.documentElement.scrollWidth")
            assert wide <= width, where
            await page.context.close()


async def rows_are_for_the_role_data(lab, b):
    text = lab.file.read_text()
    listens = f'admin: {{listen: "127.0.0.1:{lab.ports[1]}"}}\n'
    lab.file.write_text(text.replace(listens, READER.format(admin=lab.ports[1])))
    for token, tabs in (("eve-eve-eve-eve-eve", 0), ("dan-dan-dan-dan-dan", 1)):
        page = await open_page(b, lab, "#/route/flights")
        await page.get_by_role("heading", name="Sign in").wait_for()
        await page.fill("#token", token)
        await page.click("button.primary")
        await page.locator(".tabs").wait_for()
        await expect(page.locator(".tabs a:text-is('Live tap')")).to_have_count(tabs)
        assert await page.locator("[data-verb]").count() == 0
        await page.context.close()
