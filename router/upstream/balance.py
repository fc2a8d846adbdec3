"""Which endpoint next: an order of preference, so that a retry takes the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from router.upstream.connection import Endpoint


def least_in_flight(endpoints: Sequence[Endpoint], turn: int) -> Iterator[Endpoint]:
    """The least busy first; equals in turn, so that an idle service is loaded evenly.

    Counting what is in flight follows slow endpoints within one answer time, which matters for
    models: one that pages or throttles gets less without anybody measuring latencies.
    """
    first = turn % len(endpoints) if endpoints else 0
    yield from sorted([*endpoints[first:], *endpoints[:first]], key=_in_flight)


def _in_flight(endpoint: Endpoint) -> int:
    return endpoint.in_flight
