"""Who is let in: roles, tokens, hosts, origins, content types (R43, R44)."""

from __future__ import annotations

import pytest

from router.admin.access import Access
from router.core.policy.server import Admin
from tests.admin.conftest import bearer, running

PROMOTE = "/api/v1/rollouts/flight-delay/promote"
VIEW = ["/metrics", "/api/v1/routes", "/api/v1/rollouts/flight-delay", "/api/v1/journal",
        "/api/v1/session", "/api/v1/whois?route=flight-delay&key=u1"]  # fmt: skip
OPERATE = [f"/api/v1/rollouts/flight-delay/{verb}" for verb in ("pause", "resume", "rollback")]
ADMINISTER = ["/api/v1/reload"]


@pytest.mark.parametrize("role", [None, "viewer", "operator", "admin"])
async def test_r43_every_role_may_do_exactly_what_it_may(guarded, role):
    headers = bearer(role) if role else {}
    rank = ["viewer", "operator", "admin"].index(role) if role else -1
    for paths, needed, method in ((VIEW, 0, "get"), (OPERATE, 1, "post"), (ADMINISTER, 2, "post")):
        for path in paths:
            answer = await getattr(guarded, method)(path, **headers)

            expected = 401 if rank < 0 else 403 if rank < needed else 200
            assert expected == answer.status, (role, path, await answer.text())


async def test_r43_a_wrong_token_is_401_with_a_challenge_and_no_echo(guarded):
    answer = await guarded.get("/api/v1/routes", Authorization="Bearer nobody-knows-this-one")

    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "nobody-knows" not in await answer.text()
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic dTpw", "operator-secret"])
async def test_r43_other_credentials_are_401(guarded, value):
    assert (await guarded.get("/api/v1/routes", Authorization=value)).status == 401


async def test_r43_health_is_for_everybody_but_tells_strangers_nothing(guarded):
    guarded.controller.ok = False

    stranger = await guarded.get("/healthz")
    viewer = await guarded.get("/healthz", **bearer("viewer"))

    assert (stranger.status, await stranger.json()) == (503, {"ok": False})
    assert (viewer.status, (await viewer.json())["problems"]) == (503, ["store: disk full"])


async def test_r43_without_tokens_everybody_on_the_machine_may_do_everything(site):
    assert (await site.post(PROMOTE)).status == 200
    assert (await site.post("/api/v1/reload")).status == 200


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "10.0.0.1:8081", "router.example:8081", "[::]:1"])
def test_r43_a_listener_others_can_reach_needs_tokens_and_tls(listen):
    unchecked = Admin.model_construct(listen=listen, tokens=(), tls=None, hosts=())

    with pytest.raises(ValueError, match="tokens and TLS"):
        Access(unchecked)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "10.1.2.3", "localhost.evil",
     "user@localhost", "local host", "[::1", "localhost/x"],
)  # fmt: skip
async def test_r44_a_foreign_host_is_refused(site, host):
    for method, path in (("GET", "/api/v1/routes"), ("POST", PROMOTE)):
        answer = await site.raw(method, path, b"{}", Host=host, Content_Type="application/json")

        assert answer.status == 421, host
    assert not site.controller.orders


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "127.9.9.9:1", "[::1]"])
async def test_r44_names_of_this_machine_are_accepted(site, host):
    assert (await site.get("/api/v1/routes", Host=host)).status == 200


async def test_r44_listed_names_and_addresses_are_accepted_with_tokens(guarded):
    for host, expected in (("ops.example:8081", 200), ("10.1.2.3", 200), ("evil.example", 421)):
        answer = await guarded.get("/api/v1/routes", Host=host, **bearer("viewer"))

        assert expected == answer.status, host


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
async def test_r44_pages_of_other_origins_are_refused(site, headers):
    assert (await site.post(PROMOTE, **headers)).status == 403
    assert (await site.get("/api/v1/routes", **headers)).status == 403
    assert not site.controller.orders


async def test_r44_the_dashboards_own_origin_is_accepted(site):
    own = {"Origin": site.server.url, "Sec_Fetch_Site": "same-origin"}

    assert (await site.post(PROMOTE, **own)).status == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", None],
)
async def test_r44_what_a_form_can_send_is_refused(site, content_type):
    headers = {"Content_Type": content_type} if content_type else {}
    answer = await site.raw("POST", PROMOTE, b"{}", **headers)

    assert answer.status == 415
    assert not site.controller.orders


async def test_r44_no_get_changes_anything(site):
    before = site.controller.state
    for verb in ("promote", "pause", "abort", "rollback"):
        answer = await site.get(f"/api/v1/rollouts/flight-delay/{verb}")

        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    for path in ("/api/v1/reload", "/api/v1/freeze"):
        assert (await site.get(path)).status == 405
    assert before == site.controller.state


async def test_every_answer_is_protected_against_framing_and_inline_code(site):
    for path in ("/", "/healthz", "/nowhere", "/api/v1/routes"):
        answer = await site.get(path)

        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_tokens_can_be_replaced_while_running():
    from tests.admin.conftest import TOKENS

    async with running(Admin(listen="127.0.0.1:0", tokens=TOKENS)) as site:
        assert (await site.get("/api/v1/routes", **bearer("viewer"))).status == 200

        site.server.update(Admin(listen="127.0.0.1:0", tokens=TOKENS[1:]))

        assert (await site.get("/api/v1/routes", **bearer("viewer"))).status == 401
        assert (await site.get("/api/v1/routes", **bearer("operator"))).status == 200
