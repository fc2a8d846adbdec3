"""Why a command or a reload was not carried out.

ControlError
├── UnknownRoute      no such route in the policy
├── NoRollout         the route has no rollout
├── NotPermitted      the policy names who may, and not this one
├── NotPossible       the state machine or the lifecycle refuses it now; the text says what would do
├── Conflict          the rollout is at another revision than the caller saw
├── Busy              too many commands are waiting
├── KeyReused         the Idempotency-Key belongs to another order
├── NotAnswered       not in force within the bound; it may be later
├── PolicyRejected    the policy has problems; the old one stays in force
├── LogUnreadable     the prediction log is not kept, or cannot be read now
├── StoreUnavailable  the change could not be written, so it was not made
StoreDamaged          the store cannot be read; the router does not start
StoreLocked           another router drives this store
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.control.told.views import ProblemView


class ControlError(Exception):
    """Base of every refusal; ``code`` is stable for machines, the text is for people."""

    code = "error"


class UnknownRoute(ControlError):  # noqa: N818 - reads as the answer it is
    """There is no such route."""

    code = "unknown_route"


class NoRollout(ControlError):  # noqa: N818 - reads as the answer it is
    """The route has no rollout to act on."""

    code = "no_rollout"


class NotPermitted(ControlError):  # noqa: N818 - reads as the answer it is
    """The policy names who may do this, and the caller is not among them: answer 403."""

    code = "not_permitted"


class NotPossible(ControlError):  # noqa: N818 - reads as the answer it is
    """The rollout is not in a phase that allows it; the text says what would be possible."""

    code = "not_possible"


class Conflict(ControlError):  # noqa: N818 - reads as the answer it is
    """The rollout moved since the caller looked: answer 412."""

    code = "conflict"

    def __init__(self, expected: int, actual: int, why: str = "") -> None:
        """``why``: the sentence of what moved it last."""
        since = f": {why}" if why else ""
        super().__init__(f"the rollout is at revision {actual}, not {expected}{since}; look again")
        self.expected = expected
        self.actual = actual


class Busy(ControlError):  # noqa: N818 - reads as the answer it is
    """Too many commands are waiting for the store: answer 503."""

    code = "busy"


class KeyReused(ControlError):  # noqa: N818 - reads as the answer it is
    """The Idempotency-Key belongs to another order: answer 422."""

    code = "key_reused"


class NotAnswered(ControlError):  # noqa: N818 - reads as the answer it is
    """It was not in force within the bound and may be later; the text says where to look: 504."""

    code = "not_answered"


class LogUnreadable(ControlError):  # noqa: N818 - reads as the answer it is
    """The prediction log is not kept, or cannot be read now: answer 503."""

    code = "log_unreadable"


class NotLogged(LogUnreadable):
    """The route keeps no predictions: answer 404."""

    code = "not_logged"


class PolicyRejected(ControlError):  # noqa: N818 - reads as the answer it is
    """The policy was not taken; each of ``problems`` with file, line and path."""

    code = "policy_rejected"

    def __init__(self, text: str, problems: Sequence[ProblemView] = ()) -> None:
        super().__init__(text)
        self.problems = tuple(problems)


class StoreUnavailable(ControlError):  # noqa: N818 - reads as the answer it is
    """The store could not make it durable: answer 507. A change that adds risk was not made."""

    code = "store_unavailable"


class StoreDamaged(Exception):  # noqa: N818 - reads as the answer it is
    """The store cannot be read. The text names the file and what to do; never guess a position."""


class StoreLocked(Exception):  # noqa: N818 - reads as the answer it is
    """Another process drives this store."""
