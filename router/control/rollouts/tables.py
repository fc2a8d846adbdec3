"""The table in force, and when the next one is due: one for all moves that go together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from router.control.rollouts.publish import table_of
from router.control.rollouts.run import Run
from router.control.state.ports import Publisher
from router.core.policy import Policy
from router.core.wire.table import RoutingTable


class Tables:
    """See the module; the only one that publishes."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.newest: RoutingTable | None = None
        self.term = 0
        """In which this router holds its store; every table is of it."""
        self.stale = False
        """What is in force is not all in the table yet."""
        self._gathering = False

    def __repr__(self) -> str:
        return f"<Tables {self.generation}{' stale' if self.stale else ''}>"

    @property
    def generation(self) -> int:
        """Of the table in force; 0 before the first."""
        return self.newest.generation if self.newest else 0

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        """Nothing is published inside; who gathers has it done behind the last move."""
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False

    def publish(self, policy: Policy | None, runs: Iterable[Run]) -> int:
        """A new table to every worker; the generation in which all of this is, or will be."""
        if self._gathering or policy is None:
            self.stale = True
            return self.generation + 1
        self.stale = False
        entries = tuple([run.entry for run in runs])
        self.newest = table_of(self.generation + 1, policy, entries, self.newest, term=self.term)
        self.publisher.publish(self.newest)
        return self.newest.generation
