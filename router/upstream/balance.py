"""Which endpoint next: orders of preference, as iterators so that a retry takes the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from router.upstream.endpoint import Endpoint


def round_robin(endpoints: Sequence[Endpoint], turn: int) -> Iterator[Endpoint]:
    """Each in its turn: call number ``turn`` begins one further than the call before it."""
    count = len(endpoints)
    for step in range(count):
        yield endpoints[(turn + step) % count]


def least_in_flight(endpoints: Sequence[Endpoint], turn: int) -> Iterator[Endpoint]:
    """The least busy first; equals in turn, so that an idle service is loaded evenly.

    Counting what is in flight follows slow endpoints within one answer time, which matters for
    models: one that pages or throttles gets less without anybody measuring latencies.
    """
    yield from sorted(round_robin(endpoints, turn), key=_in_flight)


def _in_flight(endpoint: Endpoint) -> int:
    return endpoint.in_flight


BALANCES: Final[dict[str, Callable[[Sequence[Endpoint], int], Iterator[Endpoint]]]] = {
    "least_in_flight": least_in_flight,
    "round_robin": round_robin,
}
"""By the name a policy gives."""
