"""One thing written in two ways is one thing; what is refused is told why."""

from __future__ import annotations

import pytest

from router.core.wire.table import (
    MatchEntry,
    MatchKind,
    Mirror,
    MirrorLimits,
    RuleEntry,
    ValueEntry,
)
from router.proxy.matching import bare_host, plain_path
from tests.proxy.rig import Rig, replace, request, rollout, route, version
from tests.proxy.scripted import Scripted, answers, ok


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"api.example.org", "api.example.org"),
        (b"API.example.org:8443", "api.example.org"),
        (b"api.example.org.", "api.example.org"),
        (b"api.example.org.:80", "api.example.org"),
        (b"[::1]:80", "[::1]"),
        (b"[::1]", "[::1]"),
    ],
)
def test_hosts(host, name):
    assert bare_host(host) == name


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        (b"/%70redict", b"/predict"),
        (b"/%7Euser/%41%2d%5F%2E", b"/~user/A-_."),
        (b"/a%2Fb%2fc", b"/a%2Fb%2fc"),  # reserved: another path
        (b"/%20%C3%A9%25", b"/%20%C3%A9%25"),
        (b"/%2570", b"/%2570"),  # decoded once, not twice
        (b"/%7", b"/%7"),
    ],
)
def test_paths(path, plain):
    assert plain_path(path) == plain


async def test_a_rule_cannot_be_walked_around_by_another_spelling():
    async with Scripted(answers(ok(b"inside"))) as inside, Scripted(answers(ok(b"else"))) as other:
        guarded = route(
            version("v1", inside), name="a", match=MatchEntry(host="example.org", path="/predict/*")
        )
        rest = route(version("v1", other), name="b")
        async with Rig(guarded, rest) as rig:
            for path in ("/predict/x", "/%70redict/x", "/p%72%65dict/%78"):
                assert (await rig.ask(path=path)).body == b"inside"
                assert inside.requests[-1].line.split()[1] == path.encode(), "forwarded as it came"
            assert (await rig.ask(path="/predict%2Fx")).body == b"else"
            dotted = request(path="/predict/x").replace(b"example.org", b"Example.org.")
            assert (await rig.ask(dotted)).body == b"inside"


TWO = ValueEntry("v", MatchKind.EXACT, "2")
REPEATED = [
    (MatchEntry(query=(TWO,)), "/p?v=2&v=1", "/p?v=1&v=2", [], []),
    (MatchEntry(query=(TWO,)), "/p?%76=2", "/p?v=&v=2", [], []),
    (MatchEntry(headers=(TWO,)), "/p", "/p", ["V: 2", "v: 1"], ["V: 1", "v: 2"]),
    (MatchEntry(headers=(TWO,)), "/p", "/p", ["v: 2"], ["v: 1, 2", "v: 2"]),
    (MatchEntry(cookies=(TWO,)), "/p", "/p", ["Cookie: v=2; v=1"], ["Cookie: v=1; v=2"]),
]


@pytest.mark.parametrize(("match", "takes", "leaves", "with_", "without"), REPEATED)
async def test_of_what_is_repeated_the_first_counts(match, takes, leaves, with_, without):
    """Of routes and rules; 20 times, so that plain heads and remembered ones are among them."""
    async with Scripted(answers(ok(b"one"))) as one, Scripted(answers(ok(b"two"))) as two:
        routes = (route(version("v1", two), name="a", match=match), route(version("v1", one)))
        rules = rollout(one, two, 0, rules=(RuleEntry(match, 1),))
        for entries in (routes, (rules,)):
            async with Rig(*entries) as rig:
                for _ in range(20):
                    assert (await rig.ask(path=takes, headers=with_)).body == b"two"
                    assert (await rig.ask(path=leaves, headers=without)).body == b"one"


async def test_paths_that_are_copied_too():
    limits = MirrorLimits(paths=("/predict",))
    async with Scripted(answers(ok())) as stable, Scripted(answers(ok())) as shadow:
        entry = rollout(stable, shadow, 0, mirrors=(Mirror(1, 10_000),))
        async with Rig(replace(entry, mirror_limits=limits)) as rig:
            for path in ("/predict", "/%70redict", "/other"):
                await rig.ask(path=path, body=b"?")
            await rig.settled()
        assert len(shadow.requests) == 2


WEBSOCKET = ["Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13"]
H2C = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]


async def test_a_websocket_handshake_is_refused_with_a_sentence():
    async with Scripted(answers(ok())) as backend, Rig(route(version("v1", backend))) as rig:
        answer = await rig.ask(method="GET", headers=WEBSOCKET)
        assert answer.status == 501
        assert b"this route carries no WebSocket" in answer.body
        assert not backend.requests
        assert (await rig.ask(method="GET", headers=H2C)).status == 200, "an offer may be ignored"
        rig.count()
        assert rig.rejected == {"upgrade": 1}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", b"the request path has a dot segment"),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b""),
    ],
)
async def test_what_is_refused_is_told_why(data, why):
    async with Scripted(answers(ok())) as backend, Rig(route(version("v1", backend))) as rig:
        answer = await rig.ask(data)
        assert answer.status == 400
        assert why.removeprefix(b"the ") in answer.body
        assert b"is not valid HTTP" not in answer.body
        assert not backend.requests
