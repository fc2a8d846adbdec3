"""Who asked again: a user who comes back so soon has not taken the answer that was given.

Of each user the last request waits until the time is over, or the next one comes. At most
:data:`USERS_MAX` wait; of further ones nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from router.core.logged.truth import Judged, Matured, MaturedRow
from router.core.wire.receipt import Chosen

if TYPE_CHECKING:
    from router.core.wire.sampled import Sampled

USERS_MAX: Final = 100_000
"""Users with a request that waits, some 40 MB."""
DRAWN: Final = frozenset((Chosen.CANDIDATE, Chosen.STABLE))


class Asking:
    """See the module. Times are seconds since 1970; of each route by its own bound."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], tuple[float, Matured]] = {}
        """By route and user, in the order of their due times where all routes have one bound."""

    def __repr__(self) -> str:
        return f"<Asking: {len(self._last)} users wait>"

    def met(self, sample: Sampled, again_s: float, now: float) -> Iterator[Matured]:
        """A request of a user: what it says of the one before, which was not taken."""
        if not sample.unit:
            return
        key = sample.route, sample.unit
        due = self._last.pop(key, None)
        if due is not None:
            yield _of(due[1], taken=now > due[0])
        if sample.arm in DRAWN and 200 <= sample.status < 300 and len(self._last) < USERS_MAX:
            self._last[key] = now + again_s, Matured(
                sample.route, sample.revision, sample.arm, sample.weight_bp, sample.unit,
                (MaturedRow(Judged(sample.version)),), request_id=sample.request_id,
            )  # fmt: skip

    def over(self, now: float) -> Iterator[Matured]:
        """Answers with which their users were content."""
        while self._last:
            key = next(iter(self._last))
            due, waiting = self._last[key]
            if due >= now:
                return
            del self._last[key]
            yield _of(waiting, taken=True)


def _of(waiting: Matured, *, taken: bool) -> Matured:
    (row,) = waiting.rows
    rows = (MaturedRow(row.served, accepted=taken),)
    return Matured(
        waiting.route, waiting.revision, waiting.arm, waiting.weight_bp, waiting.unit, rows,
        request_id=waiting.request_id,
    )  # fmt: skip
