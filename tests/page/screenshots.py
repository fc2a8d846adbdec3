"""``make screenshots``: the dashboard in every state, from a real router, into docs/screenshots."""

from __future__ import annotations

import asyncio
import io
import random
import sys
import tempfile
from pathlib import Path

import aiohttp
from PIL import Image

from tests.page.airport import LOG, Model, Passengers, Weather, airport
from tests.page.pipes import PIPELINE, Carriers
from tests.page.pipes import models as in_a_row
from tests.page.stage import MANY, QUIET, ROUTES, browser, open_page, router, settled

PATHS = ("/prices", "/fraud", "/ads", "/delay", "/search", "/geo")
SECONDS = 15.0
"""Of traffic before the pictures: long enough for bands and curves."""
REVIEWED = """\
  - name: flights
    match: {path: /flights*}
    payload: json
    predictions: {label: late, score: p}
    versions: {v1: {endpoints: ["<v1>"]}, desk: {person: true}}
    stable: v1
    log: {}
    review: {below: 80%, audit: 10%, deadline: 0s, second: 20%, answer: '{"late": {answer}}'}
"""
MODELS_S = 130.0
"""Until a slow change is told as one."""


async def shoot(page, folder: Path, name: str, *, whole: bool = True) -> None:
    """One picture; the page is closed."""
    await settled(1.0)
    shown = await page.screenshot(full_page=whole)
    small = Image.open(io.BytesIO(shown)).convert("P", palette=Image.Palette.ADAPTIVE, colors=128)
    small.save(folder / f"{name}.png", optimize=True)
    if page.said:
        print(name, "console:", page.said, file=sys.stderr)
    await page.context.close()


async def states(folder: Path) -> None:
    """Everything that one router can show at once."""
    with tempfile.TemporaryDirectory() as home:
        async with (
            router(Path(home), ROUTES + QUIET, per_s=240, paths=PATHS) as lab,
            browser() as b,
        ):
            await lab.until("rolled_back", "ads")
            await settled(SECONDS)
            for name, where in {
                "overview": "#/", "ramping": "#/route/prices", "holding": "#/route/fraud",
                "not-enough-yet": "#/route/churn", "rolled-back": "#/route/ads",
                "shadow-explorer": "#/route/delay/shadow", "blue-green-preview": "#/route/search",
                "no-rollout": "#/route/geo", "backends": "#/route/prices/backends",
                "configuration": "#/policy", "empty": "#/route/churn/shadow",
            }.items():  # fmt: skip
                await shoot(await open_page(b, lab, where), folder, name)
            await shoot(await open_page(b, lab, "#/route/prices", dark=True), folder, "dark")
            await shoot(
                await open_page(b, lab, "#/", width=375, height=812), folder, "phone-overview"
            )
            await shoot(
                await open_page(b, lab, "#/route/ads", width=375, height=812), folder, "phone",
                whole=False,
            )  # fmt: skip
            page = await open_page(b, lab, "#/route/churn")
            await page.click("[data-verb=promote]")
            await page.wait_for_selector("dialog .effect:has-text('goes from')")
            await shoot(page, folder, "promote-past-a-gate", whole=False)
            page = await open_page(b, lab, "#/route/prices")
            lab.lives[-1].kill()
            await page.wait_for_selector(".banner.bad:has-text('may be old')", timeout=20_000)
            await shoot(page, folder, "stale", whole=False)


async def models(folder: Path) -> None:
    """A better model beside the present one, while requests change in every way there is."""
    weather = Weather(step_s=85.0, ramp_s=12.0, pulse_s=(25.0, 40.0), nulls_s=95.0)
    told = {"v1": Model(0.9, 1), "v2": Model(0.3, 2)}
    with tempfile.TemporaryDirectory() as home:
        async with (
            router(Path(home), airport("12s", "420s", "20s"), head=LOG, models=told) as lab,
            Passengers(lab, weather, per_s=60),
            browser() as b,
        ):
            await settled(MODELS_S)
            page = await open_page(b, lab, "#/route/flights/performance")
            await page.wait_for_function("() => document.querySelectorAll('.uplot').length >= 5")
            await shoot(page, folder, "model-performance")
            page = await open_page(b, lab, "#/route/flights/data?signal=delay")
            await page.wait_for_selector("section.detail table.cells")
            await page.wait_for_selector("table.answers")
            await shoot(page, folder, "data-quality")
            page = await open_page(b, lab, "#/route/flights/tap")
            await page.wait_for_selector("table.tap td:has-text('copy, v2:')")
            await shoot(page, folder, "live-tap", whole=False)
            page = await open_page(b, lab, "#/route/flights")
            await page.wait_for_selector("h2:text-is('Scores')")
            await shoot(page, folder, "drift-and-scores")
            page = await open_page(b, lab, "#/route/flights/data", dark=True, width=375, height=812)
            await page.wait_for_selector("table.signals")
            await shoot(page, folder, "phone-data-quality", whole=False)


async def reviews(folder: Path) -> None:
    """What a model is not sure of waits for people; some were answered, one is claimed."""
    draw, weather = random.Random(1), Weather()
    with tempfile.TemporaryDirectory() as home:
        async with (
            router(Path(home), REVIEWED, head=LOG, models={"v1": Model(0.9, 1)}) as lab,
            aiohttp.ClientSession() as session,
            browser() as b,
        ):
            for _ in range(60):
                url, asked = f"http://127.0.0.1:{lab.port}/flights", weather.asks(draw, 0.0)
                async with session.post(url, json=asked) as answer:
                    await answer.read()
            page = await open_page(b, lab, "#/review")
            await page.get_by_role("button", name="Get questions").click()
            field = page.get_by_label("Your answer")
            for said in ("y", "n", "n"):
                await field.wait_for()
                before = await page.locator("form.ask pre").inner_text()
                await field.press_sequentially(said)
                await field.press("Enter")
                await page.wait_for_function(
                    "before => document.querySelector('form.ask pre').innerText !== before",
                    arg=before,
                )
            await page.locator("td[data-heading=Overruled]").first.wait_for()
            await shoot(page, folder, "review-queue")


async def pipelines(folder: Path) -> None:
    """Three routes in a row, the first of which tries another model."""
    with tempfile.TemporaryDirectory() as home:
        async with (
            router(Path(home), PIPELINE, head=LOG, models=in_a_row()) as lab,
            Carriers(lab, per_s=60),
            browser() as b,
        ):
            await settled(SECONDS)
            for name, more in {
                "pipeline": {}, "phone-pipeline": {"dark": True, "width": 375, "height": 812},
            }.items():  # fmt: skip
                page = await open_page(b, lab, "#/pipeline", **more)
                await page.locator("table.arms tbody tr").nth(1).wait_for()
                await shoot(page, folder, name, whole=not more)


async def sizes(folder: Path) -> None:
    """1, 20 and 1,000 routes."""
    for number, name in ((1, "overview-1"), (20, "overview-20"), (1000, "overview-1000")):
        with tempfile.TemporaryDirectory() as home:
            routes = "".join(MANY.format(n=n) for n in range(number))
            async with router(Path(home), routes) as lab, browser() as b:
                await shoot(await open_page(b, lab), folder, name, whole=False)


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    await states(folder)
    await models(folder)
    await reviews(folder)
    await pipelines(folder)
    await sizes(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots")))
