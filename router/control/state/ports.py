"""What the reconciler needs of its surroundings; tests bring their own."""

from __future__ import annotations

from typing import Protocol

from router.control.state.errors import StoreUnavailable
from router.control.state.record import JournalEntry
from router.core.wire.table import RoutingTable


class Publisher(Protocol):
    """Who carries tables to the data plane."""

    def publish(self, table: RoutingTable) -> None:
        """Send it to every worker now; never waits."""


class Listener(Protocol):
    """Who wants to know what was decided."""

    def moved(self, entry: JournalEntry) -> None:
        """A transition is in force."""

    def store_failed(self, error: StoreUnavailable) -> None:
        """A write failed."""

    def store_works(self) -> None:
        """The first write after a failure succeeded."""
