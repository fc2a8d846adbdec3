"""What the decider asks monitors of data; who watches is above it (control/predictions)."""

from __future__ import annotations

from typing import Protocol

from router.control.rollouts.run import Run
from router.core.monitors.alarm import Alarm
from router.core.policy import Route


class Monitored(Protocol):
    """Answers at once, from what is known."""

    def before(self, route: Route) -> str:
        """Why a rollout may not begin yet; empty when it may."""

    def holds(self, run: Run) -> Alarm | None:
        """What keeps a rollout where it is."""

    def convicts(self, run: Run) -> Alarm | None:
        """What takes the candidate back."""


class Unwatched:
    """Nobody looks."""

    def before(self, _route: Route) -> str:
        """It may."""
        return ""

    def holds(self, _run: Run) -> Alarm | None:
        """Nothing."""
        return None

    def convicts(self, _run: Run) -> Alarm | None:
        """Nothing."""
        return None
