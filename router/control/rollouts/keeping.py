"""Clock and evidence reach the disk now and then, so that a crash forgets little."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from router.control.rollouts.run import Run, evidence_of
from router.control.state.clock import STORE_EVERY_S
from router.control.state.record import Change

EVIDENCE_EVERY_S: Final = 0.25
"""New evidence reaches the disk this soon: what ``kill -9`` may forget."""


class Keeping:
    """See the module. ``quietly`` writes without anybody waiting for it."""

    def __init__(self, quietly: Callable[[Change], None]) -> None:
        self.stored_s = 0.0
        self.news = False
        """There is evidence that the disk has not."""
        self._quietly = quietly

    def due(self, now: float) -> float:
        """When to come back."""
        return now + (EVIDENCE_EVERY_S if self.news else STORE_EVERY_S)

    def store(self, runs: Iterable[Run], now: float) -> None:
        """Write, if it is time to."""
        live = [run for run in runs if run.live]
        if now - self.stored_s < (EVIDENCE_EVERY_S if self.news else STORE_EVERY_S) or not live:
            return
        self.stored_s = now
        evidence = evidence_of(live) if self.news else {}
        self.news = False
        self._quietly(Change(now, evidence=evidence))

    def last_words(self, runs: Iterable[Run], now: float) -> None:
        """Write before a stop."""
        self.stored_s, self.news = float("-inf"), True
        self.store(runs, now)
