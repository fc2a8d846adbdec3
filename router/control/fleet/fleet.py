"""What the control plane needs of those who carry its traffic, wherever they run.

:class:`~router.control.fleet.workers.Workers`, processes of this machine, are one implementation;
who composes the router chooses it (:data:`MakeFleet`), and nothing of the control plane knows which
it is. A fleet applies tables and tells :class:`Hears` what its workers say; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from router.core.policy import Policy
from router.core.wire.reporter import WorkerId
from router.core.wire.table import RoutingTable
from router.link.messages import (
    AskPeople,
    LookAgain,
    PairReport,
    Report,
    SampleReport,
    Settle,
    SpanReport,
)

Reply = Callable[[Settle], bool]
"""How the worker that asked is told; False: it is not there any more."""


class Hears(Protocol):
    """Who is told what workers say, each word in the loop turn in which it arrives."""

    def report(self, who: WorkerId, report: Report) -> None:
        """What was counted since the last time."""

    def pairs(self, who: WorkerId, report: PairReport) -> None:
        """Answers to compare."""

    def sampled(self, who: WorkerId, report: SampleReport) -> None:
        """Requests with their predictions."""

    def traced(self, who: WorkerId, report: SpanReport) -> None:
        """Spans that have ended."""

    def asked(self, asked: AskPeople | LookAgain, reply: Reply) -> None:
        """A question for people."""

    def noticed(self, who: WorkerId, text: str) -> None:
        """Something about a worker, as a sentence."""

    def gone(self, who: WorkerId, text: str) -> None:
        """It has ended, as a sentence: what it had under way will never be told."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker now."""

    who: WorkerId
    pid: int | None
    """None: not of this machine."""
    port: int
    """0: it does not listen yet."""
    term: int
    """Of the table that it has applied, see :class:`router.core.wire.table.RoutingTable`."""
    generation: int


class Fleet(Protocol):
    """Applies tables, and says how far it is."""

    probes: bool
    """Its workers tell which endpoints answer; else nobody waits for that."""

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
        """Send it to everybody now; never waits. Tables come in the order of their rank."""

    async def applied(self, generation: int) -> None:
        """Done when nobody serves by an older table; whoever does not answer in time is ended.

        Who follows a router of a later term is not ours to end, nor to wait for.
        """

    def ready(self) -> bool:
        """Whether everybody serves by the newest table."""

    def states(self) -> list[WorkerState]:
        """Who is there."""

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


MakeFleet = Callable[[Policy, Hears], Fleet]
"""Makes a fleet as the policy of the start says; it tells whom it is given."""
