"""Pins, rules, sticky keys and coins; the draw equals core's arithmetic."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import time
import zlib
from collections import Counter
from dataclasses import replace

import pytest

from router.core.rollout.traffic import bucket_of
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import (
    MatchEntry,
    MatchKind,
    RuleEntry,
    StickyEntry,
    StickyKind,
    ValueEntry,
)
from router.proxy.assign import assign
from router.proxy.cookies import set_cookie_line, sign, verified
from router.proxy.matching import NO_DOCUMENT, BodyDocument
from router.proxy.serving import ServedRoute
from router.telemetry.recorder import Recorder
from router.upstream import Pools
from tests.http1.wire import parse_request
from tests.proxy.rig import rollout, route, version

HERE = EndpointEntry("127.0.0.1", 1)


@pytest.fixture
async def pools():
    pools = Pools()
    yield pools
    pools.close()


def is_candidate(bucket, offset, weight_bp):
    """The interval arithmetic in one line: what Envoy's weighted choice comes to."""
    return (bucket - offset) % 10_000 < weight_bp


def made(entry, pools):
    return ServedRoute(entry, pools, Recorder())


def head(*fields):
    return parse_request("\r\n".join(["GET / HTTP/1.1", "Host: a", *fields, "", ""]).encode())[0]


def name(route_, *fields, body=b""):
    one = head(*fields)
    coding = one.get(b"content-encoding") or b""
    return assign(route_, one, BodyDocument(body, coding, 65_536)).version.name


async def test_the_draw_is_cores(pools):
    for weight_bp in (0, 1, 99, 5_000, 9_999, 10_000):
        for offset in (0, 1, 5_000, 9_999):
            entry = rollout(HERE, HERE, weight_bp, offset=offset)
            made_ = made(entry, pools)
            for bucket in range(10_000):
                expected = is_candidate(bucket, offset, weight_bp)
                assert (made_.draw.at(bucket) is made_.candidate) is expected


async def test_several_versions_share_by_their_weights(pools):
    weights = (3_000, 2_000, 0, 4_999, 1)
    versions = [version(f"v{n}", HERE) for n in range(5)]
    entry = route(*versions, candidate=1, weights_bp=weights, offset=777)
    made_ = made(entry, pools)
    got = Counter(made_.draw.at(bucket).name for bucket in range(10_000))
    assert got == {f"v{n}": weight for n, weight in enumerate(weights) if weight}


async def test_without_a_rollout_the_weights_hold_too(pools):
    versions = [version(f"v{n}", HERE) for n in range(3)]
    entry = route(*versions, weights_bp=(2_000, 5_000, 3_000))
    made_ = made(entry, pools)
    got = Counter(made_.draw.at(bucket).name for bucket in range(10_000))
    assert got == {"v0": 2_000, "v1": 5_000, "v2": 3_000}


async def test_growing_weights_take_nobody_out(pools):
    sticky = StickyEntry(StickyKind.HEADER, "x-user")
    inside = set()
    for weight_bp in (0, 1, 100, 2_500, 5_000, 10_000):
        made_ = made(rollout(HERE, HERE, weight_bp, sticky=sticky, offset=4_242), pools)
        now = {n for n in range(2_000) if name(made_, f"X-User: u{n}") == "v2"}
        assert inside <= now
        inside = now
    assert len(inside) == 2_000


async def test_zero_is_never_and_ten_thousand_always(pools):
    for weight_bp, expected in ((0, "v1"), (10_000, "v2")):
        made_ = made(rollout(HERE, HERE, weight_bp), pools)
        assert {name(made_) for _ in range(5_000)} == {expected}


async def test_coins_are_fair_and_independent_of_the_order(pools):
    made_ = made(rollout(HERE, HERE, 2_000), pools)
    drawn = [name(made_) == "v2" for _ in range(20_000)]
    assert abs(sum(drawn) / 20_000 - 0.2) < 0.015
    pairs = Counter(itertools.pairwise(drawn))
    assert abs(pairs[True, True] / 20_000 - 0.04) < 0.01


