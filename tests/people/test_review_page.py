"""The review page in a browser: questions are claimed and answered with the keyboard alone."""

import shutil
from types import SimpleNamespace

import pytest

from tests.people.conftest import ANSWER
from tests.reliability.whole import until

BROWSER = shutil.which("chromium")
pytestmark = [
    pytest.mark.people, pytest.mark.xdist_group("people"),
    pytest.mark.skipif(not BROWSER, reason="no chromium installed"),
]  # fmt: skip
pytest.importorskip("playwright")

WATCHED = """() => {
    window.late = 0;
    new MutationObserver(() => {
        const field = document.querySelector("form.ask input");
        if (field && field !== document.activeElement) window.late += 1;
    }).observe(document.querySelector("main"), {childList: true, subtree: true});
}"""
"""Counts what is drawn while the field of a question has not got the keyboard yet."""


async def test_questions_are_answered_with_the_keyboard(office):
    from tests.page.stage import browser, open_page

    one = office(f"{{below: 90%, deadline: 0s, answer: {ANSWER}}}")
    places = [one.ask(f"q{n}", 600)[2]["Location"] for n in range(3)]
    until(lambda: one.standing()["open"] == 3, 15)
    async with browser() as launched:
        page = await open_page(launched, SimpleNamespace(lives=[one.router]), "#/review")
        await page.fill("#token", one.tokens["ann"])
        await page.keyboard.press("Enter")
        await page.get_by_text("3 open").or_(page.get_by_text("open, 0 claimed")).first.wait_for()
        await page.evaluate(WATCHED)
        await page.get_by_role("button", name="Get questions").focus()
        await page.keyboard.press("Enter")
        field = page.get_by_label("Your answer")
        await page.get_by_text("3 of yours").wait_for()
        assert '"distance": 600' in await page.locator("form.ask pre").inner_text()
        await field.wait_for()
        await page.keyboard.type("n")
        await page.keyboard.press("Enter")
        await page.get_by_text("2 of yours").wait_for()
        await page.keyboard.type("yes")
        await page.keyboard.press("Enter")
        await page.get_by_text("1 of yours").wait_for()
        assert await page.evaluate("window.late") == 0
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Get questions").wait_for()
        await page.locator("td[data-heading=Overruled]", has_text="50.0 %").wait_for()
        assert page.said == [] or all("401" in text for text in page.said), page.said
    said = sorted(str(one.look(place)[1].get("predictions")) for place in places)
    assert said == ["None", "[{'late': False}]", "[{'late': True}]"]
