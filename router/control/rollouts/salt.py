"""The secret in the hash of sticky keys: clients must not be able to compute their version.

It is made once, with the first start on a store, and kept there. A rollout that was running when a
store of an older version got its salt keeps the unsalted hash until it ends, and a route without
one until its next rollout: nobody changes versions because of an upgrade.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from router.control.state.record import RouteRecord, Stored
from router.control.state.settings import SaltSetting, StoreSettings
from router.core.policy.route import Sticky
from router.core.rollout.rollout import Rollout

NONE: Final = "none"
"""What a policy writes to have no salt."""
_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Salt:
    """The salt of one installation."""

    text: str = ""
    unsalted: frozenset[str] = frozenset()
    """Rollouts, and routes without one, that are older than it."""

    @classmethod
    def made(cls, records: Iterable[RouteRecord]) -> Salt:
        """A new one for a store with these records."""
        older = {_name(record.route, record.rollout) for record in records}
        return cls(secrets.token_hex(_BYTES), frozenset(older))

    @classmethod
    def kept_in(cls, stored: Stored) -> Salt:
        """That of a store, or a new one for it."""
        if stored.settings.salt is not None:
            return cls.restored(stored.settings.salt)
        return cls.made(stored.records.values())

    @classmethod
    def restored(cls, setting: SaltSetting) -> Salt:
        """From a store. Raises ValueError if it is damaged."""
        if len(setting.text) != 2 * _BYTES:
            raise ValueError("a salt of another length")
        return cls(setting.text, setting.unsalted)

    def kept(self) -> StoreSettings:
        """For the store."""
        return StoreSettings(salt=SaltSetting(self.text, self.unsalted))

    @property
    def marks(self) -> str:
        """Key of the marks by which it is known who made an input; its own, beside the salt."""
        return f"marks {self.text}"

    def of(self, sticky: Sticky | None, route: str, rollout: Rollout | None) -> str:
        """What is put before the keys of a route now."""
        if sticky is None:
            return ""
        if sticky.salt is not None:
            written = sticky.salt.get_secret_value()
            return "" if written == NONE else written
        return "" if _name(route, rollout) in self.unsalted else self.text


UNSALTED: Final = Salt()


def _name(route: str, rollout: Rollout | None) -> str:
    live = rollout is not None and rollout.phase.live
    return f"rollout {rollout.id}" if rollout is not None and live else f"route {route}"
