"""R43-R45: who may give orders, from where, and where the router itself may be sent."""

from __future__ import annotations

import re
import shutil
import socket
import ssl

import pytest

from router.config import PolicyError, loads
from router.core.wire.endpoint import EndpointEntry as Address
from router.upstream.names import addresses
from tests.reliability.certificates import Authority
from tests.reliability.whole import call, policy_text, until

TOKENS = {
    "viewer": "viewer-secret-0123456789",
    "operator": "operator-secret-0123456789",
    "admin": "admin-secret-0123456789",
}
ADMIN = 'admin: {{listen: "127.0.0.1:0", tokens: [{tokens}]{more}}}'


def guarded(folder, services, tokens=None, more=""):
    """A policy whose tokens are in files."""
    listed = []
    for role, secret in (tokens or TOKENS).items():
        (folder / f"{role}.token").write_text(secret + "\n")
        listed.append(f'{{name: {role}, role: {role}, token: "${{file:{folder}/{role}.token}}"}}')
    text = policy_text(folder, services)
    return re.sub(r"admin: .*", ADMIN.format(tokens=", ".join(listed), more=more), text)


@pytest.fixture(scope="module")
def router(shared, nursery):
    shared.write(guarded(shared.folder, shared.services))
    return nursery.start(shared)


def bearer(role):
    return {"Authorization": f"Bearer {TOKENS[role]}"} if role else {}


READ, OPERATE, RULE = 0, 1, 2
RANK = {None: -1, "viewer": READ, "operator": OPERATE, "admin": RULE}
WHAT = [
    ("GET", "/metrics", None, READ), ("GET", "/api/v1/routes", None, READ),
    ("GET", "/api/v1/rollouts/flights", None, READ), ("GET", "/api/v1/journal", None, READ),
    ("POST", "/api/v1/rollouts/flights/pause", {}, OPERATE),
    ("POST", "/api/v1/rollouts/flights/resume", {}, OPERATE),
    ("POST", "/api/v1/reload", {}, RULE), ("POST", "/api/v1/freeze", {"frozen": False}, RULE),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("role", RANK)
def test_r43_every_role_may_do_what_it_may_and_no_more(router, role):
    for method, path, body, needed in WHAT:
        status, said = router.api(path, method, body, bearer(role))
        expected = 401 if role is None else 200 if RANK[role] >= needed else 403
        assert status == expected, (method, path, said)
        for secret in TOKENS.values():
            assert secret not in str(said)


@pytest.mark.slow
def test_r43_a_wrong_token_is_refused_and_never_written(router):
    for wrong in ("wrong-token-0123456789", TOKENS["admin"][:-1], TOKENS["admin"] + "x", "ü" * 20):
        headers = {"Authorization": f"Bearer {wrong}".encode().decode("latin-1")}
        status, said = router.api("/api/v1/reload", "POST", {}, headers)
        assert status == 401
        assert wrong not in str(said)
    assert not any(secret in router.log_file.read_text() for secret in TOKENS.values())


@pytest.mark.slow
def test_r43_tokens_follow_an_edited_policy(router, shared):
    """A token that leaves the policy is worth nothing from the next request on."""
    fewer = {role: TOKENS[role] for role in ("admin", "viewer")}
    shared.file.write_text(guarded(shared.folder, shared.services, fewer))
    assert router.api("/api/v1/reload", "POST", {}, bearer("admin"))[0] == 200
    assert router.api("/api/v1/routes", headers=bearer("operator"))[0] == 401
    (shared.folder / "viewer.token").write_text("another-secret-0123456789\n")
    assert router.api("/api/v1/reload", "POST", {}, bearer("admin"))[0] == 200
    assert router.api("/api/v1/routes", headers=bearer("viewer"))[0] == 401
    changed = {"Authorization": "Bearer another-secret-0123456789"}
    assert router.api("/api/v1/routes", headers=changed)[0] == 200
    shared.file.write_text(guarded(shared.folder, shared.services))
    assert router.api("/api/v1/reload", "POST", {}, bearer("admin"))[0] == 200
    assert router.api("/api/v1/routes", headers=bearer("operator"))[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_r43_no_listener_for_others_without_tokens_and_tls(site, nursery, listen):
    text = policy_text(site.folder, site.services)
    text = text.replace('admin: {listen: "127.0.0.1:0"}', f'admin: {{listen: "{listen}"}}')
    life = nursery.start(site.write(text), wait=False)
    until(lambda: life.process.poll() is not None, 10)
    assert "expected tokens and tls" in life.log_file.read_text()
    assert life.heard("serving") is None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates")
def test_r43_a_renewed_admin_certificate_is_shown_by_itself(site, nursery):
    authority = Authority(site.folder)
    pair = authority.signed("one", into="admin")
    more = f', tls: {{certificate: "{pair.certificate}", key: "{pair.key}"}}'
    router = nursery.start(site.write(guarded(site.folder, site.services, more=more)))
    assert router.admin.startswith("https://")
    context = ssl.create_default_context(cafile=authority.file)
    port = int(router.admin.rpartition(":")[2])

    def subject():
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
        ):
            return dict(pair[0] for pair in client.getpeercert()["subject"])["commonName"]

    assert subject() == "one"
    authority.signed("two", into="admin")
    until(lambda: subject() == "two", 5, "the new certificate")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "localhost.evil.example:80"}, 421),
    ],
)
def test_r44_pages_and_rebound_names_give_no_orders(router, headers, status):
    before = _revision(router)
    sent = bearer("operator") | headers
    assert router.api("/api/v1/rollouts/flights/pause", "POST", {}, sent)[0] == status
    assert _revision(router) == before


