"""One address of a version as this worker sees it: idle connections, health, blame."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from router.upstream.names import literal

if TYPE_CHECKING:
    from router.core.wire.table import EndpointEntry as Address
    from router.upstream.connection import Connection


class Endpoint:
    """Live state of one address; a name of several has one for each. Only its pool changes it."""

    __slots__ = ("address", "authority", "dirty", "ejected_until", "failed_probes",
                 "healthy", "idle", "in_flight", "ip", "last_error", "open", "passed_probes",
                 "ready", "refusals", "retired", "streak", "unreachable_until")  # fmt: skip

    def __init__(self, address: Address) -> None:
        self.address = address
        self.ip = address.host if literal(address.host) else ""
        """The address connected to; empty while the host's name was not looked up yet."""
        host = f"[{address.host}]" if ":" in address.host else address.host
        self.authority = f"{host}:{address.port}".encode()
        """For the Host field where a client sent none."""
        self.idle: deque[Connection] = deque()
        """Longest idle first; used from the other end, so that surplus ones age and expire."""
        self.open = 0
        """Connections open or being opened."""
        self.in_flight = 0
        self.streak = 0
        """Bad outcomes in a row."""
        self.ejected_until = 0.0
        """Monotonic seconds; 0.0 when not ejected."""
        self.unreachable_until = 0.0
        """Monotonic seconds, when a connect is tried again; 0.0: it can be reached, it seems."""
        self.refusals = 0
        """Failed connects in a row."""
        self.healthy = True
        self.ready: bool | None = None
        """What its probes said; None before the first one."""
        self.passed_probes = 0
        self.failed_probes = 0
        self.retired = False
        """No longer in the policy: connections close as they become free."""
        self.last_error = ""
        self.dirty = False

    @property
    def available(self) -> bool:
        """Whether balancing should consider it."""
        return self.healthy and not self.ejected_until

    def __repr__(self) -> str:
        state = "up" if self.available else "ejected" if self.ejected_until else "unhealthy"
        return (f"<Endpoint {self.address} {state} open={self.open} idle={len(self.idle)} "
                f"in_flight={self.in_flight}>")  # fmt: skip
