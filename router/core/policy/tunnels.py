"""WebSockets: what becomes of a route's handshakes, and the bounds of the tunnels they open."""

from typing import Annotated, Literal

from pydantic import Field

from router.core.quantities import Bytes, Seconds
from router.core.spec import Spec


class Tunnels(Spec):
    """Bounds of the WebSockets of a route with `upgrade: websocket`.

    A WebSocket stays with the version that accepted its handshake, whatever becomes of the weights.
    """

    idle: Annotated[Seconds, Field(gt=0)] = 300.0
    """Longest time without a byte from either side; then it is closed."""
    age: Seconds = 0.0
    """Longest life; then it is closed. 0s means no bound."""
    bytes: Annotated[Bytes, Field(ge=1024)] = 1024 * 1024 * 1024
    """Bytes of both directions together; then it is closed."""
    on_rollback: Literal["keep", "close"] = "keep"
    """What becomes of the WebSockets of a version that is taken back: with keep they end by
    themselves or by the bounds here, with close they end at once."""
