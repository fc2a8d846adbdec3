"""Ports for programs that are told where to listen."""

import itertools
import random
import socket

DRAWN = range(20_000, 32_000)
"""Below those that the kernel gives out (32,768 and up): none is given away before it is used."""


_draw = itertools.cycle(random.SystemRandom().sample(DRAWN, len(DRAWN)))
"""In an order of this process, so that no two that are asked for are one."""


def free_port():
    """A port of loopback at which nobody listens."""
    while True:
        port = next(_draw)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
