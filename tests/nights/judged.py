"""Judges and routes that feed each other, in nights with people; and the log as people read it.

A night with people has, as often as not, a gate ``judge`` on a route whose answers are paired, and
a route whose answers the other one is asked with.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import contextmanager
from copy import deepcopy

from router.reader import performance

BETTER = (
    {"better": "first"}, {"better": "second"}, {"better": "tie"}, {"score": 0.3}, {"score": -1},
)  # fmt: skip
NO_VERDICT = (b"{}", b'{"better": "both"}', b'{"score": 9}', b"x" * 900, b'{"choices": []}')
USAGES = ({}, {"usage": {"total_tokens": 40}}, {"usage": {"total_tokens": 9e9, "cost": 1.0}})
PAIRED = {
    "mirror": "100%", "until": {"samples": 30},
    "then": {"canary": {"steps": [{"weight": "50%", "hold": "1s"}], "bake": "1s"}},
}  # fmt: skip


def with_judges(made, url, accepted, rng):
    """A policy whose pairs are judged at ``url``, and whose routes feed each other, if it can."""
    made = deepcopy(made)
    for number, route in enumerate(made["routes"]):
        if rng.random() < 0.6 and isinstance(route.get("rollout"), dict):
            drafts = [
                _judged(route, url, rng, {"shadow": deepcopy(PAIRED)}),
                _judged(route, url, rng),
            ]
            if rng.random() < 0.3:
                drafts.reverse()
            _first(made, number, drafts, accepted)
    if len(made["routes"]) > 1 and rng.random() < 0.7:
        feeder, fed = rng.choice([(0, 1), (1, 0)])
        names = [route["name"] for route in made["routes"]]
        plain = {"route": names[fed]}
        by_key = plain | {"by": {"json": "instances.0.user"}, "within": "5s"}
        feeds = rng.choice([plain, by_key])
        route = made["routes"][feeder] | {"feeds": [feeds]}
        if "by" in feeds:
            route["log"] = {"person": "instances.0.user"}
        _first(made, feeder, [_cascaded(route, rng), route], accepted)
    return made


def _first(made, number, drafts, accepted):
    """The first of these routes that a whole policy may have takes its place."""
    for draft in drafts:
        routes = [*made["routes"][:number], draft, *made["routes"][number + 1 :]]
        if draft is not None and accepted(made | {"routes": routes}):
            made["routes"] = routes
            return


def _judged(route, url, rng, strategy=None):
    limits = rng.choice([{"calls": 1_000}, {"calls": 2}, {"calls": 9, "tokens": 100}])
    judge = {"url": url, "sample": "100%", "budget": limits, "timeout": "500ms", "margin": "10%"}
    if rng.random() < 0.5:
        judge |= {"model": "judge", "headers": {"Authorization": "Bearer a-secret"}}
    rollout = route["rollout"] | {"gates": [*route["rollout"]["gates"], {"judge": judge}]}
    if strategy is not None:
        rollout["strategy"] = strategy
    return route | {"rollout": rollout}


def _cascaded(route, rng):
    if not isinstance(route.get("rollout"), dict):
        return None
    ask = rng.choice([["errors"], ["errors", "nulls", "classes", "scores"], ["inputs", "accuracy"]])
    gates = [*route["rollout"]["gates"], {"cascade": {"ask": ask}}]
    return route | {"rollout": route["rollout"] | {"gates": gates}}


def verdict(asked, manner, chance):
    """A judge's answer, or what it says instead of one."""
    if manner == "garbage" or chance.random() < 0.1:
        return chance.choice(NO_VERDICT)
    said = chance.choice(BETTER)
    if b'"model"' in asked[:20]:
        message = {"message": {"content": f"I think so: {json.dumps(said)}"}}
        said = {"choices": [message]}
    return json.dumps(said | chance.choice(USAGES)).encode()


# --- the log as people read it --------------------------------------------------------------------


class Readers:
    """The module ``asyncio`` for :mod:`router.control.predictions.performed`."""

    subprocess = asyncio.subprocess

    def __init__(self, night):
        self._night = night

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def create_subprocess_exec(self, *_command, **_options):
        """A process that reads the night's log; it may be killed, or never end."""
        return Reading(self._night())


class Reading:
    """One process of ``router.reader.performance``."""

    def __init__(self, night):
        self._night, self.returncode = night, None

    async def communicate(self, asked):
        chance = self._night.machine.chance
        await asyncio.sleep(chance.expovariate(1 / 0.1))
        kind = chance.random()
        if kind < 0.1:
            await asyncio.sleep(3_600)
        self.returncode = 0
        return (b"" if kind < 0.2 else self._said(json.loads(asked))), b""

    def _said(self, asked):
        with opened(self._night.log_file.uri) as reading:
            performance.reading = reading
            try:
                told = performance.performance(**asked)
            except (performance.BookError, ValueError) as error:
                told = {"error": str(error)}
        return json.dumps(told, allow_nan=False).encode()

    def kill(self):
        self.returncode = -9

    async def wait(self):
        return self.returncode


@contextmanager
def opened(uri):
    """``router.reader.export.reading`` over the night's file, while it lasts."""
    real = performance.reading

    @contextmanager
    def reading(_place):
        link = sqlite3.connect(uri, uri=True)
        try:
            yield link
        except sqlite3.Error as error:
            raise performance.BookError(str(error)) from None
        finally:
            link.close()

    try:
        yield reading
    finally:
        performance.reading = real
