"""A real router with a route in every state that a page must show, and a real browser before it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from tests.live.kit import Clients, Lab, Version, route

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT_MS = 60_000.0
"""Until a page shows what it will show: what tells late from never on a busy machine."""
ROUTES = (
    route("{canary: {steps: [{weight: 25%, hold: 1h}, {weight: 50%, hold: 1h}]}}", name="prices")
    + route(
        "{canary: {steps: [{weight: 10%, until: {samples: 100000}}, {weight: 50%, hold: 1h}]}}",
        name="fraud",
    )
    + route("{canary: {steps: [{weight: 5%, hold: 1h}, {weight: 50%, hold: 1h}]}}", name="churn")
    + route("{canary: {steps: [{weight: 20%, hold: 1h}]}}", name="ads", endpoints="<v3>")
    + route(
        "{shadow: {mirror: 100%, hold: 1h, until: {samples: 100000}}}",
        name="delay", endpoints="<v4>",
        gates="[agreement]", head="payload: open_inference_v2\n",
    )
    + route("{blue_green: {mirror: 20%, hold: 1h, bake: 1h}}", name="search")
)  # fmt: skip
QUIET = """\
  - name: geo
    match: {path: /geo*}
    versions: {v1: {endpoints: ["<v1>"]}}
    stable: v1
"""
MANY = """\
  - name: model-{n:04}
    match: {{path: /model-{n:04}}}
    versions: {{v1: {{endpoints: ["<v1>"]}}, v2: {{endpoints: ["<v2>"]}}}}
    stable: v1
"""


@asynccontextmanager
async def router(
    folder: Path, routes: str, *, per_s: int = 0, paths: tuple[str, ...] = (), head: str = "",
    models: dict[str, Version] | None = None,
) -> AsyncIterator[Lab]:  # fmt: skip
    """The router with these routes, and clients that ask ``paths``; ``models``: of versions."""
    async with AsyncExitStack() as stack:
        lab = Lab(folder, ("v1", "v2", "v3", "v4"))
        lab.versions |= models or {}
        await stack.enter_async_context(lab)
        lab.versions["v3"].bad = 1.0
        lab.versions["v4"].value = b"0.75"
        lab.write(routes, head)
        await lab.start()
        if per_s:
            await stack.enter_async_context(Clients(lab.port, paths, per_s=per_s))
        yield lab


@asynccontextmanager
async def browser() -> AsyncIterator:
    """The system's Chromium, driven by Playwright."""
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=WAIT_MS)
    async with async_playwright() as play:
        launched = await play.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield launched
        finally:
            with suppress(Exception):
                await launched.close()


async def open_page(launched, lab, hash_="#/", *, dark=False, width=1200, height=800):
    """A page of the dashboard; what its console says is kept in ``page.said``."""
    context = await launched.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )  # fmt: skip
    context.set_default_timeout(WAIT_MS)
    page = await context.new_page()
    page.said = []
    page.on("console", lambda m: page.said.append(m.text) if m.type in ("error", "warning") else 0)
    page.on("pageerror", lambda error: page.said.append(str(error)))
    await page.goto(f"{lab.lives[-1].admin}/{hash_}")
    await page.wait_for_selector("main h1")
    return page


async def settled(seconds: float) -> None:
    """Let it run for the picture's sake: curves need points."""
    await asyncio.sleep(seconds)
