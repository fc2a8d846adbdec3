"""The dashboard's files: plain HTML, CSS and JavaScript, no build step, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is served."""

    body: bytes
    content_type: str
    etag: str


def _read() -> dict[str, File]:
    found = {}
    for entry in files(__name__).iterdir():
        content_type = TYPES.get(entry.name.rpartition(".")[2])
        if content_type is not None:
            body = entry.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            found[entry.name] = File(body, content_type, etag)
    return found


FILES: dict[str, File] = _read()
"""By name; nothing else can be asked for, so no path is ever joined from a request."""
