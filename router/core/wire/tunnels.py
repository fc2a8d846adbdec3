"""WebSockets that become tunnels, as the data plane needs them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TunnelEntry:
    """WebSocket handshakes may become tunnels, within these bounds."""

    idle_s: float = 300.0
    """Longest silence of both sides."""
    age_s: float = 0.0
    """Longest life; 0: no bound."""
    bytes_max: int = 1_073_741_824
    """Bytes of both directions."""
    closing: bool = False
    """Tunnels of a version that is taken back are closed."""
    cut: tuple[int, ...] = ()
    """Versions (indexes) of which that is so now."""
