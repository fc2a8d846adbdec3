"""Which route takes a request, and that a thousand routes cost no more than one."""

from __future__ import annotations

import time

import pytest

from router.core.wire.table import MatchEntry, MatchKind, ValueEntry
from router.proxy.matching import (
    REMEMBERED_MAX,
    BodyDocument,
    RouteIndex,
    bare_host,
    body_matches,
    host_matches,
)
from tests.http1.wire import parse_request


class Item:
    def __init__(self, name, **fields):
        self.name = name
        self.match = MatchEntry(**fields)


def head(target="/x", host="example.org", method="GET", *fields):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]
    return parse_request("\r\n".join(lines).encode())[0]


def found(items, request):
    item = RouteIndex(items).find(request)
    return item.name if item else None


HEADER = ValueEntry("x-tier", MatchKind.EXACT, "gold")
CASES = [
    (MatchEntry(path="/x"), head("/x"), head("/x/y")),
    (MatchEntry(path="/x"), head("/x?q=1"), head("/X")),
    (MatchEntry(path="/x/*"), head("/x/y/z"), head("/x")),
    (MatchEntry(path="/a%2Fb"), head("/a%2Fb"), head("/a/b")),
    (MatchEntry(host="example.org"), head(host="example.org:8080"), head(host="a.example.org")),
    (MatchEntry(host="example.org"), head(host="EXAMPLE.org"), head(host="example.com")),
    (MatchEntry(host="*.example.org"), head(host="a.b.example.org"), head(host="example.org")),
    (MatchEntry(host="*.example.org"), head(host="a.example.org"), head(host="evilexample.org")),
    (MatchEntry(host="[::1]"), head(host="[::1]:80"), head(host="[::2]")),
    (MatchEntry(methods=("GET", "HEAD")), head(), head(method="PUT")),
    (MatchEntry(headers=(HEADER,)), head("/", "a", "GET", "X-Tier: gold"),
     head("/", "a", "GET", "X-Tier: golden")),
    (MatchEntry(headers=(HEADER,)), head("/", "a", "GET", "X-Tier: gold", "x-tier: tin"),
     head("/", "a", "GET", "X-Tier: tin", "x-tier: gold")),
    (MatchEntry(headers=(HEADER,)), head("/", "a", "GET", "x-tier: gold"), head()),
    (MatchEntry(headers=(ValueEntry("x-a"),)), head("/", "a", "GET", "X-A:"), head()),
    (MatchEntry(headers=(ValueEntry("x-a", MatchKind.PREFIX, "ab"),)),
     head("/", "a", "GET", "X-A: abc"), head("/", "a", "GET", "X-A: bab")),
    (MatchEntry(headers=(ValueEntry("x-a", MatchKind.SUFFIX, "bc"),)),
     head("/", "a", "GET", "X-A: abc"), head("/", "a", "GET", "X-A: abcd")),
    (MatchEntry(headers=(ValueEntry("x-a", MatchKind.REGEX, "a+"),)),
     head("/", "a", "GET", "X-A: aaa"), head("/", "a", "GET", "X-A: aab")),
    (MatchEntry(headers=(ValueEntry("x-a", MatchKind.REGEX, "a*"),)),
     head("/", "a", "GET", "X-A: " + "a" * 4_096), head("/", "a", "GET", "X-A: " + "a" * 4_097)),
    (MatchEntry(query=(ValueEntry("v", MatchKind.EXACT, "a b"),)),
     head("/?v=a%20b"), head("/?v=a")),
    (MatchEntry(query=(ValueEntry("v", MatchKind.EXACT, "2"),)),
     head("/?v=2&v=1"), head("/?v=1&v=2")),
    (MatchEntry(query=(ValueEntry("v"),)), head("/?v"), head("/?vv=1")),
    (MatchEntry(query=(ValueEntry("v", MatchKind.EXACT, "1"),)), head("/?v=1&" + "y" * 300),
     head("/?" + "&".join(f"a{n}=1" for n in range(101)) + "&v=1")),
    (MatchEntry(cookies=(ValueEntry("c", MatchKind.EXACT, "1"),)),
     head("/", "a", "GET", "Cookie: b=2; c=1"), head("/", "a", "GET", "Cookie: cc=1; b=c=1")),
    (MatchEntry(path="/x", methods=("POST",), headers=(HEADER,)),
     head("/x", "a", "POST", "X-Tier: gold"), head("/x", "a", "GET", "X-Tier: gold")),
]  # fmt: skip


@pytest.mark.parametrize(("match", "takes", "refuses"), CASES)
def test_conditions(match, takes, refuses):
    item = Item("it")
    item.match = match
    index = RouteIndex([item])
    for _ in range(2):  # once more from memory
        assert index.find(takes) is item
        assert index.find(refuses) is None


def test_the_first_in_the_policys_order_wins():
    items = [
        Item("headed", path="/a/*", headers=(HEADER,)),
        Item("exact", path="/a/b"),
        Item("long", path="/a/b*"),
        Item("short", path="/a*"),
        Item("never", path="/a/b"),
    ]
    assert found(items, head("/a/b")) == "exact"
    assert found(items, head("/a/b", "h", "GET", "X-Tier: gold")) == "headed"
    assert found(items, head("/a/bc")) == "long"
    assert found(items, head("/ab")) == "short"
    assert found(items, head("/b")) is None
    assert found(items[::-1], head("/a/b")) == "never"


def test_a_thousand_routes_cost_no_more_than_one():
    def cost(count):
        index = RouteIndex([Item(str(n), path=f"/r{n}/*") for n in range(count)])
        heads = [head(f"/r{n % count}/x") for n in range(50)]
        best = 9.0
        for _ in range(20):
            began = time.perf_counter()
            for one in heads:
                index.find(one)
            best = min(best, time.perf_counter() - began)
        return best

    assert cost(1_000) < 3 * cost(1) + 20e-6


def test_what_is_remembered_is_bounded_in_number_and_length():
    index = RouteIndex([Item("all")])
    for number in range(REMEMBERED_MAX + 10):
        assert index.find(head(f"/{number}"))
    assert len(index._remembered) <= REMEMBERED_MAX
    before = len(index._remembered)
    assert index.find(head("/" + "a" * 5_000))
    assert len(index._remembered) == before


def test_hosts():
    assert bare_host(b"A.example:80") == "a.example"
    assert bare_host(b"[::1]:80") == "[::1]"
    assert bare_host(b"[::1]") == "[::1]"
    assert bare_host(b"") == ""
    assert host_matches("", "anything")


BODY = b'{"a": {"b": [1, {"c": true}], "d": null, "e": 1.5, "f": "x"}}'


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b.0", "1"), ("a.b.1.c", "true"), ("a.d", None), ("a.e", "1.5"), ("a.f", "x"),
     ("a.b", None), ("a.b.7", None), ("a.b.x", None), ("q", None), ("a.f.g", None)],
)  # fmt: skip
def test_body_fields(path, value):
    assert BodyDocument(BODY).field(path) == value


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"a":' + b"9" * 5_000 + b"}", b"nul"]
)
def test_a_body_that_is_no_json_matches_nothing(body):
    wanted = (ValueEntry("a", MatchKind.EXACT, "1"),)
    assert not body_matches(wanted, BodyDocument(body))


def test_body_conditions():
    wanted = (ValueEntry("a.f", MatchKind.EXACT, "x"), ValueEntry("a.e"))
    assert body_matches(wanted, BodyDocument(BODY))
    assert not body_matches((*wanted, ValueEntry("z")), BodyDocument(BODY))
    assert body_matches((), BodyDocument(b""))
