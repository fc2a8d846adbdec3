"""The port that clients come to: bound by control, served by its workers."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import Final

PORT_WAIT_S: Final = 2.0
"""How long a port that somebody listens on may take to become free: a predecessor that drains
closes its listeners at once, one that died a moment ago is still being buried."""


async def free(host: str, port: int) -> None:
    """Raises OSError when somebody listens on the port and goes on doing so.

    SO_REUSEPORT alone would let two routers of one user share a port without a word, each
    serving half of the clients. Without it Linux refuses a port with a listener, and only that.
    """
    deadline = time.monotonic() + PORT_WAIT_S
    while True:
        try:
            bound(host, port, shared=False).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() >= deadline:
                place = f"{host}:{port}"
                said = "is in use by another program; stop that one, or write another address"
                raise OSError(error.errno, f"listen: {place} {said}") from None
        else:
            return
        await asyncio.sleep(0.05)


def bound(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket on the port, ``shared`` with others of ours (SO_REUSEPORT). Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
