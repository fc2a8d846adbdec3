"""The X-Rampway-Receipt line of an answer, on routes that take feedback."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from router.core.wire.receipt import Chosen, Receipt, sealed

if TYPE_CHECKING:
    from router.proxy.exchange import Exchange


def receipt_line(exchange: Exchange) -> bytes:
    """How this exchange was routed, signed; see :mod:`router.core.wire.receipt`."""
    route, entry = exchange.route, exchange.route.entry
    pairing = exchange.pairing
    receipt = Receipt(
        route=entry.name,
        version=exchange.version.name,
        revision=entry.revision,
        weight_bp=route.cell.weight_bp if route.cell is not None else 0,
        arm=arm_of(exchange),
        issued=int(time.time()),
        unit=exchange.unit,
        nonce=pairing.nonce if pairing is not None else random.getrandbits(64),
    )
    text = sealed(receipt, entry.receipt_secret, hidden=not entry.reveal_version)
    return f"X-Rampway-Receipt: {text}\r\n".encode()


def arm_of(exchange: Exchange) -> Chosen:
    """How the answering version was chosen.

    Requests pinned or ruled to a version that is neither stable nor candidate look drawn here; a
    policy whose split learns from rewards has no such rules.
    """
    route, version = exchange.route, exchange.version
    if exchange.arm is not None and not exchange.arm.slice.cell.forced:
        return Chosen.CANDIDATE if version is route.candidate else Chosen.STABLE
    drawn = version in route.others and version is not route.stable and not exchange.rescuing
    return Chosen.OTHER if drawn else Chosen.FORCED
