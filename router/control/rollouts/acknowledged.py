"""Which ways back somebody has seen: a page shows one until a person says so.

Kept in the store, by route, with the attempt that it is about: the next one must be seen anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from router.control.state.clock import Clock
from router.control.state.record import Change, JournalEntry
from router.control.state.settings import StoreSettings
from router.core.rollout.rollout import Phase, Rollout

ACKNOWLEDGED = "acknowledged"
"""The journal's action."""


class Acknowledged:
    """What has been seen."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Acknowledged {len(self._seen)}>"

    def wanted(self, rollout: Rollout | None) -> bool:
        """Whether it went back and nobody has said that he saw it."""
        if rollout is None or rollout.phase not in (Phase.ABORTED, Phase.ROLLED_BACK):
            return False
        return self._seen.get(rollout.route) != _name(rollout)

    def order(self, clock: Clock, rollout: Rollout, actor: str, reason: str) -> Change:
        """It was seen; the transaction that makes it durable."""
        self._seen[rollout.route] = _name(rollout)
        text = f"{actor} has seen that {rollout.candidate} was taken back"
        entry = JournalEntry(
            clock.wall(), clock.now(), rollout.route, rollout.id, rollout.revision, actor,
            ACKNOWLEDGED, rollout.phase.value, rollout.phase.value, rollout.step + 1, 0,
            f"{text}: {reason}" if reason else text,
        )  # fmt: skip
        return Change(
            clock.now(), entries=(entry,), settings=StoreSettings(acknowledged=dict(self._seen))
        )

    def restore(self, stored: Mapping[str, str]) -> None:
        """As the store has it."""
        self._seen = dict(stored)


def _name(rollout: Rollout) -> str:
    return f"{rollout.id}/{rollout.attempt}"