@pytest.mark.slow
def test_r44_nothing_changes_by_get_and_there_are_no_cookies(router):
    before = _revision(router)
    for name in ("promote", "pause", "rollback", "abort", "retry"):
        path = f"/api/v1/rollouts/flights/{name}"
        assert router.api(path, headers=bearer("admin"))[0] == 405
    for path in ("/api/v1/reload", "/api/v1/freeze"):
        assert router.api(path, headers=bearer("admin"))[0] == 405
    assert _revision(router) == before
    with socket.create_connection(("127.0.0.1", int(router.admin.rpartition(":")[2])), 5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert b"200 OK" in answer
    assert b"set-cookie" not in answer.lower()


def _revision(router):
    return router.api("/api/v1/rollouts/flights", headers=bearer("viewer"))[1]["revision"]


REFUSED = (
    "http://169.254.169.254:80", "http://metadata.google.internal:80", "http://[fe80::1]:80",
    "http://user:password@10.0.0.1:80", "http://10.0.0.1:80/path", "http://10.0.0.1:80#part",
    "http://10.0.0.1:80?query", "ftp://10.0.0.1:21", "http://2130706433:80", "http://0x7f.1:80",
    "http://127.1:80", "http://0177.0.0.1:80", "http://10.0.0.1", "http://0.0.0.0:80",
    "http://[::ffff:169.254.169.254]:80", "http://100.100.100.200:80", "gopher://10.0.0.1:70",
    "file:///etc/passwd", "http://10.0.0.1:80\\r\\nX: y", "http://[::]:80",
)  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_r45_endpoints_that_are_no_prediction_service_are_refused(url):
    with pytest.raises(PolicyError) as refused:
        loads(
            "routes: [{name: r, stable: v, versions: {v: {endpoints: "
            f'["{url}"]}}}}}}]\n'.replace("}}}}", "}}")
        )
    assert any("endpoints" in str(problem.path) for problem in refused.value.problems)


@pytest.mark.parametrize("found", ["169.254.169.254", "fe80::1%lo", "100.100.100.200", "0.0.0.0"])
async def test_r45_a_name_that_is_pointed_elsewhere_is_refused_when_connecting(monkeypatch, found):
    import asyncio

    async def resolves(host, port, **_):
        family = socket.AF_INET6 if ":" in found else socket.AF_INET
        good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        return [good, (family, socket.SOCK_STREAM, 6, "", (found, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolves)
    assert Address("models.example", 80)
    with pytest.raises(PermissionError, match=r"models\.example is at"):
        await addresses("models.example")


async def test_r45_a_name_of_this_machine_is_connected_to():
    assert set(await addresses("localhost")) & {"127.0.0.1", "::1"}
    assert await addresses("127.0.0.1") == ("127.0.0.1",)


def _is_closed(client):
    try:
        return client.recv(1) == b""
    except ConnectionResetError:  # there were bytes that nobody read
        return True


@pytest.mark.slow
def test_slow_heads_hold_the_admin_listener_up_for_nobody(router):
    """R29's shape on the admin port: of connections without a whole head the oldest give way."""
    port = int(router.admin.rpartition(":")[2])
    held = []
    for _ in range(300):
        client = socket.create_connection(("127.0.0.1", port), 5)
        client.sendall(b"GET /api/v1/routes HTTP/1.1\r\nHost: local")
        held.append(client)
    assert call(router.admin + "/healthz")[0] == 200
    assert _is_closed(held[0]), "the oldest gave way"
    for client in held:
        client.close()
