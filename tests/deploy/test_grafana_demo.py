"""Grafana's queries beside the demo: a Prometheus scrapes it, and each answers what was decided."""

import asyncio
import contextlib
import json
import urllib.error
from collections import Counter
from functools import partial

import pytest

from prediction_services.demo.cast import Player
from prediction_services.demo.policy import ROUTE, STEPS_BP, Rollout
from prediction_services.demo.stage import Stage, StageOptions
from prediction_services.load import LoadGenerator, Trip
from tests.deploy.test_grafana import FOLDER, ask, queries, scraping

pytestmark = pytest.mark.api

STATIC = (Player("v2", "static", "quick"), Player("v3", "static", "quick"))
"""Versions that have no model and are ready at once; they agree."""
TRIPS = [Trip(f"UA{number}.EWR.2013-01-01.0515", None) for number in range(1, 900)]
PATIENCE_S = 90.0


def asked(title):
    """The expressions of a panel."""
    board = json.loads((FOLDER / "rampway.json").read_text())
    (panel,) = (one for one in board["panels"] if one["title"] == title)
    return [target["expr"] for target in panel["targets"]]


async def found(port, query, *names):
    """Label values -> value, as Prometheus has it now; nothing before it listens."""
    with contextlib.suppress(urllib.error.URLError):
        rows = await asyncio.to_thread(ask, port, query)
        return {
            tuple(row["metric"][name] for name in names): float(row["value"][1]) for row in rows
        }
    return {}


def by(actor):
    """Who decided, as the metric says it."""
    return actor if actor in {"router", "policy"} else "person"


async def until(reached, what):
    """Wait until all of it is so; what was seen last is told."""
    seen = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (seen := await reached()) is not True:
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail(f"{what}: {seen}")


@pytest.fixture
async def demo(tmp_path):
    """The demo's stage, asked by its clients, and the port of a Prometheus that scrapes it."""
    options = StageOptions(folder=tmp_path / "demo", cast=STATIC)
    async with (
        Stage(options, lambda _text: None) as stage,
        scraping(tmp_path, stage.admin.url.removeprefix("http://")) as port,
        LoadGenerator(stage.url, TRIPS, rate_per_s=150.0, users=500),
    ):
        yield stage, port


async def test_every_query_answers_what_the_demo_decided(demo):
    """A canary grows, is paused at a share, fails, and is taken back."""
    stage, port = demo
    (commanded,), (measured,) = asked("Share commanded"), asked("Share measured")
    (phase,), (decisions,) = asked("Phase"), asked("Decisions")
    evidence, limit = asked("Evidence against the candidate")
    stage.write(stage.policy.edited("v2", Rollout("v3")))

    async def growing():
        """Clients meet the candidate, in the last of its steps."""
        status = await stage.admin.rollout() or {}
        seen = status.get("phase"), status.get("weight_bp", 0)
        return seen == ("progressing", STEPS_BP[-1]) or seen

    async def agrees(*, share, at):
        """What Prometheus has: phase, shares, and every decision of the journal."""
        journal = await stage.admin.journal(0)
        told = Counter((one["action"], by(one["actor"])) for one in journal if one["rollout"])
        seen = (
            await found(port, phase, "phase"),
            await found(port, commanded, "version"),
            await found(port, decisions, "action", "by"),
        )
        wanted = {(at,): 1.0}, {("v2",): 1.0 - share, ("v3",): share}, dict(told)
        return seen == wanted or (seen, wanted)

    await until(growing, "half of the requests are the candidate's")
    await stage.admin.order("pause", "to be looked at")
    await until(partial(agrees, share=0.5, at="paused"), "it is paused at half")
    assert {("error_rate",), ("agreement",)} <= (await found(port, evidence, "gate")).keys()
    assert await found(port, limit, "route") == {(ROUTE,): 100.0}

    async def both():
        """Of the requests of the last seconds both versions had a part."""
        share = await found(port, measured, "version")
        return (
            sum(share.values()) == pytest.approx(1.0) and share.get(("v3",), 0.0) > 0.3
        ) or share

    await until(both, "both versions are asked")
    await stage.services["v3"].set_faults(error_rate=1.0)
    await until(partial(agrees, share=0.0, at="rolled_back"), "it was taken back")
    (mark,) = [query for query in queries() if 'action="rollback"' in query]
    assert (ROUTE,) in await found(port, mark, "route")
    assert not await found(port, evidence, "gate")  # of an attempt that is over there is none

    async def only_stable():
        """Nobody asked the candidate in the last seconds."""
        share = await found(port, measured, "version")
        return (share.get(("v2",)) == 1.0 and not share.get(("v3",))) or share

    await until(only_stable, "stable answers all")
    for query in queries():
        await asyncio.to_thread(ask, port, query)  # one in error raises