async def test_a_sticky_header_is_the_bucket_of_its_value(pools):
    sticky = StickyEntry(StickyKind.HEADER, "x-user")
    made_ = made(rollout(HERE, HERE, 3_000, sticky=sticky, offset=123), pools)
    for n in range(500):
        key = f"user-{n}"
        expected = is_candidate(bucket_of(key.encode()), 123, 3_000)
        one, two = (assign(made_, head(f"X-User: {key}"), NO_DOCUMENT) for _ in range(2))
        assert (one.version.name == "v2") is expected
        assert (one.version, one.unit) == (two.version, two.unit)


async def test_without_a_key_a_coin_and_a_unit_of_its_own(pools):
    sticky = StickyEntry(StickyKind.HEADER, "x-user")
    made_ = made(rollout(HERE, HERE, 5_000, sticky=sticky), pools)
    got = [assign(made_, head(), NO_DOCUMENT) for _ in range(200)]
    assert {one.version.name for one in got} == {"v1", "v2"}
    assert len({one.unit for one in got}) == 200


async def test_a_sticky_body_field(pools):
    sticky = StickyEntry(StickyKind.BODY, "user.id")
    made_ = made(rollout(HERE, HERE, 5_000, sticky=sticky), pools)
    assert made_.needs_body
    for n in range(100):
        body = json.dumps({"user": {"id": n}}).encode()
        expected = is_candidate(bucket_of(str(n).encode()), 0, 5_000)
        assert (name(made_, body=body) == "v2") is expected


async def test_a_sticky_body_field_is_read_whatever_its_coding(pools):
    sticky = StickyEntry(StickyKind.BODY, "user.id")
    made_ = made(rollout(HERE, HERE, 5_000, sticky=sticky), pools)
    body = json.dumps({"user": {"id": 7}}).encode()
    expected = name(made_, body=body)
    for coding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        got = {name(made_, f"Content-Encoding: {coding}", body=packed) for _ in range(20)}
        assert got == {expected}
    assert [version.stats.unread_keys for version in made_.versions] == [0, 0]


async def test_a_sticky_key_that_cannot_be_read_is_counted(pools):
    sticky = StickyEntry(StickyKind.BODY, "user.id")
    made_ = made(rollout(HERE, HERE, 5_000, sticky=sticky), pools)
    body = json.dumps({"user": {"id": 7}}).encode()
    unread = [("identity", body[:-1]), ("gzip", gzip.compress(body)[:-1])]
    for coding, cut in unread:
        name(made_, f"Content-Encoding: {coding}", body=cut)
    for absent in (b"", b"{}", b"[1]"):
        name(made_, body=absent)  # no key: a coin, as documented
    assert sum(version.stats.unread_keys for version in made_.versions) == 2
    assert sum(version.stats.take().unread_keys for version in made_.versions) == 2


async def test_a_sticky_cookie_keeps_its_user(pools):
    sticky = StickyEntry(StickyKind.COOKIE, "cohort", secret="0123456789abcdef")
    made_ = made(rollout(HERE, HERE, 5_000, sticky=sticky), pools)
    first = assign(made_, head(), NO_DOCUMENT)
    value = first.cookie.split(b"cohort=")[1].split(b";")[0].decode()
    assert b"HttpOnly" in first.cookie
    for _ in range(20):
        again = assign(made_, head(f"Cookie: x=y; cohort={value}"), NO_DOCUMENT)
        assert (again.version.name, again.unit, again.cookie) == (
            first.version.name, first.unit, b"",
        )  # fmt: skip


