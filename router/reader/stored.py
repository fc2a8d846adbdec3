"""Requests of the prediction log as they were sent, to be sent once more.

Only those that a route keeps whole are here (``log: {bodies: true}``, nothing redacted), that
stable answered, in the order in which they were logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from router.reader.export import reading

PAGE: Final = 200
"""Requests that are in memory at once."""


class StoredRequest(NamedTuple):
    """One request with stable's answer to it."""

    id: int
    """Its place in the log."""
    request_id: str
    at: float
    """Arrival, seconds since 1970."""
    segment: str
    head: bytes
    body: bytes
    status: int
    """0: stable gave no whole answer."""
    seconds: float
    answer: bytes
    coding: str


class StoredPast(NamedTuple):
    """What is known of stable from the same rows, for gates that begin with its past."""

    status: int
    error: str
    seconds: float


_WHOLE: Final = (
    "route = ? AND version = ? AND role <> 'shadow' AND row = 0 AND head IS NOT NULL "
    "AND request IS NOT NULL AND answer IS NOT NULL AND id > ?"
)
_NAMES: Final = (
    "id, request_id, time, segment, head, request, status, latency_s, answer, coding"
)  # fmt: skip


def stored(
    place: str, route: str, version: str, *, after: int = 0, most: int
) -> Iterator[StoredRequest]:
    """Those that ``version`` answered, beyond the id ``after``. Raises BookError."""
    with reading(place) as db:
        while most > 0:
            page = db.execute(
                f"SELECT {_NAMES} FROM predictions WHERE {_WHOLE} ORDER BY id LIMIT ?",  # noqa: S608 - of constants
                (route, version, after, min(most, PAGE)),
            ).fetchall()
            for id_, request_id, at, segment, head, body, status, seconds, answer, coding in page:
                yield StoredRequest(
                    id_, request_id, at, segment, bytes(head), bytes(body), status, seconds,
                    bytes(answer), coding,
                )  # fmt: skip
                after = id_
            if len(page) < min(most, PAGE):
                return
            most -= len(page)


def pasts(place: str, route: str, version: str, *, most: int) -> list[StoredPast]:
    """How the first of them ended. Raises BookError."""
    with reading(place) as db:
        found = db.execute(
            f"SELECT status, error, latency_s FROM predictions WHERE {_WHOLE} "  # noqa: S608 - of constants
            "ORDER BY id LIMIT ?", (route, version, 0, most),
        )  # fmt: skip
        return [StoredPast(*one) for one in found]


def bare(place: str, route: str) -> int:
    """Requests of the route that were kept without what could be sent. Raises BookError."""
    with reading(place) as db:
        return int(db.execute(
            "SELECT count(*) FROM predictions WHERE route = ? AND role <> 'shadow' AND row = 0 "
            "AND head IS NULL", (route,),
        ).fetchone()[0])  # fmt: skip
