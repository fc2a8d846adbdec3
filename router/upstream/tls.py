"""TLS contexts for connections to a version."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.core.wire.table import TlsEntry, VersionEntry


@lru_cache(maxsize=256)
def client_context(tls: TlsEntry) -> ssl.SSLContext:
    """A context that verifies as the policy says; made once per distinct setting.

    Raises OSError (ssl.SSLError) when a named file is missing or no PEM.
    """
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if tls.cert_file:
        # Without a password OpenSSL would ask for that of an encrypted key at the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    return context


def keep_context(version: VersionEntry) -> None:
    """Read the files that a version names before they are needed: then they may vanish.

    What cannot be read fails each connection, which says so.
    """
    tls = version.tls
    if (tls.ca_file or tls.cert_file) and any(one.tls for one in version.endpoints):
        with suppress(OSError):
            client_context(tls)
