"""Own lines of an answer that say how its request was routed: a receipt, and a mark for baggage."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from router.core.wire.receipt import Chosen

if TYPE_CHECKING:
    from router.proxy.routed import RoutedAttempt, RoutedExchange, RoutedRoute


def told_lines(exchange: RoutedExchange) -> bytes:
    """Of an answer, on routes that tell."""
    marker = exchange.route.marker
    return receipt_line(exchange) + (marker.line(exchange) if marker is not None else b"")


def receipt_line(exchange: RoutedExchange) -> bytes:
    """How a request was routed, signed; see :mod:`router.core.wire.receipt`.

    It carries the nonce of the pair or the sample that its answer is part of.
    """
    route, attempt = exchange.route, exchange.attempt
    seal = route.seal
    if seal is None:
        return b""
    known = exchange.pairing or exchange.sample
    nonce = (known.nonce if known is not None else 0) or random.getrandbits(64)
    arm = arm_of(route, attempt, replay=exchange.first is not None)
    text = seal.text(attempt.version.name, arm, int(time.time()), attempt.unit, nonce)
    return b"X-Rampway-Receipt: %b\r\n" % text


def arm_of(route: RoutedRoute, attempt: RoutedAttempt, *, replay: bool) -> Chosen:
    """How the answering version was chosen.

    Requests pinned or ruled to a version that is neither stable nor candidate look drawn here; a
    policy whose split learns from rewards has no such rules.
    """
    version = attempt.version
    if attempt.arm is not None and not attempt.arm.slice.cell.forced:
        return Chosen.CANDIDATE if version is route.candidate else Chosen.STABLE
    drawn = version in route.others and version is not route.stable and not replay
    return Chosen.OTHER if drawn else Chosen.FORCED
