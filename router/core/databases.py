"""URLs of databases, as policies have them and people may see them."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, urlsplit

POSTGRES_URLS: Final = ("postgresql://", "postgres://")
"""How a place in PostgreSQL begins; anything else is a file."""
POSTGRES_FORM: Final = "postgresql://USER@HOST/DATABASE"

POSTGRES_STORE: Final = "a store in PostgreSQL needs asyncpg: pip install 'rampway[postgres]'"
"""Where the driver of the store is missing."""


def named(url: str) -> str:
    """A URL as it may be shown: without a password, and what is behind its question mark."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"


def fault(url: str) -> str:
    """What is wrong with a URL of a database that everybody may read; empty for a good one."""
    try:
        parts = urlsplit(url)
        whole = bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole:
        return f"expected {POSTGRES_FORM}, with the name of a database at its end"
    if parts.password is not None or "password" in parse_qs(parts.query):
        return "expected a URL without a password, which PGPASSFILE or PGPASSWORD has"
    return ""
