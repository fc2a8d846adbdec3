"""What an edited policy has no more is forgotten in parts, each in a turn of its own.

Of a thousand routes it would take longer than all the rest of an edit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from router.control.rollouts.observe import Observatory
from router.control.rollouts.places import places
from router.core.policy import Policy, Route
from router.loops import in_turn

FORGOTTEN_A_TURN: Final = 128
"""Routes whose endpoints are compared with those known, in one turn."""


def forget_gone(policy: Policy, in_force: Callable[[], Policy | None], seen: Observatory) -> None:
    """Versions and endpoints that ``policy`` has not, as long as it is the one in force."""
    routes = policy.routes

    def versions() -> None:
        if policy is in_force():  # the next one may have what this one has not
            seen.keep_only({(one.name, v) for one in routes for v in one.versions})

    def endpoints(part: tuple[Route, ...]) -> None:
        if policy is in_force():
            seen.readiness.keep_endpoints(places(part))

    in_turn(versions)
    for first in range(0, len(routes), FORGOTTEN_A_TURN):
        in_turn(partial(endpoints, routes[first : first + FORGOTTEN_A_TURN]))
