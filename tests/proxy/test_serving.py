"""An amended table is the table that a whole one would have made, at the cost of what changed."""

from dataclasses import replace

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.spans import AccessTerms
from router.core.wire.succession import amended, changed_routes
from router.core.wire.table import MatchEntry, Mirror, RouteEntry, RoutingTable, VersionEntry
from router.proxy.plane import DataPlane, Listen
from router.telemetry.recorder import Recorder
from tests.http1.wire import parse_request

VERSIONS = tuple(VersionEntry(name, (EndpointEntry("127.0.0.1", 9),)) for name in ("v1", "v2"))


def entry(number, **more):
    shares = {"weights_bp": (9_000, 1_000), "candidate": 1, "rollout_id": "r-1"}
    path = MatchEntry(path=f"/models/{number}/*")
    fields = {"versions": VERSIONS, "stable": 0, **shares, **more}
    return RouteEntry(f"route-{number}", path, **fields)


TABLE = RoutingTable(1, tuple(map(entry, range(5))))
CHANGES = {
    "weights": (entry(2, weights_bp=(0, 10_000), revision=1),),
    "two routes": (entry(0, revision=2), entry(4, mirrors=(Mirror(1, 10_000),))),
    "another method": (replace(entry(1), match=MatchEntry(path="/models/1/*", methods=("GET",))),),
    "another path": (replace(entry(1), match=MatchEntry(path="/elsewhere")),),
    "a version less": (
        entry(3, versions=VERSIONS[:1], weights_bp=(10_000,), candidate=-1, rollout_id=""),
    ),
    "nothing": (),
}


def head(method, path):
    return parse_request(b"%b %b HTTP/1.1\r\nHost: h\r\n\r\n" % (method, path))[0]


HEADS = [
    head(method, path)
    for method in (b"GET", b"POST")
    for path in (*(b"/models/%d/x" % n for n in range(6)), b"/elsewhere")
]


@pytest.fixture
async def plane():
    made = DataPlane(Recorder(), Listen("127.0.0.1", 0))
    made.apply(TABLE)
    yield made
    await made.close()


def choices(serving):
    """What becomes of every request and every bucket."""
    return [
        route and (route.entry, [route.draw.at(bucket).name for bucket in range(0, 10_000, 500)])
        for route in map(serving.index.find, HEADS)
    ]


@pytest.mark.parametrize("name", CHANGES)
async def test_amended_serves_as_the_whole_table_would(plane, name):
    whole = DataPlane(Recorder(), Listen("127.0.0.1", 0))
    whole.apply(amended(TABLE, 2, CHANGES[name]))

    assert plane.amend(2, 1, CHANGES[name])

    assert choices(plane.serving) == choices(whole.serving)
    assert plane.serving.table == whole.serving.table
    await whole.close()


async def test_only_what_changed_is_compiled_again(plane):
    before = plane.serving.routes

    plane.amend(2, 1, CHANGES["weights"])

    same = [a is b for a, b in zip(before, plane.serving.routes, strict=True)]
    assert same == [True, True, False, True, True]
    assert before[2].versions[0].pool is plane.serving.routes[2].versions[0].pool


async def test_another_base_is_refused(plane):
    assert not plane.amend(3, 2, CHANGES["weights"])
    assert plane.serving.generation == 1
    assert plane.serving.routes[2].entry == entry(2)


async def test_pools_of_a_version_that_is_gone_are_closed_by_the_sweeper(plane):
    plane.amend(2, 1, CHANGES["a version less"])
    assert len(plane.pools.all()) == 10

    plane._look_at_idle(0.0)

    assert len(plane.pools.all()) == 9


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_found_and_made(name):
    new = amended(TABLE, 2, CHANGES[name])

    assert changed_routes(TABLE, new) == CHANGES[name]


@pytest.mark.parametrize(
    "new",
    [
        replace(TABLE, routes=TABLE.routes[1:]),
        replace(TABLE, routes=TABLE.routes[::-1]),
        replace(TABLE, access_log=AccessTerms()),
    ],
    ids=["a route less", "another order", "another setting"],
)
def test_more_than_entries_needs_the_whole_table(new):
    assert changed_routes(TABLE, new) is None


def warmed(plane):
    """Connections open or being opened to the candidate, by route; no request has come yet."""
    return {route.entry.name: route.versions[1].pool.open for route in plane.serving.routes}


async def test_connections_are_opened_with_the_table_that_asks_for_them():
    """Before the first live request: the candidate has 0 % of the traffic here."""
    cold = entry(0, weights_bp=(10_000, 0))
    versions = (VERSIONS[0], replace(VERSIONS[1], warm_connections=3))
    warm = entry(1, weights_bp=(10_000, 0), versions=versions)
    plane = DataPlane(Recorder(lambda: None), Listen("127.0.0.1", 0))
    try:
        assert plane.apply(RoutingTable(1, (cold, warm)))
        assert warmed(plane) == {"route-0": 0, "route-1": 3}
        assert plane.amend(2, 1, (replace(cold, versions=versions),))
        assert warmed(plane) == {"route-0": 3, "route-1": 3}
    finally:
        await plane.close()
