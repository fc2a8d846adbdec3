"""The X-Rampway-Receipt line of an answer, on routes that take feedback."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from router.core.wire.receipt import Chosen

if TYPE_CHECKING:
    from router.proxy.attempt import Attempt
    from router.proxy.serving import ServedRoute


def receipt_line(route: ServedRoute, attempt: Attempt, nonce: int, *, replay: bool) -> bytes:
    """How a request was routed, signed; see :mod:`router.core.wire.receipt`.

    ``nonce``: of the pair that its answer is part of, 0 without one.
    """
    seal = route.seal
    if seal is None:
        return b""
    arm = arm_of(route, attempt, replay=replay)
    nonce = nonce or random.getrandbits(64)
    text = seal.text(attempt.version.name, arm, int(time.time()), attempt.unit, nonce)
    return b"X-Rampway-Receipt: %b\r\n" % text


def arm_of(route: ServedRoute, attempt: Attempt, *, replay: bool) -> Chosen:
    """How the answering version was chosen.

    Requests pinned or ruled to a version that is neither stable nor candidate look drawn here; a
    policy whose split learns from rewards has no such rules.
    """
    version = attempt.version
    if attempt.arm is not None and not attempt.arm.slice.cell.forced:
        return Chosen.CANDIDATE if version is route.candidate else Chosen.STABLE
    drawn = version in route.others and version is not route.stable and not replay
    return Chosen.OTHER if drawn else Chosen.FORCED
