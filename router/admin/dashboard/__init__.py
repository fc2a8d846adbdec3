"""The dashboard's files, with those of the drawing kit: no build step, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

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


def _entries() -> Iterator[Traversable]:
    kit = files("router.drawing")
    for folder in (files(__name__), kit, kit / "vendored"):
        yield from folder.iterdir()


def _read() -> dict[str, File]:
    found = {}
    for entry in _entries():
        content_type = TYPES.get(entry.name.rpartition(".")[2])
        if content_type is not None:
            body = entry.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            found[entry.name] = File(body, content_type, etag)
    return found


FILES: dict[str, File] = _read()
"""By name; nothing else can be asked for, so no path is ever joined from a request."""
