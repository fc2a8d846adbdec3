"""Two routes in a row for the page of pipelines, and whoever carries what one says to the next."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import aiohttp

from tests.live.kit import Version

PIPELINE = """\
  - name: forecast
    match: {path: /forecast}
    payload: json
    predictions: {score: minutes}
    versions: {squared: {endpoints: ["<v1>"]}, absolute: {endpoints: ["<v2>"]}}
    stable: squared
    feeds: [late]
    log: {}
    rollout:
      candidate: absolute
      strategy: {canary: {steps: [{weight: 50%, hold: 1h}], bake: 1h}}
      gates:
        - error_rate
        - guard: {error_rate: 20%}
        - cascade: {ask: [errors, inputs, classes, scores]}
  - name: late
    match: {path: /late}
    payload: json
    predictions: {label: late, score: p, features: [minutes], range: [0, 1], sample: 100%}
    versions: {v1: {endpoints: ["<v3>"]}}
    stable: v1
    feeds: [desk]
    log: {}
  - name: desk
    match: {path: /desk}
    payload: json
    predictions: {score: gate, sample: 100%}
    versions: {v1: {endpoints: ["<v4>"]}}
    stable: v1
"""


class Says(Version):
    """A model with one answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._said = answer

    async def _answer(self):
        self.seen += 1
        return 200, self._said


def models() -> dict[str, Version]:
    """Of the three routes; `late` says the same of everybody."""
    return {
        "v1": Says(b'{"minutes": 12.5}'), "v2": Says(b'{"minutes": 3.5}'),
        "v3": Says(b'{"late": 0, "p": 0.2}'), "v4": Says(b'{"gate": 4}'),
    }  # fmt: skip


class Carriers:
    """Ask the first, and the second with what it said, until closed."""

    def __init__(self, lab, *, per_s: int) -> None:
        self._lab, self._pause_s = lab, 1.0 / per_s
        self._draw = random.Random(1)

    async def __aenter__(self):
        self._task = asyncio.create_task(self._go())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _go(self) -> None:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self._lab.port}") as session:
            while True:
                async with session.post("/forecast", json={"flight": self._draw.random()}) as first:
                    said, carried = await first.read(), first.headers.get("X-Rampway-Baggage", "")
                head = {"baggage": carried, "Content-Type": "application/json"}
                async with session.post("/late", data=said, headers=head) as second:
                    await second.read()
                await asyncio.sleep(self._pause_s)
