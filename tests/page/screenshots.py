"""``make screenshots``: the dashboard in every state, from a real router, into docs/screenshots."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.page.stage import MANY, QUIET, ROUTES, browser, open_page, router, settled

PATHS = ("/prices", "/fraud", "/ads", "/delay", "/search", "/geo")
SECONDS = 15.0
"""Of traffic before the pictures: long enough for bands and curves."""


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
    await sizes(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshots")))
