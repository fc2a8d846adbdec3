"""The rollout clock: seconds of router time, which stand still while the router is down.

Holds, bakes and deadlines are counted on it. It grows with the monotonic clock, so a step of the
wall clock changes nothing, and it continues from the last value that was stored, so a restart
resumes a hold with what remained of it. After a crash it continues from the last commit: a hold may
last :data:`STORE_EVERY_S` longer, never shorter.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

STORE_EVERY_S: Final = 2.0
"""While a rollout is live, clock and evidence are written at least this often."""


class Clock(Protocol):
    """Where time comes from; nothing in the control plane reads another clock."""

    def now(self) -> float:
        """Rollout clock, seconds."""

    def wall(self) -> float:
        """Wall clock, seconds since 1970; for people, and what they tie to it: windows."""

    def resume_at(self, seconds: float) -> None:
        """Continue from a stored value."""


class RolloutClock:
    """The real one."""

    def __init__(self) -> None:
        self._offset = -time.monotonic()

    def now(self) -> float:
        """Seconds of router time so far."""
        return time.monotonic() + self._offset

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def resume_at(self, seconds: float) -> None:
        """Continue from ``seconds``; called once, before anything is decided."""
        self._offset = seconds - time.monotonic()
