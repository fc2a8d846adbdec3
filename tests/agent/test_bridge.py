"""Copied calls are asked of versions over HTTP/1.1, and nobody else is reached that way."""

import json
import re
from dataclasses import replace

import pytest

from router.agent.bridge import CALLED, OTHERS, bridge, reserved
from router.agent.naming import DISCOVERY, RECORDS
from router.agent.offers import Offers, Resource
from router.agent.shadows import copying
from router.agent.tables import TableOffers
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.protection import QuotaEntry
from router.core.wire.table import (
    MatchEntry,
    Mirror,
    MirrorLimits,
    RouteEntry,
    RoutingTable,
    VersionEntry,
)

ENTRY = RouteEntry(
    "score", MatchEntry(),
    (VersionEntry("v1", (EndpointEntry("10.0.0.1", 1),)),
     VersionEntry("v2", (EndpointEntry("10.0.0.2", 2),))),
    stable=0, candidate=1, weights_bp=(9_000, 1_000), mirrors=(Mirror(1, 2_000),),
)  # fmt: skip
CALLS = replace(ENTRY, payload="open_inference_grpc")


def manager_of(made):
    return made["filter_chains"][0]["filters"][0]["typed_config"]


def test_copied_calls_are_asked_at_the_bridge_by_the_names_of_their_clusters():
    table = RoutingTable(1, (CALLS, replace(ENTRY, name="plain")))
    call, plain = copying(table, 77).routes
    assert [one.endpoints for one in call.versions] == [(EndpointEntry("127.0.0.1", 77),)] * 2
    assert [dict(one.edit.headers) for one in call.versions] == [
        {CALLED: "score/v1/shadow", OTHERS: "score/v1/http"},
        {CALLED: "score/v2/shadow", OTHERS: "score/v2/http"},
    ]
    assert [one.endpoints for one in plain.versions] == [one.endpoints for one in ENTRY.versions]
    assert [one.edit for one in plain.versions] == [None, None]


def test_a_bound_of_pairs_is_the_quota_of_one_client_and_no_bound_of_each_shadow():
    (entry,) = copying(
        RoutingTable(1, (replace(CALLS, mirror_limits=MirrorLimits(per_second=50)),)), 77
    ).routes
    assert entry.quota == QuotaEntry("x-forwarded-proto", 20_000_000, 80_000_000)
    assert entry.mirror_limits == MirrorLimits()
    assert copying(RoutingTable(1, (CALLS,)), 77).routes[0].quota is None


@pytest.mark.parametrize(("entry", "listeners"), [(CALLS, 2), (ENTRY, 1)])
def test_there_is_a_bridge_where_calls_are_read(entry, listeners):
    offers = Offers("boot")
    tables = TableOffers(offers, ("0.0.0.0", 80))
    tables.bridge_port = 77
    tables.put(RoutingTable(1, (entry,)))
    assert len(json.loads(offers.of[Resource.LISTENERS].body)["resources"]) == listeners


def test_only_versions_can_be_asked():
    call, other = manager_of(bridge(77))["route_config"]["virtual_hosts"][0]["routes"]
    for route, mine in ((call, "score/v2/shadow"), (other, "score/v2/http")):
        (condition,) = route["match"]["headers"]
        regex = condition["string_match"]["safe_regex"]["regex"]  # of the whole value, says Envoy
        assert re.fullmatch(regex, mine)
        assert not any(re.fullmatch(regex, one) for one in (DISCOVERY, RECORDS, "", mine + "/x"))
        assert route["route"]["cluster_header"] == condition["name"]


def test_a_calls_status_is_said_in_the_words_of_http():
    lua, *_ = manager_of(bridge(77))["http_filters"]
    text = lua["typed_config"]["default_source_code"]["inline_string"]
    assert "[0] = 200, [1] = 499" in text
    assert "[14] = 503" in text


def test_the_port_stays_ours():
    with reserved() as first, reserved() as second:
        assert first.getsockname() != second.getsockname()
