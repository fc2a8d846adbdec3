"""What a store keeps besides routes and their evidence: one value of each kind, by its owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from router.control.told.answers import FreezesView


@dataclass(frozen=True, slots=True)
class SaltSetting:
    """See :class:`router.control.rollouts.salt.Salt`."""

    text: str
    unsalted: frozenset[str]


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Values that a store has, or is to take over; None and nothing: not of this kind."""

    salt: SaltSetting | None = None
    frozen: FreezesView | None = None
    """Empty: no freeze is in force any more."""
    acknowledged: Mapping[str, str] | None = None
    """By route the attempt whose way back somebody has seen."""
    monitors: Mapping[str, Any] = field(default_factory=dict)
    """By route, as :meth:`router.core.monitors.monitors.Monitors.snapshot` tells them."""
    spent: Mapping[str, Any] = field(default_factory=dict)
    """On judges, by route and gate (``route/gate``), as
    :meth:`router.core.judging.spent.Spending.snapshot` tells it."""

    def __bool__(self) -> bool:
        return self != NO_SETTINGS

    def over(self, older: Self) -> Self:
        """Both; what both have, as it is here."""
        return replace(
            self, salt=self.salt or older.salt,
            frozen=older.frozen if self.frozen is None else self.frozen,
            acknowledged=older.acknowledged if self.acknowledged is None else self.acknowledged,
            monitors={**older.monitors, **self.monitors}, spent={**older.spent, **self.spent},
        )  # fmt: skip

    def without(self, written: Self) -> Self:
        """What of it ``written`` has nothing of."""
        return replace(
            self, salt=None if written.salt else self.salt,
            frozen=None if written.frozen is not None else self.frozen,
            acknowledged=None if written.acknowledged is not None else self.acknowledged,
            monitors=_left(self.monitors, written.monitors),
            spent=_left(self.spent, written.spent),
        )  # fmt: skip


NO_SETTINGS: Final = StoreSettings()
"""Nothing of any kind."""


def _left(ours: Mapping[str, Any], written: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: one for name, one in ours.items() if name not in written}
