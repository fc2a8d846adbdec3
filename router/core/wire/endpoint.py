"""Where a version answers. Apart from the table: policies are read without that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointEntry:
    """One host:port of a version."""

    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        """As an operator writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"
