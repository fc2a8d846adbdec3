"""What receipts and marks ask of an exchange, its attempt and its route: how it was routed."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from router.core.wire.receipt import Seal
    from router.http1 import RequestHead
    from router.telemetry.slices import Arm


class RoutedVersion(Protocol):
    """A version."""

    @property
    def name(self) -> str:
        """As the policy has it."""


class RoutedAttempt(Protocol):
    """See :class:`router.proxy.attempt.Attempt`."""

    @property
    def version(self) -> RoutedVersion:
        """Who was asked."""

    @property
    def arm(self) -> Arm | None:
        """Where it is counted as evidence."""

    @property
    def unit(self) -> int:
        """The user."""


class Numbered(Protocol):
    """A pair or a sample: its answer's receipt has this number."""

    nonce: int


class RoutedRoute(Protocol):
    """See :class:`router.proxy.serving.ServedRoute`."""

    @property
    def candidate(self) -> object:
        """Of its rollout."""

    @property
    def stable(self) -> object:
        """Who gets what nobody else gets."""

    @property
    def others(self) -> Container[object]:
        """Versions of its split beside the candidate."""

    @property
    def seal(self) -> Seal | None:
        """Of its receipts."""

    @property
    def marker(self) -> Marks | None:
        """Where it feeds others."""


class RoutedExchange(Protocol):
    """See :class:`router.proxy.exchange.Exchange`."""

    id: bytes
    uploaded: bool

    @property
    def head(self) -> RequestHead:
        """Of the client's request."""

    @property
    def route(self) -> RoutedRoute:
        """That took it."""

    @property
    def attempt(self) -> RoutedAttempt:
        """The one under way."""

    @property
    def first(self) -> RoutedAttempt | None:
        """The one that failed, where this one is its replay."""

    @property
    def pairing(self) -> Numbered | None:
        """Its pair."""

    @property
    def sample(self) -> Numbered | None:
        """Its sample."""


class Marks(Protocol):
    """See :class:`router.proxy.marks.Marker`."""

    def line(self, exchange: RoutedExchange) -> bytes:
        """Of an answer."""
