"""A model of late flights, passengers who ask it, and what became of their flights: data that move.

The model says how likely a flight is late; the truth comes some seconds later. Requests change as a
:class:`Weather` says: a step, a ramp, a pulse, values that are null or of an unseen carrier.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from tests.live.kit import SENT, Version

ROUTE = """\
  - name: flights
    match: {path: /flights*}
    payload: json
    predictions: {label: late, score: p, range: [0, 1], features: {delay: numeric, distance: numeric, carrier: categorical, wind: numeric}, sample: 100%}
    monitors: {reference: {past: <past>}, season: <season>, window: <window>, requests: 50, on_drift: notify, on_candidate: notify}
    feedback: {secret: only-for-this-page}
    log: {redact: [passenger]}
    versions:
      v1: {endpoints: ["<v1>"]}
      v2: {endpoints: ["<v2>"]}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 40%, mirror: 50%, hold: 1h}], bake: 1h}}
      gates: [error_rate, accuracy, auc, business, trust, nulls, {scores: {on_fail: notify}}, {agreement: {at_least: 75%}}]
      compare: {decide_on: [late], score: p, segment: {header: X-Country}}
"""  # noqa: E501 - as people write it
LOG = 'prediction_log: {file: "<folder>/log.db", age: 1d, size: 100MiB, early: 1h}'
CARRIERS = ("AA", "DL", "UA", "WN")
COUNTRIES = ("de", "fr", "us")
TOLD_EVERY_S = 0.5
RAMP_PER_S = 0.8
"""Miles by which flights grow: a third of a standard deviation in some 80 s."""


def airport(past="2s", season="168s", window="4s"):
    """The route, with monitors as fast as a test wants them."""
    return ROUTE.replace("<past>", past).replace("<season>", season).replace("<window>", window)


class Model(Version):
    """Says whether a flight is late; ``noise`` blurs that, ``empty`` of its answers say nothing."""

    def __init__(self, noise=0.3, seed=1, empty=0.0):
        super().__init__(seed=seed)
        self.noise, self.empty = noise, empty

    async def _serve(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = dict(
                    line.split(": ", 1) for line in head.decode("latin-1").lower().split("\r\n")
                    if ": " in line
                )  # fmt: skip
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                said = json.dumps(self._says(json.loads(body) if body else {})).encode()
                writer.write(SENT % (200, len(said), said))
        writer.transport.abort()

    def _says(self, asked):
        self.seen += 1
        if self._draw.random() < self.empty:
            return {"late": None, "p": None}
        p = _squashed(_truly(asked) + self._draw.gauss(0, self.noise))
        return {"late": p > 0.5, "p": round(p, 4)}


def _truly(asked):
    """Log odds that it is late."""
    return ((asked.get("delay") or 0.0) - 12.0) / 6.0


def _squashed(x):
    return 1.0 / (1.0 + math.exp(-x))


@dataclass
class Weather:
    """How requests change, by seconds since the beginning; None: they do not."""

    step_s: float | None = None
    """Delays grow by two standard deviations at once."""
    ramp_s: float | None = None
    """Distances grow from then on."""
    pulse_s: tuple[float, float] | None = None
    """A carrier that nobody has seen, for that time."""
    nulls_s: float | None = None
    """A fifth of the winds is null from then on."""

    def asks(self, draw, now):
        """One passenger's request."""
        delay, distance = draw.gauss(12, 6), draw.gauss(900, 200)
        carrier, wind = draw.choice(CARRIERS), draw.gauss(20, 5)
        if self.step_s is not None and now >= self.step_s:
            delay += 12
        if self.ramp_s is not None and now >= self.ramp_s:
            distance += RAMP_PER_S * (now - self.ramp_s)
        if self.pulse_s and self.pulse_s[0] <= now < self.pulse_s[1] and draw.random() < 0.6:
            carrier = "ZZ"
        null = self.nulls_s is not None and now >= self.nulls_s and draw.random() < 0.2
        return {
            "delay": round(delay, 2), "distance": round(distance, 1), "carrier": carrier,
            "wind": None if null else round(wind, 1), "passenger": f"p{draw.randrange(10**6)}",
        }  # fmt: skip


class Passengers:
    """Ask at a steady pace until closed; four in five tell later what became of their flight."""

    def __init__(self, lab, weather=None, *, per_s=60, at_once=4, seed=5):
        self.lab, self.weather = lab, weather or Weather()
        self.pause_s, self._at_once = at_once / per_s, at_once
        self._draw = random.Random(seed)
        self._waiting = []
        self._stop = False

    async def __aenter__(self):
        self._began_s = time.monotonic()
        self._session = aiohttp.ClientSession()
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self._at_once)]
        self._tasks.append(asyncio.create_task(self._tell()))
        return self

    async def __aexit__(self, *_):
        self._stop = True
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def _ask(self):
        url = f"http://127.0.0.1:{self.lab.port}/flights"
        while not self._stop:
            asked = self.weather.asks(self._draw, time.monotonic() - self._began_s)
            country = self._draw.choice(COUNTRIES)
            with suppress(aiohttp.ClientError, ValueError):
                async with self._session.post(
                    url, json=asked, headers={"X-Country": country}
                ) as answer:
                    said = await answer.json()
                    if self._draw.random() < 0.8:
                        due_s = time.monotonic() + self._draw.uniform(0.5, 3.0)
                        truth = self._became(asked, said, answer.headers["X-Request-Id"])
                        self._waiting.append((due_s, truth))
            await asyncio.sleep(self._draw.expovariate(1.0 / self.pause_s))

    def _became(self, asked, said, request_id):
        late = self._draw.random() < _squashed(2 * _truly(asked))
        right = said.get("late") is late
        truth = {"request_id": request_id, "label": late, "value": 3.0 if right else -1.0}
        if self._draw.random() < 0.5:
            truth["accepted"] = self._draw.random() < (0.9 if right else 0.4)
        return truth

    async def _tell(self):
        while not self._stop:
            now = time.monotonic()
            due = [truth for due_s, truth in self._waiting if due_s <= now]
            self._waiting = [one for one in self._waiting if one[0] > now]
            if due:
                await self.lab.post("/api/v1/feedback", {"labels": due})
            await asyncio.sleep(TOLD_EVERY_S)
