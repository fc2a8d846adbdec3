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

from collections.abc import Callable, Iterable
from typing import Final

from router.upstream.endpoint import Endpoint

HELD_S_MAX: Final = 300.0
"""Longest time that blame is held back, seconds; at low traffic a second answer takes its time."""
HELD_MAX: Final = 64
"""Bad answers held back for one endpoint; more are blamed at once."""

Settle = Callable[[bool], None]
"""Told once: True, the version is to blame; False, it was the instance."""


class Suspicion:
    """Bad answers of one version for which nobody is blamed yet."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[Endpoint, list[tuple[float, Settle]]] = {}

    def hold(self, endpoint: Endpoint, verdict: Settle, now: float) -> None:
        """Keep a bad answer of an endpoint, the only one that fails now."""
        answers = self.held.setdefault(endpoint, [])
        if len(answers) < HELD_MAX:
            answers.append((now, verdict))
        else:
            verdict(True)

    def settle(self, endpoint: Endpoint, *, blamed: bool) -> None:
        """It has shown whose fault this endpoint's answers were."""
        for _, verdict in self.held.pop(endpoint, ()):
            verdict(blamed)

    def settle_all(self) -> None:
        """The version is to blame for everything."""
        for endpoint in list(self.held):
            self.settle(endpoint, blamed=True)

    def sweep(self, endpoints: Iterable[Endpoint], now: float) -> None:
        """Blame for what is held too long, and for endpoints that are gone."""
        known = set(endpoints)
        for endpoint, answers in list(self.held.items()):
            if endpoint not in known or now - answers[0][0] > HELD_S_MAX:
                self.settle(endpoint, blamed=True)
