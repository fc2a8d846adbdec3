"""Certificates for tests: an authority, servers, clients. Needs the program openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: str
    key: str


class Authority:
    """Signs certificates for 127.0.0.1; its own certificate is ``file``."""

    def __init__(self, folder: Path, name: str = "ca"):
        self.folder = folder
        self.file, self._key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
        _openssl("req", "-x509", *CURVE, "-days", "2", "-subj", f"/CN={name}",
                 "-keyout", self._key, "-out", self.file)  # fmt: skip

    def signed(self, name: str, into: str = "", alt: str = "IP:127.0.0.1") -> Pair:
        """A pair with ``name`` as its subject, written over the files of ``into``."""
        base = self.folder / (into or name)
        pair = Pair(f"{base}.pem", f"{base}.key")
        request = f"{base}.csr"
        _openssl("req", *CURVE, "-subj", f"/CN={name}", "-keyout", pair.key, "-out", request)
        extensions = Path(f"{base}.ext")
        extensions.write_text(f"subjectAltName={alt}\n")
        _openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key,
                 "-CAcreateserial", "-days", "1", "-extfile", str(extensions),
                 "-out", pair.certificate)  # fmt: skip
        return pair
