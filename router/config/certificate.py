"""The certificate a listener shows, loaded again when its files change.

Certificates are renewed in place every few weeks, and a listener that has to be restarted for it is
one that is forgotten. Connections that are open keep what they began with.
"""

from __future__ import annotations

import ssl
from typing import Final

from router.config.files import read_at_most

PEM_BYTES_MAX: Final = 1_048_576
"""Certificate chains have some kilobytes."""


class ServerCertificate:
    """A TLS server context for a pair of PEM files; :meth:`refresh` follows their content.

    Raises OSError or ssl.SSLError (one of its kinds) for files that cannot be used.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self.certificate = certificate
        self.key = key
        self._seen = self._content()
        self.context = self._loaded()

    def __repr__(self) -> str:
        return f"<ServerCertificate {self.certificate}>"

    def refresh(self) -> bool:
        """Whether there was another certificate, which new connections now get.

        Raises OSError once for every content that cannot be used; the old certificate stays.
        """
        try:
            content = self._content()
        except OSError:
            if self._seen == (b"", b""):
                return False
            self._seen = (b"", b"")
            raise
        if content == self._seen:
            return False
        self._seen = content
        # A context that refuses a key has taken the certificate already: try on another first.
        self._loaded()
        self.context.load_cert_chain(self.certificate, self.key, password="")
        return True

    def replace(self, certificate: str, key: str) -> None:
        """Show the certificate of other files from now on. Raises OSError and changes nothing."""
        if (certificate, key) != (self.certificate, self.key):
            ServerCertificate(certificate, key)
            self.certificate, self.key = certificate, key
            self._seen = (b"", b"")
        self.refresh()

    def _content(self) -> tuple[bytes, bytes]:
        return (
            read_at_most(self.certificate, PEM_BYTES_MAX),
            read_at_most(self.key, PEM_BYTES_MAX),
        )

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # Without a password OpenSSL would ask for that of an encrypted key at the terminal.
        context.load_cert_chain(self.certificate, self.key, password="")
        return context
