"""TLS towards clients and towards versions: verified, renewed without a restart, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import time
import warnings
from pathlib import Path

import pytest

from tests.reliability.certificates import Authority
from tests.reliability.whole import (
    Load,
    ask,
    in_thread,
    promised,
    read_answer,
    request,
    until,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


def trusting(authority):
    return ssl.create_default_context(cafile=authority.file)


def subject(port, context):
    """The common name that the listener shows to a client that verifies it."""
    import socket

    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        found = dict(pair[0] for pair in client.getpeercert()["subject"])
        return found["commonName"], client.version()


async def test_tls_for_clients_with_a_certificate_renewed_under_load(site, nursery, authority):
    pair = authority.signed("one", into="router")
    context = trusting(authority)
    top = f'tls: {{certificate: "{pair.certificate}", key: "{pair.key}"}}'
    router = await in_thread(nursery.start, site.write(top=top, rollout=None))

    assert (await ask(router.port, ssl=context))[0] == 200
    assert await in_thread(subject, router.port, context) == ("one", "TLSv1.3")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await ask(router.port)  # plain HTTP to a TLS port
    with pytest.raises(ssl.SSLCertVerificationError):
        await ask(router.port, ssl=ssl.create_default_context())
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(authority.file)
    with warnings.catch_warnings(action="ignore"):  # that it is out of date is the point
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await ask(router.port, ssl=old)

    kept_reader, kept_writer = await asyncio.open_connection("127.0.0.1", router.port, ssl=context)
    async with Load(router.port, kept=2, fresh=1, tls=context) as load:
        authority.signed("two", into="router")
        await in_thread(
            until, lambda: subject(router.port, context)[0] == "two", 5, "the new certificate"
        )
    kept_writer.write(request())
    assert (await read_answer(kept_reader))[0] == 200, "open connections go on"
    assert load.tally.lost == []
    await in_thread(until, lambda: router.heard("certificate_loaded"))

    Path(pair.key).write_text("no key\n")
    await in_thread(until, lambda: router.heard("certificate_rejected"))
    assert (await in_thread(subject, router.port, context))[0] == "two", "the old one stays"
    kept_writer.transport.abort()
    await in_thread(router.terminate)


async def _served_again(port, context):
    """Clients see the end of their connections before the router has stopped counting them."""
    deadline = time.monotonic() + promised(1.0)
    while True:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            assert (await ask(port, ssl=context))[0] == 200
            return
        assert time.monotonic() < deadline, "still refused"
        await asyncio.sleep(0.05)


async def test_r31_handshakes_count_against_the_connections_and_have_the_time_of_a_head(
    site, nursery, authority
):
    """Clients that begin a handshake and stop are bounded like those that go on."""
    pair = authority.signed("one", into="router")
    context = trusting(authority)
    top = f'tls: {{certificate: "{pair.certificate}", key: "{pair.key}"}}'
    limits = "5s, connections: 16, header_timeout: 2s"
    router = await in_thread(nursery.start, site.write(top=top, rollout=None, drain=limits))
    began = time.monotonic()
    stuck = [await asyncio.open_connection("127.0.0.1", router.port) for _ in range(16)]
    stuck[0][1].write(b"\x16\x03\x01")  # the beginning of a hello
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await ask(router.port, ssl=context)
    for reader, _ in stuck:
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    print(f"handshakes that stop are over after {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < promised(3.0)
    await _served_again(router.port, context)
    await in_thread(
        until, lambda: 'rejected_total{cause="connections"}' in router.api("/metrics")[1]
    )


async def test_tls_a_request_right_behind_the_handshake_and_a_drain(site, nursery, authority):
    """The first bytes of a client may arrive with the end of its handshake."""
    pair = authority.signed("one", into="router")
    top = f'tls: {{certificate: "{pair.certificate}", key: "{pair.key}"}}'
    router = await in_thread(nursery.start, site.write(top=top, rollout=None))
    for _ in range(20):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secured = trusting(authority).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        while True:
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65_536))
        secured.write(request(headers="Connection: close\r\n"))
        writer.write(outgoing.read())  # the Finished and the request, in one piece
        incoming.write(await reader.read(65_536))
        while True:
            try:
                said = secured.read(65_536)
                break
            except ssl.SSLWantReadError:
                incoming.write(await reader.read(65_536))
        assert said.startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()
    stuck = await asyncio.open_connection("127.0.0.1", router.port)
    assert await in_thread(router.terminate) == 0
    assert await stuck[0].read() == b""


async def test_tls_with_an_unusable_certificate_does_not_start(site):
    top = 'tls: {certificate: "/nowhere/cert.pem", key: "/nowhere/key.pem"}'
    site.write(top=top, rollout=None)
    life = site.start(wait=False)
    assert await in_thread(life.process.wait, 20) == 2
    said = life.log_file.read_text()
    assert ": tls.certificate: expected the readable file /nowhere/cert.pem, got: No such" in said
    assert ": tls.key: expected the readable file /nowhere/key.pem, got: No such file" in said


class TlsService:
    """A version that speaks TLS and says who called it."""

    def __init__(self, context):
        self.context = context
        self.callers = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.url = f"https://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        peer = writer.get_extra_info("peercert") or {}
        self.callers.append([value for ((key, value),) in peer.get("subject", ())])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()


def serving(authority, pair, *, demand=False):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    if demand:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.file)
    return context


ROUTES = """
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/r.db
routes:
  - {{name: good, match: {{path: /good}}, stable: v, versions: {{v: {{endpoints: ["{good}"],
      tls: {{ca: "{ca}", certificate: "{cert}", key: "{key}"}}}}}}}}
  - {{name: anonymous, match: {{path: /anonymous}}, stable: v, versions: {{v: {{
      endpoints: ["{good}"], tls: {{ca: "{ca}"}}}}}}}}
  - {{name: unknown, match: {{path: /unknown}}, stable: v, versions: {{v: {{
      endpoints: ["{good}"]}}}}}}
  - {{name: other, match: {{path: /other}}, stable: v, versions: {{v: {{endpoints: ["{other}"],
      tls: {{ca: "{ca}"}}}}}}}}
  - {{name: named, match: {{path: /named}}, stable: v, versions: {{v: {{endpoints: ["{other}"],
      tls: {{ca: "{ca}", server_name: models.example}}}}}}}}
