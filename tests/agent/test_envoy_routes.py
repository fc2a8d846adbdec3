"""A table as Envoy's routes: the same users, the same order, nothing that is not there."""

import random
from dataclasses import replace

import pytest

from router.agent.filtering import FILTER
from router.agent.routes import Placed, both_hold, pieces, route_configuration, weight_bp
from router.core.rollout.traffic import Draw
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.grpc_status import failing_calls, http_of
from router.core.wire.sampled import SamplingEntry
from router.core.wire.table import (
    MatchEntry,
    MatchKind,
    Mirror,
    RescueEntry,
    RouteEntry,
    RuleEntry,
    StickyEntry,
    StickyKind,
    ValueEntry,
    VersionEntry,
)

VERSIONS = tuple(
    VersionEntry(name, (EndpointEntry("127.0.0.1", port),))
    for name, port in (("v1", 1), ("v2", 2), ("v3", 3))
)


def entry(**more):
    return RouteEntry(
        "score", MatchEntry(), VERSIONS, 0, 1, weights_bp=(9_000, 1_000, 0), **more
    )  # fmt: skip


def routes_of(*entries):
    made = route_configuration([Placed("b.7", one) for one in entries])
    return {block["name"]: block["routes"] for block in made["virtual_hosts"]}


def test_every_place_is_the_version_that_the_built_in_plane_draws():
    rng = random.Random(22)
    for _ in range(40):
        cuts = sorted(rng.choices(range(10_001), k=2))
        shares = (cuts[0], cuts[1] - cuts[0], 10_000 - cuts[1])
        one = replace(entry(), weights_bp=shares, offset=rng.randrange(10_000))
        draw = Draw(range(3), shares, one.candidate, one.offset)
        places = [piece.version for piece in pieces(one) for _ in range(piece.width)]
        assert places == [draw.at(place) for place in range(10_000)], (shares, one.offset)


def test_a_step_only_adds_users_to_the_candidate():
    before: set[int] = set()
    for share in (100, 500, 2_500, 9_990):
        one = replace(entry(), weights_bp=(10_000 - share, share, 0), offset=9_900)
        places = [piece.version for piece in pieces(one) for _ in range(piece.width)]
        now = {place for place, version in enumerate(places) if version == 1}
        assert before <= now
        before = now


def test_nothing_at_all_is_sent_where_a_share_is_zero():
    (_, plain) = routes_of(replace(entry(), weights_bp=(10_000, 0, 0)))["*"]
    assert plain["route"]["cluster"] == "score/v1/http"
    assert "weighted_clusters" not in plain["route"]


def test_the_weight_of_the_moment_goes_with_the_route():
    for route in routes_of(replace(entry(), weights_bp=(4_500, 500, 5_000)))["*"]:
        told = route["metadata"]["filter_metadata"]["rampway"]
        assert told == {"route": "score", "mark": "b.7", "weight": 1_000}
    assert weight_bp(replace(entry(), candidate=-1)) == 0


def test_a_key_is_salted_without_losing_a_byte_and_a_coin_is_not_hashed():
    sticky = StickyEntry(StickyKind.HEADER, "x-user-id", salt="a\\1")
    (_, plain) = routes_of(entry(sticky=sticky))["*"]
    assert plain["route"]["weighted_clusters"]["use_hash_policy"]
    (policy,) = plain["route"]["hash_policy"]
    rewrite = policy["header"]["regex_rewrite"]
    assert rewrite == {"pattern": {"regex": "^"}, "substitution": "a\\\\1"}
    (_, coin) = routes_of(entry())["*"]
    assert "hash_policy" not in coin["route"]


def test_pins_come_first_then_rules_then_the_split():
    beta = MatchEntry(headers=(ValueEntry("x-beta", MatchKind.EXACT, "1"),))
    one = entry(rules=(RuleEntry(beta, 1),), pin=True, pinnable=(0,))
    plain = routes_of(one)["*"][1::2]
    assert [route["match"].get("headers", [{}])[0].get("name") for route in plain] == [
        "x-rampway-pin", "x-beta", None,
    ]  # fmt: skip
    forced = [route["metadata"]["filter_metadata"]["rampway"].get("forced") for route in plain]
    assert forced == [1, 1, None]


@pytest.mark.parametrize(
    ("route", "rule", "both"),
    [
        ("/*", "/v2/*", "/v2/*"),
        ("/v2/*", "/*", "/v2/*"),
        ("/v2/*", "/v2/a", "/v2/a"),
        ("/v2/*", "/v1/*", None),
        ("/v2/a", "/v2/a", "/v2/a"),
        ("/v2/a", "/v2/b", None),
    ],
)
def test_a_rule_holds_within_its_route(route, rule, both):
    met = both_hold(MatchEntry(path=route), MatchEntry(path=rule))
    assert (met.path if met else None) == both


def test_methods_of_a_rule_and_its_route():
    get, post = MatchEntry(methods=("GET",)), MatchEntry(methods=("POST",))
    assert both_hold(get, post) is None
    assert both_hold(get, MatchEntry()).methods == ("GET",)
    assert both_hold(MatchEntry(), post).methods == ("POST",)


