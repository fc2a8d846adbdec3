"""The ways in which an attempt at a version can fail before it has answered."""

from __future__ import annotations

from enum import IntEnum


class Failure(IntEnum):
    """What went wrong between us and an endpoint. Who is to blame is decided by the proxy."""

    REFUSED = 0  # no connection: refused, unreachable, name or certificate not valid
    CONNECT_TIMEOUT = 1
    STALE = 2  # a reused connection ended before a byte of the answer
    RESET = 3  # a fresh one did, or any connection in the middle of an answer
    MALFORMED = 4  # the answer broke HTTP framing
    QUEUE_FULL = 5  # too many requests wait for this version already
    QUEUE_TIMEOUT = 6  # waited too long for a connection
    BREAKER_OPEN = 7  # the version has just proved to be unreachable
    EXHAUSTED = 8  # this process is out of sockets or ports
    CLOSED = 9  # the pool went away with its version
    HEAD_SIZE = 10  # the head of the answer is over a bound of ours
