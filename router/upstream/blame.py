"""Is it the instance or the version? Blame for bad answers waits until that shows.

An evidence that convicts after three bad answers would judge a model by one broken instance before
that instance is ejected. So with two or more endpoints, while *one* of them fails, its bad answers
are held back, until

    it fails on and is ejected                  the instance's fault: nobody else is blamed
    it answers well again                       the version's, all of them
    a second endpoint fails                     the version's: two instances do not break at once
    HELD_S_MAX has passed, or the pool ends     the version's

A version that fails as a whole is blamed one or two answers later than without this; one with a
single endpoint at once, since nothing can tell the two apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.wire.table import OutlierEntry
    from router.upstream.connection import Endpoint

HELD_S_MAX: Final = 300.0
"""Longest time that blame is held back, seconds; at low traffic a second answer takes its time."""
HELD_MAX: Final = 64
"""Bad answers held back for one endpoint; more are blamed at once."""

SettleVerdict = Callable[[bool], None]
"""Told once: True, the version is to blame; False, it was the instance."""


class Blame:
    """Of one version: which of its endpoints fail, and the bad answers nobody is blamed for yet."""

    __slots__ = ("_ejected", "endpoints", "held", "outlier")

    def __init__(self, outlier: OutlierEntry, ejected: Callable[[Endpoint], None]) -> None:
        self.outlier = outlier
        self.endpoints: list[Endpoint] = []
        """Those of the version; the pool keeps this current."""
        self.held: dict[Endpoint, list[tuple[float, SettleVerdict]]] = {}
        self._ejected = ejected

    def observed(self, endpoint: Endpoint, bad: bool, now: float) -> None:
        """An attempt at an endpoint ended; with several, one that fails in a row is ejected.

        It is blamed before the version: a broken instance is no reason to judge a model.
        """
        endpoint.dirty = True
        if not bad:
            if endpoint.streak:
                endpoint.streak = 0
                self._settle(endpoint, blamed=True)
            return
        endpoint.streak += 1
        outlier = self.outlier
        if outlier.consecutive and endpoint.streak >= outlier.consecutive and self._may_eject():
            endpoint.streak = 0
            endpoint.ejected_until = now + outlier.ejection_s
            self._ejected(endpoint)
            self._settle(endpoint, blamed=False)
        elif self.held and self._others_fail(endpoint):
            self.settle_all()

    def bad_answer(self, endpoint: Endpoint | None, verdict: SettleVerdict, now: float) -> None:
        """``verdict`` is told whose fault it is: at once, or when that has shown."""
        if endpoint is None:
            verdict(True)
        elif endpoint.ejected_until:
            verdict(False)
        elif not self.outlier.consecutive or not self._may_eject():
            verdict(True)
        elif self._others_fail(endpoint):
            self.settle_all()
            verdict(True)
        else:
            self._hold(endpoint, verdict, now)

    def settle_all(self) -> None:
        """The version is to blame for everything."""
        for endpoint in list(self.held):
            self._settle(endpoint, blamed=True)

    def sweep(self, now: float) -> None:
        """Blame for what is held too long, and for endpoints that are gone."""
        for endpoint, answers in list(self.held.items()):
            if endpoint not in self.endpoints or now - answers[0][0] > HELD_S_MAX:
                self._settle(endpoint, blamed=True)

    def _hold(self, endpoint: Endpoint, verdict: SettleVerdict, now: float) -> None:
        answers = self.held.setdefault(endpoint, [])
        if len(answers) < HELD_MAX:
            answers.append((now, verdict))
        else:
            verdict(True)

    def _settle(self, endpoint: Endpoint, *, blamed: bool) -> None:
        """It has shown whose fault this endpoint's answers were."""
        for _, verdict in self.held.pop(endpoint, ()):
            verdict(blamed)

    def _may_eject(self) -> bool:
        if len(self.endpoints) < 2:
            return False
        ejected = sum(1 for e in self.endpoints if e.ejected_until)
        return (ejected + 1) * FULL_BP <= len(self.endpoints) * self.outlier.max_ejected_bp

    def _others_fail(self, endpoint: Endpoint) -> bool:
        return any(e.streak for e in self.endpoints if e is not endpoint and not e.ejected_until)