"""


async def test_tls_towards_versions_is_verified_and_shows_a_certificate(site, nursery, authority):
    client = authority.signed("router-client")
    right = serving(authority, authority.signed("model"), demand=True)
    elsewhere = serving(authority, authority.signed("elsewhere", alt="DNS:models.example"))
    async with TlsService(right) as good, TlsService(elsewhere) as other:
        text = ROUTES.format(
            folder=site.folder, good=good.url, other=other.url, ca=authority.file,
            cert=client.certificate, key=client.key,
        )  # fmt: skip
        router = await in_thread(nursery.start, site.write(text))

        async def status(path):
            return (await ask(router.port, request(path, b"")))[0]

        assert await status("/good") == 200
        assert good.callers == [["router-client"]]
        assert await status("/anonymous") == 502, "the service demands a certificate"
        assert await status("/unknown") == 502, "no authority of ours signed it"
        assert await status("/other") == 502, "signed, but for another name"
        assert await status("/named") == 200
        assert (len(good.callers), len(other.callers)) == (1, 1)
        await in_thread(router.terminate)


async def test_tls_files_of_versions_that_are_gone(site, nursery, authority):
    """No start and no reload without them; what runs goes on with what it has read, and says so."""
    ca, service = site.folder / "models.pem", serving(authority, authority.signed("model"))
    async with TlsService(service) as good:
        text = ROUTES.format(
            folder=site.folder, good=good.url, other=good.url, ca=ca, cert="CERT", key="KEY"
        ).replace(', certificate: "CERT", key: "KEY"', "")
        policy = site.write(text)
        refused = nursery.start(policy, wait=False)
        await in_thread(refused.process.wait, 10)
        wrong = f"expected the readable file {ca}, got: No such file or directory"
        sentence = f": routes[0].versions.v.tls.ca: {wrong}"
        assert sentence in refused.log_file.read_text()

        shutil.copy(authority.file, ca)
        router = await in_thread(nursery.start, policy)
        ca.unlink()
        await in_thread(until, lambda: router.heard("policy_rejected"))
        status, told = await in_thread(router.api, "/api/v1/reload", "POST", {})
        assert status == 422
        problem = told["problems"][0]
        assert f": {problem['path']}: {problem['message']}" == sentence
        assert (await ask(router.port, request("/good", b"")))[0] == 200, (
            "read before it was needed"
        )
        assert router.api("/readyz")[0] == 200
        shutil.copy(authority.file, ca)
        assert (await in_thread(router.api, "/api/v1/reload", "POST", {}))[0] == 200
        await in_thread(router.terminate)