async def test_a_cookie_never_leads_to_what_was_rolled_back(pools):
    sticky = StickyEntry(StickyKind.COOKIE, "cohort", secret="0123456789abcdef")
    inside = made(rollout(HERE, HERE, 10_000, sticky=sticky), pools)
    cookie = assign(inside, head(), NO_DOCUMENT).cookie.split(b"cohort=")[1].split(b";")[0].decode()
    back = made(rollout(HERE, HERE, 0, sticky=sticky), pools)
    assert name(back, f"Cookie: cohort={cookie}") == "v1"


def test_cookies():
    sticky = StickyEntry(StickyKind.COOKIE, "c", secret="secret-of-16-or-more", max_age_s=100)
    value = sign(sticky, "rollout-1", "key", 1_000.0)
    assert verified(sticky, "rollout-1", value, 1_099.0) == "key"
    assert verified(sticky, "rollout-1", value, 1_101.0) is None
    assert verified(sticky, "rollout-2", value, 1_000.0) is None
    assert verified(replace(sticky, secret="x"), "rollout-1", value, 1_000.0) is None
    for at in range(len(value)):
        changed = value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]
        assert verified(sticky, "rollout-1", changed, 1_000.0) is None
    written = f"Set-Cookie: c={value}; Max-Age=100; Path=/; HttpOnly; SameSite=Lax\r\n"
    assert set_cookie_line(sticky, value) == written.encode()
    strict = replace(sticky, attributes="Path=/v1; Domain=a.org; HttpOnly; Secure; SameSite=None")
    assert set_cookie_line(strict, value).endswith(f"; {strict.attributes}\r\n".encode())


GOLD = RuleEntry(MatchEntry(headers=(ValueEntry("x-tier", MatchKind.EXACT, "gold"),)), 1)
INSIDE = RuleEntry(MatchEntry(body=(ValueEntry("inside", MatchKind.EXACT, "true"),)), 1)


async def test_rules_force_and_are_no_evidence(pools):
    made_ = made(rollout(HERE, HERE, 0, rules=(GOLD,)), pools)
    forced = assign(made_, head("X-Tier: gold"), NO_DOCUMENT)
    assert (forced.version.name, forced.drawn) == ("v2", False)
    assert assign(made_, head("X-Tier: tin"), NO_DOCUMENT).drawn


async def test_rules_may_look_into_the_body(pools):
    made_ = made(rollout(HERE, HERE, 0, rules=(INSIDE, GOLD)), pools)
    assert made_.needs_body
    assert name(made_, body=b'{"inside": true}') == "v2"
    assert name(made_, body=b'{"inside": false}') == "v1"
    assert name(made_, "X-Tier: gold", body=b"no json") == "v2"


async def test_pins_only_where_allowed_and_before_rules(pools):
    allowed = made(rollout(HERE, HERE, 0, rules=(GOLD,), pin=True, pinnable=(0, 1)), pools)
    assert name(allowed, "X-Rampway-Pin: v2") == "v2"
    assert name(allowed, "X-Rampway-Pin: v1", "X-Tier: gold") == "v1"
    assert name(allowed, "X-Rampway-Pin: v7") == "v1"
    assert not assign(allowed, head("X-Rampway-Pin: v2"), NO_DOCUMENT).drawn
    rolled_back = made(rollout(HERE, HERE, 0, pin=True, pinnable=(0,)), pools)
    assert name(rolled_back, "X-Rampway-Pin: v2") == "v1"
    forbidden = made(rollout(HERE, HERE, 0, pin=False, pinnable=(0, 1)), pools)
    assert name(forbidden, "X-Rampway-Pin: v2") == "v1"


async def test_an_assignment_is_cheap(pools):
    made_ = made(rollout(HERE, HERE, 5_000), pools)
    one = head()
    best = 9.0
    for _ in range(10):
        began = time.perf_counter()
        for _ in range(1_000):
            assign(made_, one, NO_DOCUMENT)
        best = min(best, time.perf_counter() - began)
        await asyncio.sleep(0)
    assert best < 0.02  # 20 us each would be a mistake; it takes about one
