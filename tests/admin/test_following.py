"""The admin interface of a router that follows: its own words, and the leader's passed on."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from router.admin.following import PASSED_BY, Following
from router.control.told.answers import HealthView, ReadyView
from router.core.policy.server import Admin
from tests.admin.conftest import TOKENS, bearer, running
from tests.admin.fake_controller import ROUTE
from tests.admin.test_tls import certificate

ORDER = f"/api/v1/rollouts/{ROUTE}/pause"


class Says:
    """A router that follows ``leader``."""

    name, network = "b", "here"

    def __init__(self, leader):
        self.leader = leader

    def health(self):
        return HealthView(ok=True, problems=[], replica="b")

    def ready(self):
        return ReadyView(ok=True, problems=[], generation=7)

    async def metrics_text(self, *, openmetrics=False):
        return "rampway_leads 0\n"


def led_by(url, network="here"):
    return SimpleNamespace(name="a", admin=url, network=network)


@asynccontextmanager
async def follower(leader, policy=None):
    following = Following(Says(leader))
    policy = policy or Admin(listen="127.0.0.1:0", tokens=TOKENS)
    async with running(policy, following=following) as site:
        yield site


@pytest.fixture
async def pair():
    """A leader with tokens, and who follows it."""
    async with (
        running(Admin(listen="127.0.0.1:0", tokens=TOKENS)) as leader,
        follower(led_by(leader.server.url)) as site,
    ):
        yield leader, site


async def test_what_it_knows_itself_is_its_own(pair):
    _, site = pair
    assert await (await site.get("/healthz")).json() == {"ok": True}
    assert (await (await site.get("/healthz", **bearer("viewer"))).json())["replica"] == "b"
    assert (await (await site.get("/readyz", **bearer("viewer"))).json())["generation"] == 7
    assert await (await site.get("/metrics", **bearer("viewer"))).text() == "rampway_leads 0\n"
    assert (await site.get("/metrics")).status == 401
    assert (await site.get("/")).content_type == "text/html"
    assert (await site.get("/static/nothing.js")).status == 404
    assert (await (await site.get("/api/v1/session", **bearer("operator"))).json())["open"] is False


async def test_views_and_orders_are_the_leaders_with_the_same_rights(pair):
    leader, site = pair
    mine, its = [
        await (await one.get(f"/api/v1/rollouts/{ROUTE}", **bearer("viewer"))).json()
        for one in (site, leader)
    ]
    assert mine == its
    assert (await site.get("/api/v1/routes")).status == 401
    assert (await site.post(ORDER, **bearer("viewer"))).status == 403
    said = await site.post(ORDER, {"reason": "x"}, **bearer("operator"))
    assert said.status == 200
    assert said.headers["ETag"]
    entries = (await (await leader.get("/api/v1/journal", **bearer("viewer"))).json())["entries"]
    assert entries[0]["actor"] == "the-operator"
    assert (await site.post(ORDER, {"novelty": 1}, **bearer("operator"))).status == 422
    stale = {**bearer("operator"), "If-Match": '"1"'}
    assert (await site.post(ORDER, **stale)).status == 412
    assert (await site.get("/api/v1/openapi.json")).status == 200


async def test_a_request_with_the_whole_url_is_passed_on_by_its_path(pair):
    _, site = pair
    host, port = site.server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = "/api/v1/journal?limit=1"
    token = bearer("viewer")["Authorization"]
    writer.write(
        f"GET {site.server.url}{path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {token}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    said = await reader.read()
    writer.close()
    assert said.startswith(b"HTTP/1.1 200 OK\r\n"), said


async def test_health_that_pages_show_is_the_leaders_even_where_it_is_not_ok(pair):
    leader, site = pair
    leader.controller.ok = False
    answer = await site.get("/api/v1/health", **bearer("viewer"))
    assert answer.status == 200
    assert (await answer.json())["problems"] == ["store: disk full"]
    assert (await (await site.get("/healthz", **bearer("viewer"))).json())["problems"] == []
    assert (await site.get("/api/v1/health")).status == 401


async def test_a_token_that_the_leader_does_not_know_is_refused_there():
    async with (
        running(Admin(listen="127.0.0.1:0", tokens=TOKENS[:1])) as leader,
        follower(led_by(leader.server.url)) as site,
    ):
        assert (await site.post(ORDER, **bearer("operator"))).status == 401


async def test_events_are_passed_on_as_they_happen(pair):
    leader, site = pair
    url = site.server.url + "/api/v1/events"
    async with asyncio.timeout(20), site.client.get(url, headers=bearer("viewer")) as stream:
        assert stream.content_type == "text/event-stream"
        async for line in stream.content:
            if line.startswith(b"event: snapshot"):
                break
        await leader.server.close()
        while await stream.content.read(65_536):
            pass  # it ends here as it ended there


@pytest.mark.parametrize(
    ("leader", "code", "says"),
    [
        (None, "no_leader", "no router leads"),
        (led_by("http://127.0.0.1:1", "there"), "not_leader", "only its own machine"),
        (led_by("https://10.255.255.1:8081"), "not_leader", "no certificate"),
        (led_by("http://10.255.255.1:8081"), "not_leader", "without TLS"),
        (led_by("http://127.0.0.1:1"), "not_leader", "cannot be reached"),
    ],
)
async def test_where_nothing_may_be_passed_on_it_says_where_to_go(leader, code, says):
    async with follower(leader) as site:
        answer = await site.post(ORDER, **bearer("operator"))
        told = await answer.json()
        assert (answer.status, told["code"]) == (503, code)
        assert says in told["detail"]
        if leader is not None:
            assert f"b follows a, which answers this: ask it at {leader.admin}" in told["detail"]


async def test_nothing_is_passed_on_twice(pair):
    _, site = pair
    answer = await site.get("/api/v1/routes", **bearer("viewer"), **{PASSED_BY: "c"})
    assert (answer.status, (await answer.json())["code"]) == (503, "no_leader")


async def test_who_answers_nothing_leaves_an_order_unknown():
    async def hang_up(_reader, writer):
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, follower(led_by(f"http://127.0.0.1:{port}")) as site:
        answer = await site.post(ORDER, **bearer("operator"))
        assert answer.status == 504
        assert "may be in force" in (await answer.json())["detail"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates")
async def test_over_tls_only_who_shows_the_same_certificate_gets_the_token(tmp_path):
    for name in ("ours", "other"):
        (tmp_path / name).mkdir()
    ours, other = (certificate(tmp_path / name, "same") for name in ("ours", "other"))
    async with running(Admin(listen="127.0.0.1:0", tokens=TOKENS, tls=ours)) as leader:
        for mine, status in ((ours, 200), (other, 503)):
            policy = Admin(listen="127.0.0.1:0", tokens=TOKENS, tls=mine)
            async with follower(led_by(leader.server.url), policy) as site:
                url = site.server.url + "/api/v1/routes"
                headers = bearer("viewer")
                async with site.client.get(url, headers=headers, ssl=False) as answer:
                    told = await answer.json()
            assert answer.status == status
        assert "another certificate" in told["detail"]


async def test_it_leads_and_follows_at_the_same_address(pair):
    leader, site = pair
    server = site.server
    server.lead(leader.controller)
    assert "rampway_leads 0" not in await (await site.get("/metrics", **bearer("viewer"))).text()
    assert await server.follow()
    assert await (await site.get("/metrics", **bearer("viewer"))).text() == "rampway_leads 0\n"
