"""What a rollback by hand takes, and what ten open pages cost the data plane: printed.

``python -m tests.page.measure`` wants two cores that do nothing else; three minutes.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.live.kit import route
from tests.page.stage import MANY, browser, open_page, router

ROLLBACKS = 20
PAGES = 10
ROUNDS = 3
SECONDS = 12.0
PER_S = 100


async def rollbacks() -> None:
    """One order of a person each, on a route under traffic; milliseconds."""
    routes = route(
        "{canary: {steps: [{weight: 25%, hold: 1h}]}}", name="prices", gates="[error_rate]",
        more="anti_flap: {backoff: 0s, per_day: 100}\n",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as home:
        async with router(Path(home), routes, per_s=100, paths=("/prices",)) as lab:
            inside, around = [], []
            for _ in range(ROLLBACKS):
                await lab.until(lambda s: s["weight_bp"] == 2500, "prices")
                began = time.perf_counter()
                status, said = await lab.order("prices", "rollback", reason="measured")
                around.append((time.perf_counter() - began) * 1000)
                assert status == 200, said
                inside.append(said["took_s"] * 1000)
                assert (await lab.status("prices"))["weight_bp"] == 0
                await lab.order("prices", "retry", force=True)
    print(
        f"rollback by hand, {ROLLBACKS} times: in force in every worker after "
        f"{statistics.median(inside):.1f} ms (median, at most {max(inside):.1f}); with the way "
        f"there and back {statistics.median(around):.1f} ms"
    )


async def asked(port: int, seconds: float) -> list[float]:
    """Seconds of each request at a steady pace, one after another on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        writer.write(b"GET /model-0000 HTTP/1.1\r\nHost: x\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(1 / PER_S)
    writer.close()
    return took


async def pages() -> None:
    """p99 without and with ten pages of 1,000 routes, in turn."""
    many = "".join(MANY.format(n=n) for n in range(1000))
    found: dict[str, list[float]] = {"none": [], "ten": []}
    with tempfile.TemporaryDirectory() as home:
        async with router(Path(home), many) as lab, browser() as b:
            for _ in range(ROUNDS):
                found["none"] += await asked(lab.port, SECONDS)
                async with AsyncExitStack() as stack:
                    for _ in range(PAGES):
                        page = await open_page(b, lab)
                        stack.push_async_callback(page.context.close)
                    await asyncio.sleep(3)
                    found["ten"] += await asked(lab.port, SECONDS)
    p99 = {name: statistics.quantiles(took, n=100)[98] * 1000 for name, took in found.items()}
    print(
        f"1,000 routes: p99 {p99['none']:.2f} ms without a page, {p99['ten']:.2f} ms with "
        f"{PAGES}: {p99['ten'] / p99['none']:.2f} x"
    )


async def main() -> None:
    """Both."""
    await rollbacks()
    await pages()


if __name__ == "__main__":
    asyncio.run(main())
