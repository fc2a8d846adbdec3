"""How far an exchange has come, and what may follow.

    ARRIVED      its head was read
    COLLECTING   the choice of its version depends on the body, which is still arriving
    WAITING      an attempt was begun; there is no connection for it yet
    SENT         the request is on its way to the version, nothing of an answer to the client
    ANSWERING    the answer has begun to go out: an error now closes the client's connection
    ENDED        recorded, once; nothing that happens later changes it

The table is the whole of it: the tests of the data path run with a check of every step against it,
and find that every row is taken.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Stage(IntEnum):
    """See the module. Ordered: from WAITING on there is an attempt."""

    ARRIVED = 0
    COLLECTING = 1
    WAITING = 2
    SENT = 3
    ANSWERING = 4
    ENDED = 5


STEPS: Final[dict[Stage, dict[Stage, str]]] = {
    Stage.ARRIVED: {
        Stage.COLLECTING: "its body is awaited",
        Stage.WAITING: "a version was chosen",
        Stage.ENDED: "the router answers itself",
    },
    Stage.COLLECTING: {
        Stage.WAITING: "enough of the body is here",
        Stage.ENDED: "refused, or the client left",
    },
    Stage.WAITING: {
        Stage.SENT: "there is a connection",
        Stage.WAITING: "none to be had: again, or on stable",
        Stage.ENDED: "none to be had, or the client left",
    },
    Stage.SENT: {
        Stage.ANSWERING: "the answer goes out",
        Stage.WAITING: "it failed unseen: again, or on stable",
        Stage.ENDED: "it failed, or the client left",
    },
    Stage.ANSWERING: {Stage.ENDED: "whole, cut, or left by its client"},
    Stage.ENDED: {},
}
"""Why each step is taken."""
