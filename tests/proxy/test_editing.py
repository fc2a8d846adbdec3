"""Versions behind one endpoint: each is asked in its own words, and nothing else changes."""

import gzip
import json

import pytest

from router.core.wire.edits import EditEntry
from router.core.wire.table import MatchEntry, Mirror
from tests.proxy.rig import RESCUE, Rig, route, version
from tests.proxy.scripted import Scripted, answers, ok

CHAT = b'{"model": "mine", "temperature": 0.70, "messages": []}'
MODEL_B = EditEntry(model="b")


def two(server, edit, weight_bp, **fields):
    """Two versions at one address; v2 is asked otherwise."""
    values = {
        "candidate": 1,
        "rollout_id": "rollout-1",
        "weights_bp": (10_000 - weight_bp, weight_bp),
    }
    return route(version("v1", server), version("v2", server, edit=edit), **(values | fields))


async def test_the_model_of_a_body_is_the_versions_and_the_rest_stays():
    async with Scripted(answers(ok(), ok())) as server, Rig(two(server, MODEL_B, 10_000)) as rig:
        assert (await rig.ask(body=CHAT)).status == 200
        assert (await rig.ask(body=CHAT, chunked=True)).status == 200
        for request in server.requests:
            assert request.body == CHAT.replace(b"mine", b"b")
            assert request.get(b"content-length") == b"%d" % len(request.body)
            assert request.get(b"transfer-encoding") is None


async def test_a_coded_body_goes_out_plain_and_without_what_was_true_of_its_bytes():
    headers = ["Content-Encoding: gzip", "Content-Digest: sha-256=:x:", "X-Kept: 1"]
    async with Scripted(answers(ok())) as server, Rig(two(server, MODEL_B, 10_000)) as rig:
        await rig.ask(body=gzip.compress(CHAT), headers=headers)
        (request,) = server.requests
        assert json.loads(request.body)["model"] == "b"
        assert request.get(b"content-encoding") is request.get(b"content-digest") is None
        assert request.get(b"x-kept") == b"1"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"[1, 2]", []),
        (b'{"model": ', []),
        (b'{"a": "%b"}' % (b"x" * 300), []),
        (gzip.compress(b'{"a": "%b"}' % (b"x" * 3_000)), ["Content-Encoding: gzip"]),
        (CHAT, ["Content-Encoding: nonsense"]),
    ],
    ids=["a list", "cut off", "too large", "too large unpacked", "another coding"],
)
async def test_where_no_name_can_be_put_stable_answers_and_nobody_is_judged(body, headers):
    server = Scripted(answers(ok()))
    async with server, Rig(two(server, MODEL_B, 5_000, buffer_bytes=200)) as rig:
        for _ in range(20):
            answer = await rig.ask(body=body, headers=headers)
            assert answer.headers[b"x-rampway-version"] == b"v1"
        delta = rig.count()
        assert delta.routes[0].unnamed == 20
        assert not rig.arm("stable")
        assert {request.body for request in server.requests} == {body}


@pytest.mark.parametrize(
    "asked",
    [{"method": "GET"}, {"body": b"--x\r\n", "headers": ["Content-Type: multipart/form-data"]}],
)
async def test_what_has_no_place_for_a_name_goes_where_it_is_drawn(asked):
    async with Scripted(answers(ok())) as server, Rig(two(server, MODEL_B, 10_000)) as rig:
        assert (await rig.ask(**asked)).headers[b"x-rampway-version"] == b"v2"
        assert server.requests[0].body == asked.get("body", b"")


@pytest.mark.parametrize(
    ("edit", "route_path", "asked", "line"),
    [
        (EditEntry(path="/b/infer"), "/*", "/a/infer?x=1&y", b"POST /b/infer?x=1&y HTTP/1.1"),
        (EditEntry(path="/b/*", stem="/a/"), "/a/*", "/a/v/%41?q", b"POST /b/v/A?q HTTP/1.1"),
        (EditEntry(path="/b/*", stem="/a/"), "/a/*", "/%61/x%2Fy", b"POST /b/x%2Fy HTTP/1.1"),
    ],
)
async def test_a_path_of_its_own(edit, route_path, asked, line):
    match = MatchEntry(path=route_path)
    server = Scripted(answers(ok()))
    async with server, Rig(two(server, edit, 10_000, match=match)) as rig:
        assert (await rig.ask(path=asked, body=b"x")).status == 200
        assert server.requests[0].line == line


async def test_a_host_and_headers_of_its_own():
    edit = EditEntry(host="b.internal", headers=(("X-Tenant", "b"), ("X-Gone", "")))
    async with Scripted(answers(ok(), ok())) as server, Rig(two(server, edit, 10_000)) as rig:
        await rig.ask(body=b"x", headers=["x-tenant: a", "x-gone: 1", "X-Kept: 1"])
        (request,) = server.requests
        assert request.get(b"host") == b"b.internal"
        assert request.get(b"x-forwarded-host") == b"example.org"
        assert [value for name, value in request.headers if name.lower() == b"x-tenant"] == [b"b"]
        assert request.get(b"x-gone") is None
        assert request.get(b"x-kept") == b"1"


async def test_a_rescue_is_asked_in_the_words_of_stable():
    async def script(peer):
        while True:
            request = await peer.request()
            fails = json.loads(request.body)["model"] == "b"
            await peer.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" if fails else ok())

    async with Scripted(script) as server:
        entry = two(server, MODEL_B, 10_000, rescue=RESCUE)
        async with Rig(entry) as rig:
            assert (await rig.ask(body=CHAT)).status == 200
            assert [json.loads(one.body)["model"] for one in server.requests] == ["b", "mine"]


async def test_a_copy_is_asked_in_the_words_of_the_shadow():
    async with Scripted(answers(ok(), ok())) as server:
        entry = two(server, MODEL_B, 0, mirrors=(Mirror(1, 10_000),))
        async with Rig(entry) as rig:
            await rig.ask(body=CHAT)
            await rig.settled()
            by_shadow = {one.get(b"x-rampway-shadow"): one for one in server.requests}
            assert by_shadow[None].body == CHAT
            assert by_shadow[b"1"].body == CHAT.replace(b"mine", b"b")
