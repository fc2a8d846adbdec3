"""What the control plane needs of those who carry its traffic, wherever they run.

:class:`~router.control.fleet.workers.Workers`, processes of this machine, are one implementation,
and nothing of the control plane but :mod:`router.control.plane`, which makes them, knows that. A
fleet reports by the callables that it is made with; it decides nothing.
"""

from __future__ import annotations

from typing import Protocol

from router.core.wire.table import RoutingTable


class Fleet(Protocol):
    """Applies tables, and says how far it is."""

    @property
    def listen(self) -> str:
        """Where clients are served, ``host:port``."""

    async def bind(self) -> None:
        """Take the address for clients. Raises OSError."""

    async def start(self) -> None:
        """Begin to serve by the newest table; returns before everybody does."""

    async def serving(self) -> None:
        """Done when clients are answered."""

    def publish(self, table: RoutingTable) -> None:
        """Send it to everybody now; never waits."""

    async def applied(self, generation: int) -> None:
        """Done when nobody serves by an older table; whoever does not answer in time is ended."""

    def ready(self) -> bool:
        """Whether everybody serves by the newest table."""

    def states(self) -> list[dict[str, object]]:
        """Who is there, for people."""

    def troubles(self) -> list[str]:
        """What is wrong with whom, as sentences."""

    def begin_drain(self, within_s: float) -> None:
        """Take no new requests, and finish those under way."""

    def hand_over(self) -> None:
        """Go on until a successor serves and ends us."""

    async def drained(self, within_s: float) -> None:
        """Done when nothing is under way, or the time is over."""

    async def kill(self) -> None:
        """End everybody at once."""
