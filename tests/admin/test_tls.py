"""The admin interface over TLS, and a certificate that is replaced while it runs."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess

import pytest

from router.core.policy.server import Admin, Certificate
from tests.admin.conftest import TOKENS, bearer, running

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates")


def certificate(folder, name: str) -> Certificate:
    """A self-signed certificate for 127.0.0.1 with ``name`` as its subject."""
    made = Certificate(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem"))
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", made.key, "-out", made.certificate,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return made


async def test_a_listener_that_others_can_reach_answers_over_tls(tmp_path):
    policy = Admin(listen="0.0.0.0:0", tokens=TOKENS, tls=certificate(tmp_path, "one"))
    async with running(policy) as site:
        context = ssl.create_default_context(cafile=policy.tls.certificate)
        url = site.server.url.replace("0.0.0.0", "127.0.0.1") + "/api/v1/routes"

        async with site.client.get(url, ssl=context, headers=bearer("viewer")) as answer:
            assert answer.status == 200
        async with site.client.get(url, ssl=context) as answer:
            assert answer.status == 401


async def _subject(port: int) -> str:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return "one" if b"one" in raw else "two"


async def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path):
    policy = Admin(listen="127.0.0.1:0", tokens=TOKENS, tls=certificate(tmp_path, "one"))
    async with running(policy) as site:
        assert await _subject(site.server.port) == "one"

        site.server.update(policy.model_copy(update={"tls": certificate(tmp_path, "two")}))

        assert await _subject(site.server.port) == "two"


async def test_a_broken_certificate_changes_nothing(tmp_path):
    policy = Admin(listen="127.0.0.1:0", tokens=TOKENS, tls=certificate(tmp_path, "one"))
    async with running(policy) as site:
        missing = Certificate(certificate=str(tmp_path / "none"), key=str(tmp_path / "none"))
        with pytest.raises(OSError, match="No such file"):
            site.server.update(policy.model_copy(update={"tls": missing, "tokens": ()}))

        assert await _subject(site.server.port) == "one"
        assert not site.server._access.open
