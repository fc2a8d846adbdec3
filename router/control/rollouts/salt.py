"""The secret in the hash of sticky keys: clients must not be able to compute their version.

It is made once, with the first start on a store, and kept there. A rollout that was running when a
store of an older version got its salt keeps the unsalted hash until it ends, and a route without
one until its next rollout: nobody changes versions because of an upgrade.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from router.control.state.record import RouteRecord, Stored
from router.core.policy.route import Sticky
from router.core.rollout.rollout import Rollout

SETTING: Final = "salt"
"""Its name in the store."""
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
        if SETTING in stored.settings:
            return cls.restored(stored.settings[SETTING])
        return cls.made(stored.records.values())

    @classmethod
    def restored(cls, setting: dict[str, Any]) -> Salt:
        """From a store. Raises KeyError, TypeError or ValueError if it is damaged."""
        text = str(setting["text"])
        if len(text) != 2 * _BYTES:
            raise ValueError("a salt of another length")
        return cls(text, frozenset(map(str, setting["unsalted"])))

    def kept(self) -> dict[str, Any]:
        """As a setting of the store."""
        return {SETTING: self.to_json()}

    def to_json(self) -> dict[str, Any]:
        """For the store."""
        return {"text": self.text, "unsalted": sorted(self.unsalted)}

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