def test_each_host_has_all_that_may_take_it_in_the_order_of_the_policy():
    hosts = {"a": "m.example.org", "b": "", "c": "*.example.org"}
    made = routes_of(
        *(replace(entry(), name=name, match=MatchEntry(host=host)) for name, host in hosts.items())
    )

    def named(block):
        told = [route["metadata"]["filter_metadata"]["rampway"]["route"] for route in made[block]]
        return list(dict.fromkeys(told))

    assert named("m.example.org") == ["a", "b", "c"]
    assert named("*.example.org") == ["b", "c"]
    assert named("*") == ["b"]


def test_a_rescue_asks_stable_once_and_by_what_a_call_says():
    one = entry(rescue=RescueEntry((5,), deadline_s=0.25, buffer_bytes=99))
    call, plain = routes_of(one)["*"]
    again = plain["route"]["retry_policy"]
    assert again["num_retries"] == 1
    assert again["per_try_timeout"] == "0.25s"
    assert again["retry_priority"]["name"].endswith("previous_priorities")
    (calls,) = again["retriable_headers"]
    assert calls["string_match"]["safe_regex"]["regex"] == "2|4|12|13|14|15"
    assert plain["request_body_buffer_limit"] == 99
    shares = {one["name"] for one in plain["route"]["weighted_clusters"]["clusters"]}
    assert shares == {"score/v2/http/else/v1", "score/v1/http"}
    assert "grpc" in call["match"]


def test_copies_go_to_the_comparer_and_calls_to_the_version():
    one = entry(mirrors=(Mirror(1, 2_000), Mirror(0, 100), Mirror(0, 50, of=1)))
    call, plain = routes_of(one)["*"]
    (copied,) = plain["route"]["request_mirror_policies"]
    assert copied["cluster"] == "rampway/comparer"
    assert copied["runtime_fraction"]["default_value"]["numerator"] == 2_000
    direct = [copy["cluster"] for copy in call["route"]["request_mirror_policies"]]
    assert direct == ["score/v2/shadow", "score/v1/shadow"]


def test_calls_whose_payload_is_read_are_copied_to_the_comparer_once():
    mirrors = (Mirror(1, 2_000), Mirror(0, 100))
    read = entry(mirrors=mirrors, payload="open_inference_grpc")
    elsewhere = entry(mirrors=mirrors, payload_paths=(("/tensorflow.*", "tensorflow_grpc"),))
    for one in (read, elsewhere):
        call, plain = routes_of(one)["*"]
        policies = call["route"]["request_mirror_policies"]
        assert policies == plain["route"]["request_mirror_policies"]
        assert [copy["cluster"] for copy in policies] == ["rampway/comparer"]
        assert policies[0]["runtime_fraction"]["default_value"]["numerator"] == 2_000


def test_statuses_of_calls_in_the_words_of_http():
    assert http_of(0) == 200
    assert http_of(14) == 503
    assert http_of(99) == 500
    assert failing_calls((503,)) == (14,)
    assert failing_calls((429,)) == (8,)


@pytest.mark.parametrize(
    ("share_bp", "per_million"), [(50, 10_000), (1_000, 100_000), (1_001, 110_000), (10_000, None)]
)
def test_a_sampled_route_comes_first_and_takes_whole_per_cent(share_bp, per_million):
    routes = routes_of(entry(sampling=SamplingEntry(share_bp)))["*"]
    on = [one for one in routes if "typed_per_filter_config" in one]
    assert routes[0] is on[0]
    assert len(on) == 2  # of gRPC, and of everything else
    assert len(routes) == (2 if per_million is None else 4)
    for one in on:
        share = one["match"].get("runtime_fraction", {}).get("default_value")
        assert share == (per_million and {"numerator": per_million, "denominator": "MILLION"})
        assert one["metadata"]["filter_metadata"]["rampway"]["sampled"] == 1
        assert FILTER in one["typed_per_filter_config"]
    for one in routes:
        if one not in on:
            assert "sampled" not in one["metadata"]["filter_metadata"]["rampway"]


@pytest.mark.parametrize(
    "one",
    [
        entry(),
        replace(entry(sampling=SamplingEntry(1_000)), weights_bp=(0, 0, 10_000)),
        replace(entry(sampling=SamplingEntry(1_000)), weights_bp=(0, 10_000, 0)),
        entry(sampling=SamplingEntry(1_000, judged=False)),
    ],
)
def test_where_no_gate_reads_a_draw_nothing_is_told_of(one):
    assert not [made for made in routes_of(one)["*"] if "typed_per_filter_config" in made]


def test_what_nobody_draws_is_not_told_of():
    pinned = entry(sampling=SamplingEntry(10_000), pin=True, pinnable=(0, 1))
    for one in routes_of(pinned)["*"]:
        forced = one["metadata"]["filter_metadata"]["rampway"].get("forced")
        assert bool(forced) != ("typed_per_filter_config" in one)
