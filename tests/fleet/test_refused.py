"""A table that the real Envoy does not take: the last good one stays, and nothing more is sent."""

import asyncio
import json
import shutil
from dataclasses import replace

import pytest

from router.agent.envoy import Envoy, private
from router.agent.offers import Offers
from router.agent.tables import TableOffers
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import MatchEntry, RouteEntry, RoutingTable, VersionEntry
from tests.fleet.kit import NEEDS_ENVOY, versions_of
from tests.live.kit import Version
from tests.ports import free_port

pytestmark = [*NEEDS_ENVOY, pytest.mark.xdist_group("envoy")]


@pytest.fixture
async def models():
    made = [await Version().open() for _ in range(2)]
    yield made
    for one in made:
        one.close()


@pytest.fixture
async def told(tmp_path_factory):
    """What Envoy is offered, its discovery, itself; waits by ``until``."""
    folder = private(tmp_path_factory.mktemp("e"))
    tables = TableOffers(Offers("t"), ("127.0.0.1", free_port()))
    tables.comparer_port = 1
    from router.agent.servers import Discovery  # needs msgpack

    discovery = Discovery(tables.offers, lambda: tables.advance() and None)
    await discovery.start(folder / "discovery")
    envoy = Envoy(folder, 1)
    await envoy.start()
    await envoy.up()
    yield tables, discovery, envoy
    await envoy.stop()
    await discovery.close()
    shutil.rmtree(folder, ignore_errors=True)


async def until(condition, discovery, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():
            discovery.news()
            await asyncio.sleep(0.02)


async def test_what_envoy_refuses_leaves_the_good_table_but_nothing_for_who_was_taken_back(
    told, models
):
    tables, discovery, envoy = told
    versions = tuple(
        VersionEntry(name, (EndpointEntry("127.0.0.1", one.port),))
        for name, one in zip(("v1", "v2"), models, strict=True)
    )
    entry = RouteEntry("r", MatchEntry(), versions, 0, 1, weights_bp=(5_000, 5_000))
    tables.put(RoutingTable(1, (entry,)))
    await until(lambda: tables.good.generation == 1, discovery)
    users = [f"u{n}" for n in range(60)]
    port = tables.address[1]
    assert set((await versions_of(port, users, at_once=2)).values()) == {"v1", "v2"}
    broken = replace(versions[0], connections=-1)  # no policy can say this
    back = replace(entry, versions=(broken, versions[1]), weights_bp=(10_000, 0))
    tables.put(RoutingTable(2, (back,)))
    await until(lambda: tables.offers.refused is not None, discovery)
    await until(lambda: "max_connections" in envoy.said("rejected"), discovery)
    assert tables.good.generation == 1
    await until(lambda: tables.offers.of["routes"].settled, discovery)
    assert set((await versions_of(port, users, at_once=2)).values()) == {"v1"}
    tables.put(RoutingTable(3, (entry,)))
    await until(lambda: tables.good.generation == 3, discovery)
    assert set((await versions_of(port, users, at_once=2)).values()) == {"v1", "v2"}
    assert json.loads(tables.offers.of["routes"].body)["version_info"].startswith("t.")
