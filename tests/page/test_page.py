"""The dashboard in a real browser before a real router: what is clicked happens there."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files

import pytest

from tests.page.stage import BROWSER, MANY, QUIET, ROUTES, browser, open_page, router

pytestmark = [pytest.mark.page, pytest.mark.skipif(not BROWSER, reason="no chromium installed")]
pytest.importorskip("playwright")
PATHS = ("/prices", "/fraud", "/ads", "/delay", "/search", "/geo")
CLICK = """(name) => [...document.querySelectorAll('button')]
    .find((one) => one.textContent.startsWith(name)).click()"""
SHOWN = "(rows) => document.querySelectorAll('tbody tr').length === rows"
TOKENS = """\
admin:
  listen: "127.0.0.1:{admin}"
  tokens: [{{name: eve, role: viewer, token: eve-eve-eve-eve-eve}}]
"""


async def journal(lab, route):
    return (await lab.get(f"/api/v1/journal?route={route}"))["entries"]


async def ask(page, verb, reason, route=""):
    """Click a verb, answer its question."""
    await page.click(f"[data-verb={verb}]")
    dialog = page.locator("dialog")
    await dialog.locator(".effect:not(:text('asking'))").wait_for()
    assert await dialog.locator("p").first.inner_text() != ""
    if await dialog.locator("#route-name").count():
        assert await dialog.locator("button.primary").is_disabled()
        await dialog.locator("#route-name").fill(route)
    await dialog.get_by_label("Reason").fill(reason)
    await sure(page)


async def sure(page):
    """Confirm, once more where the router moved meanwhile, as it may."""
    dialog = page.locator("dialog")
    await dialog.locator("button.primary").click()
    again = dialog.get_by_role("button", name="Take that into account")
    await page.wait_for_function(
        "() => !document.querySelector('dialog') || document.querySelector('dialog .changes')"
    )
    if await again.count():
        await again.click()
        await dialog.locator("button.primary").click()
    await dialog.wait_for(state="detached")


async def test_every_action_is_clicked_and_seen_at_the_router(tmp_path):
    async with router(tmp_path, ROUTES + QUIET, per_s=120, paths=PATHS) as lab, browser() as b:
        await lab.until("progressing", "prices")
        await lab.until(lambda s: not s["waits_for"].startswith("v2"), "prices")
        page = await open_page(b, lab, "#/route/prices")
        await ask(page, "pause", "a look")
        assert (await lab.status("prices"))["phase"] == "paused"
        await ask(page, "resume", "looked")
        assert (await lab.status("prices"))["phase"] == "progressing"
        await page.click("[data-verb=set-weight]")
        await page.locator("dialog").get_by_label("Share").fill("33%")
        await page.locator("dialog .effect:has-text('33 %')").wait_for()
        await sure(page)
        assert (await lab.status("prices"))["weight_bp"] == 3300
        await page.click("[data-verb=freeze]")
        await sure(page)
        assert "frozen by" in (await lab.get("/api/v1/routes/prices"))["frozen"]
        await page.click("[data-verb=freeze]:has-text('End freeze')")
        await sure(page)
        await everything_stands_still(b, lab)
        await ask(page, "promote", "go on", "prices")
        assert (await lab.status("prices"))["step"] == 2
        await page.locator(".back input").fill("the support team calls")
        await page.click("[data-verb=rollback]")
        await page.locator(".banner.good:has-text('in force in every worker after')").wait_for()
        status = await lab.status("prices")
        assert (status["phase"], status["weight_bp"]) == ("rolled_back", 0)
        entry = next(e for e in await journal(lab, "prices") if e["action"] == "rollback")
        assert (entry["actor"], "the support team calls" in entry["reason"]) == ("local", True)
        await seen_and_tried_again(page, lab)


async def everything_stands_still(b, lab):
    """A freeze of all routes is seen on each, and is not ended by ending that of one."""
    page = await open_page(b, lab)
    await page.click("[data-verb=freeze-all]")
    await page.locator("dialog").get_by_label("Reason").fill("black friday")
    await sure(page)
    await page.locator(".facts li:has-text('everything is frozen')").wait_for()
    assert "black friday" in (await lab.get("/api/v1/routes/geo"))["frozen"]
    await page.goto(f"{lab.lives[-1].admin}/#/route/prices")
    await page.click("[data-verb=freeze]:has-text('End freeze')")
    await page.locator("dialog .warn:has-text('Everything is frozen')").wait_for()
    await page.keyboard.press("Escape")
    await page.goto(f"{lab.lives[-1].admin}/#/")
    await page.click("[data-verb=freeze-all]:has-text('End')")
    await sure(page)
    await page.locator(".facts li:has-text('everything is frozen')").wait_for(state="detached")
    assert not (await lab.get("/api/v1/routes/geo"))["frozen"]
    assert page.said == []
    await page.context.close()


async def seen_and_tried_again(page, lab):
    # One look and one command: the same sentence.
    why = await lab.get("/api/v1/rollouts/prices/why")
    await page.locator(f"main > .lead:text-is({json.dumps(why['line'])})").wait_for()
    await page.goto(f"{lab.lives[-1].admin}/#/?show=attention")
    row = page.locator("tr:has-text('prices')")
    await row.filter(has_text=why["line"]).wait_for()
    await row.get_by_role("button", name="I have seen it").click()
    await row.wait_for(state="detached")
    assert (await journal(lab, "prices"))[0]["action"] == "acknowledged"
    await page.goto(f"{lab.lives[-1].admin}/#/route/prices")
    await ask(page, "retry", "mended")
    assert (await lab.status("prices"))["attempt"] == 2
    await lab.until(lambda s: s["weight_bp"] == 2500, "prices")
    await page.wait_for_selector("[data-verb=rollback]:enabled")
    await page.keyboard.press("Shift+R")
    await lab.until("rolled_back", "prices")
    # See sure(): and what is asked anew after a 412 may be answered behind the order itself.
    assert [one for one in page.said if not {"412", "409"} & set(one.split())] == []


async def test_verbs_that_end_a_rollout(tmp_path):
    async with router(tmp_path, ROUTES, per_s=120, paths=PATHS) as lab, browser() as b:
        await lab.until(lambda s: s["weight_bp"] == 1000, "fraud")
        page = await open_page(b, lab, "#/route/search")
        await ask(page, "switch", "the preview is fine", "search")
        await lab.until(lambda s: s["weight_bp"] == 10_000, "search")
        page = await open_page(b, lab, "#/route/fraud")
        await ask(page, "abort", "not today")
        assert (await lab.status("fraud"))["phase"] == "aborted"
        page = await open_page(b, lab, "#/route/churn")
        await ask(page, "full", "nobody uses it", "churn")
        assert (await lab.status("churn"))["weight_bp"] == 10_000
        await page.locator(".back select").select_option("v3")
        await page.click("[data-verb=rollback]:has-text('Roll back to v3')")
        await page.locator(".banner.good:has-text('in force in every worker after')").wait_for()
        assert (await lab.get("/api/v1/routes/churn"))["shares_bp"] == {"v3": 10_000}
        assert page.said == []


async def test_a_conflict_shows_what_changed(tmp_path):
    async with router(tmp_path, ROUTES, per_s=60, paths=PATHS) as lab, browser() as b:
        await lab.until(lambda s: s["weight_bp"] == 2500, "prices")
        page = await open_page(b, lab, "#/route/prices")
        await page.click("[data-verb=pause]")
        await page.locator("dialog .effect:not(:text('asking'))").wait_for()
        await lab.order(
            "prices", "set-weight", weight="30%", **{"for": "1h", "reason": "bob was here"}
        )
        await page.locator("dialog button.primary").click()
        changes = page.locator("dialog .changes")
        await changes.wait_for()
        assert "30 %" in await changes.inner_text()
        assert (await lab.status("prices"))["phase"] == "progressing"
        await changes.get_by_role("button").click()
        await page.locator("dialog button.primary").click()
        await page.locator("dialog").wait_for(state="detached")
        assert (await lab.status("prices"))["phase"] == "paused"


@pytest.mark.timeout(300)  # longer than its waits together
async def test_fifty_updates_move_neither_focus_nor_selection_nor_scroll(tmp_path):
    async with router(tmp_path, ROUTES + QUIET, per_s=120, paths=PATHS) as lab, browser() as b:
        await lab.until(lambda s: s["weight_bp"] == 2500, "prices")
        for where, focus in (
            ("#/", "tbody tr:nth-child(3) a"),
            ("#/route/prices", "[data-verb=abort]"),
        ):
            page = await open_page(b, lab, where)
            await page.set_viewport_size({"width": 1280, "height": 360})  # so that it can scroll
            await page.wait_for_selector(focus)
            await page.evaluate(
                """async ([focus]) => {
                // The browser itself scrolls along when a line appears above; that is its own.
                document.documentElement.style.overflowAnchor = 'none';
                document.querySelector(focus).focus();
                scrollTo(0, 40);
                window.kept = { focus: document.activeElement, scroll: scrollY, drawn: 0 };
                new MutationObserver(() => { window.kept.drawn += 1; }).observe(
                    document.getElementById('app'),
                    { subtree: true, childList: true, characterData: true, attributes: true });
            }""",
                [focus],
            )
            await page.wait_for_function("() => window.kept.drawn >= 50", timeout=90_000)
            focused, scroll = await page.evaluate(
                "() => [document.activeElement === kept.focus, scrollY - kept.scroll]"
            )
            assert focused, "the focus has moved"
            assert scroll == 0, "the page has scrolled"
            chosen = await page.evaluate("""async () => {
                const range = document.createRange();
                range.selectNodeContents(document.querySelector('main h1'));
                getSelection().removeAllRanges();
                getSelection().addRange(range);
                const before = String(getSelection());
                await new Promise((r) => setTimeout(r, 3000));
                return [before, String(getSelection())];
            }""")
            assert chosen[0] == chosen[1] != ""
            assert page.said == []


async def test_no_row_moves_while_the_keyboard_is_in_the_table(tmp_path):
    names = "() => [...document.querySelectorAll('tbody th a')].map((one) => one.textContent)"
    async with router(tmp_path, ROUTES + QUIET, per_s=60, paths=PATHS) as lab, browser() as b:
        await lab.until(lambda s: s["weight_bp"] == 2500, "prices")
        page = await open_page(b, lab)
        await page.focus("tbody tr:nth-child(7) a")
        rows = await page.evaluate(names)
        last = await page.evaluate("() => document.activeElement.textContent")
        assert rows.index(last) == 6
        await lab.order("churn", "rollback", reason="a look at the disks")
        await page.wait_for_selector("tr.taken_back:has-text('churn')")
        assert await page.evaluate(names) == rows
        assert await page.evaluate("() => document.activeElement.textContent") == last
        await page.evaluate("() => document.activeElement.blur()")
        await page.wait_for_function(f"() => ({names})().indexOf('churn') < {rows.index('churn')}")


async def test_a_viewer_reads_only_and_signs_in_and_out(tmp_path):
    async with router(tmp_path, QUIET, per_s=20, paths=("/geo",)) as lab, browser() as b:
        text = lab.file.read_text()
        lab.file.write_text(
            text.replace(
                f'admin: {{listen: "127.0.0.1:{lab.ports[1]}"}}\n',
                TOKENS.format(admin=lab.ports[1]),
            )
        )
        page = await open_page(b, lab)
        await page.get_by_role("heading", name="Sign in").wait_for()
        await page.fill("#token", "wrong-wrong-wrong")
        await page.click("button.primary")
        await page.get_by_role("heading", name="Sign in").wait_for()
        await page.fill("#token", "eve-eve-eve-eve-eve")
        await page.click("button.primary")
        await page.locator("header:has-text('eve (viewer, read only)')").wait_for()
        await page.click("text=geo")
        await page.locator("h1:has-text('geo')").wait_for()
        assert await page.locator("[data-verb]").count() == 0
        assert await page.locator("text=Configuration").count() == 0
        await page.click("text=Sign out")
        await page.get_by_role("heading", name="Sign in").wait_for()


async def test_what_is_stale_says_so_and_takes_no_orders(tmp_path):
    async with router(tmp_path, ROUTES, per_s=30, paths=PATHS) as lab, browser() as b:
        await lab.until(lambda s: s["weight_bp"] == 2500, "prices")
        page = await open_page(b, lab, "#/route/prices")
        await page.wait_for_selector("[data-verb=rollback]:enabled")
        await asyncio.to_thread(lab.lives[-1].kill)
        await page.wait_for_selector(".banner.bad:has-text('may be old')")
        assert await page.locator("[data-verb]:enabled").count() == 0
        await lab.start()
        await page.wait_for_selector("[data-verb=rollback]:enabled")


async def test_a_bad_edit_is_shown_with_its_places(tmp_path):
    async with router(tmp_path, ROUTES) as lab, browser() as b:
        page = await open_page(b, lab, "#/policy")
        lab.write(ROUTES.replace("weight: 25%", "weight: 250%"))
        await page.locator(".badge.bad:has-text('refused')").wait_for()
        assert "^" in await page.locator("pre.report").inner_text()
        assert "+" in await page.locator("pre.diff").inner_text()
        await page.goto(f"{lab.lives[-1].admin}/#/")
        await page.locator(".facts li.bad:has-text('router: policy')").wait_for()


@pytest.mark.timeout(300)  # eighteen pages
async def test_axe_finds_nothing(tmp_path):
    axe = (files("axe_playwright_python") / "axe.min.js").read_text()
    async with router(tmp_path, ROUTES + QUIET, per_s=120, paths=PATHS) as lab, browser() as b:
        await lab.until("rolled_back", "ads")
        await lab.until(lambda s: s["weight_bp"] == 2500, "prices")
        for where in (
            "#/", "#/route/prices", "#/route/ads", "#/route/delay/shadow", "#/route/geo",
            "#/route/prices/backends", "#/policy", "#/review", "#/nosuch",
        ):  # fmt: skip
            for dark in (False, True):
                page = await open_page(b, lab, where, dark=dark)
                await page.wait_for_timeout(500)
                if where == "#/route/prices":
                    await page.click("[data-verb=promote]")
                await page.evaluate(axe)
                found = await page.evaluate("() => axe.run(document).then((r) => r.violations)")
                told = [(one["id"], [n["html"][:120] for n in one["nodes"]]) for one in found]
                assert told == [], (where, dark)
                await page.context.close()


@pytest.mark.parametrize("width", [375, 1200])
async def test_nothing_scrolls_sideways(tmp_path, width):
    async with router(tmp_path, ROUTES + QUIET, per_s=60, paths=PATHS) as lab, browser() as b:
        await lab.until(lambda s: s["weight_bp"] == 2500, "prices")
        for where in ("#/", "#/route/prices", "#/route/delay/shadow", "#/policy"):
            page = await open_page(b, lab, where, width=width)
            await page.wait_for_timeout(700)
            wide = await page.evaluate("() => document.documentElement.scrollWidth")
            assert wide <= width, where


async def test_a_click_among_a_thousand_routes(tmp_path):
    """Script time of a click, filter and sort included; the page itself says how long it took."""
    async with (
        router(tmp_path, "".join(MANY.format(n=n) for n in range(1000))) as lab,
        browser() as b,
    ):
        page = await open_page(b, lab)
        await page.wait_for_function(SHOWN, arg=200)
        took = []
        clicks = (("Show 200 more", 400), ("Show 200 more", 600), ("In a rollout", 0), ("All", 200))
        for name, rows in clicks:
            session = await page.context.new_cdp_session(page)
            await session.send("Performance.enable")
            before = await _script_s(session)
            await page.evaluate(CLICK, name)
            await page.wait_for_function(SHOWN, arg=rows)
            took.append((name, rows, round((await _script_s(session) - before) * 1000)))
        print(took)


async def _script_s(session):
    told = (await session.send("Performance.getMetrics"))["metrics"]
    return next(one["value"] for one in told if one["name"] == "ScriptDuration")
