"""Clock and evidence reach the disk now and then, so that a crash forgets little."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from router.control.rollouts.run import Run, evidence_of
from router.control.state.clock import STORE_EVERY_S
from router.control.state.record import Change

EVIDENCE_EVERY_S: Final = 0.25
"""New evidence reaches the disk this soon: what ``kill -9`` may forget of a few dozen rollouts."""

SNAPSHOTS_A_TURN: Final = 4
"""Rollouts whose evidence is taken down in one turn, some 0.3 ms each."""

MORE_EVERY_S: Final = 0.025
"""From one part to the next where there is more than that: 160 rollouts a second."""


class Keeping:
    """See the module. ``quietly`` writes without anybody waiting for it."""

    def __init__(self, quietly: Callable[[Change], None]) -> None:
        self.stored_s = 0.0
        self._news: dict[str, None] = {}
        """Routes with evidence that the disk has not, in the order in which they got it."""
        self._behind = False
        """The last part was not all of it."""
        self._quietly = quietly

    def __repr__(self) -> str:
        return f"<Keeping {len(self._news)} routes with news>"

    def told(self, route: str) -> None:
        """There is new evidence of this route."""
        self._news[route] = None

    def due(self, now: float) -> float:
        """When to come back."""
        return now + self._every_s

    @property
    def _every_s(self) -> float:
        if self._behind:
            return MORE_EVERY_S
        return EVIDENCE_EVERY_S if self._news else STORE_EVERY_S

    def store(self, runs: Mapping[str, Run], now: float, *, most: int = SNAPSHOTS_A_TURN) -> None:
        """Write, if it is time to; what has waited longest first."""
        if now - self.stored_s < self._every_s or not any(run.live for run in runs.values()):
            return
        self.stored_s = now
        part = list(self._news)[:most]
        for route in part:
            del self._news[route]
        self._behind = bool(self._news)
        self._quietly(Change(now, evidence=evidence_of(runs[one] for one in part if one in runs)))

    def last_words(self, runs: Mapping[str, Run], now: float) -> None:
        """Write all of it, before a stop."""
        self.stored_s, self._news = float("-inf"), dict.fromkeys(runs)
        self.store(runs, now, most=len(runs))
