"""Calls by https: whom they believe, and when that is read."""

from __future__ import annotations

import shutil
import ssl

import aiohttp
import pytest
from aiohttp import web

from router.control.outside.outside import NO_ANSWER, outside_session, post, system_trust
from tests.reliability.certificates import Authority

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates")


@pytest.fixture
async def secure(tmp_path):
    """A server that this machine believes once ``SSL_CERT_FILE`` says so: URL and authority."""
    authority = Authority(tmp_path)
    pair = authority.signed("hook")
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(pair.certificate, pair.key)

    async def taken(_request):
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", taken)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=shown)
    await site.start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/", authority.file
    await runner.cleanup()


@pytest.fixture(autouse=True)
def unread():
    system_trust.cache_clear()
    yield
    system_trust.cache_clear()


async def test_who_the_machine_believes_is_read_when_somebody_is_called(secure, monkeypatch):
    url, authority = secure
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    async with outside_session() as session:
        assert system_trust().cert_store_stats()["x509"] == 0
        for _ in range(2):
            assert await post(session, url, {}, headers={}, timeout_s=20) == 204
            assert system_trust().cert_store_stats()["x509"] >= 1


async def test_a_stranger_is_called_by_nobody(secure):
    url, _ = secure
    async with outside_session() as session:
        with pytest.raises(NO_ANSWER) as failed:
            await post(session, url, {}, headers={}, timeout_s=20)
    assert isinstance(failed.value, aiohttp.ClientConnectorCertificateError)


async def test_a_name_that_a_certificate_does_not_have_is_refused(secure, monkeypatch):
    url, authority = secure
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    named = url.replace("127.0.0.1", "localhost")
    async with outside_session() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await post(session, named, {}, headers={}, timeout_s=20)
