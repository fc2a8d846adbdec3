"""What a record of Envoy says of an attempt: how it ended, and whose fault it was."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from router.core.wire.grpc_status import http_of
from router.core.wire.outcomes import Outcome

Record = dict[str, object]
"""Fields of :data:`router.agent.listener.FIELDS`; what Envoy has no value for is None or "-"."""

FAULTS: Final = {
    "UF": Outcome.REFUSED,
    "UT": Outcome.TIMEOUT,
    "DT": Outcome.TIMEOUT,
    "SI": Outcome.TIMEOUT,
    "UMSDR": Outcome.TIMEOUT,
    "UPE": Outcome.MALFORMED,
    "UC": Outcome.RESET,
    "UR": Outcome.RESET,
    "LR": Outcome.RESET,
    "UO": Outcome.SHED,
    "OM": Outcome.SHED,
}
"""Response flags by what they mean of a version, in the order in which they are asked."""
LEFT: Final = frozenset({"DC", "DR", "DPE"})
"""Flags of a client that has gone."""
TIMED_OUT: Final = 504


def number(value: object, otherwise: int = 0) -> int:
    """A whole number of a record."""
    try:
        return int(str(value))
    except ValueError:
        return otherwise


def status_of(record: Record) -> int:
    """The HTTP status, for a gRPC call what its own status says in HTTP's words; 0: no answer."""
    status, call = number(record.get("status")), number(record.get("call"), -1)
    return http_of(call) if call >= 0 and status in {0, 200} else status


def outcome_of(record: Record, errors: Collection[int]) -> Outcome:
    """How the attempt ended; ``errors``: statuses that count against the version."""
    flags = frozenset(str(record.get("flags") or "-").split(","))
    status = status_of(record)
    if flags & LEFT:
        return Outcome.CLIENT_ABORT
    for flag, outcome in FAULTS.items():
        if flag in flags:
            cut = outcome is Outcome.RESET and 0 < number(record.get("status")) < 500
            return Outcome.TRUNCATED if cut else outcome
    if not status:
        return Outcome.CLIENT_ABORT  # ended by us with no word of the version: its client left
    return Outcome.SERVER_ERROR if status in errors else Outcome.OK
