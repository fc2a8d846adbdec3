"""Who asks a pool for a connection, and what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from router.upstream.connection import Connection, Endpoint
    from router.upstream.failure import Failure


class Waiter(Protocol):
    """Who asked for a connection and did not get one at once."""

    @property
    def batch(self) -> bool:
        """Whether it makes room for one that is not, where the queue is full."""

    def on_turn(self, since: float, /) -> None:
        """It is out of the queue, where it was since then (monotonic), however this goes on."""

    def on_connection(self, connection: Connection, /) -> None:
        """Here it is; the waiter uses it at once."""

    def on_unavailable(self, failure: Failure, endpoint: Endpoint | None, /) -> None:
        """There will be none; ``endpoint``: the one that was tried and could not be reached."""


class Unavailable(Exception):  # noqa: N818  # a state of the version, not an error of the program
    """No connection, and no use in waiting."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.name)
        self.failure = failure
