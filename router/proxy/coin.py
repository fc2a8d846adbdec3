"""The coin: which version a request goes to, and which requests are copied.

The proofs rest on draws that nobody can know before the outcome, not even somebody who has seen
every draw so far. A Mersenne Twister gives itself away after some hundred outputs, so this one is
of the system's generator, taken a block at a time; its numbers are used for nothing else, and no
answer, id or receipt shows one.
"""

from __future__ import annotations

import os
from array import array
from typing import Final

from router.core.words import FULL_BP

BLOCK: Final = 1_024
"""Draws taken from the system at once."""

_left: list[int] = []


def coin() -> int:
    """A place 0..9999, each as likely as every other one but for 3 in a million."""
    if not _left:
        _left.extend(array("I", os.urandom(4 * BLOCK)))
    return _left.pop() * FULL_BP >> 32
