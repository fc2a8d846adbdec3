"""Segments: a rollout for each value of a header, query parameter or cookie, with own evidence.

A route with ``for_each`` becomes several: ``ranking@de``, ``ranking@fr`` with one more condition,
tried before ``ranking`` itself, which takes what is left. They are ordinary routes from here on,
so everything that works for a route works for a segment: gates, commands, journal, metrics.
"""

from __future__ import annotations

from router.core.policy.match import ValueMatch
from router.core.policy.route import Route
from router.core.policy.server import Policy

MARK = "@"
"""Between a route's name and a segment's; no name of a policy can have it."""


def expanded(policy: Policy) -> Policy:
    """The policy with a route for each segment. Once: what it returns must not be expanded."""
    routes = tuple(one for route in policy.routes for one in _segments(route))
    number = sum(route.rollout is not None for route in routes)
    shared = tuple(_of_fleet(route, number) for route in routes)
    return policy if shared == policy.routes else _with(policy, routes=shared)


def _of_fleet(route: Route, number: int) -> Route:
    """`false_rollback_scope: fleet` becomes the number of rollouts that share the bound."""
    rollout = route.rollout
    if rollout is None or rollout.false_rollback_scope != "fleet":
        return route
    shared = rollout.model_copy(update={"false_rollback_scope": number})
    return route.model_copy(update={"rollout": shared})


def base_of(route: str) -> str:
    """The route that a segment is a part of: ``ranking`` of ``ranking@de``."""
    return route.partition(MARK)[0]


def _segments(route: Route) -> tuple[Route, ...]:
    each = route.rollout.for_each if route.rollout else None
    if each is None:
        return (route,)
    made = []
    for value in each.values:
        conditions = getattr(route.match, each.field) | {each.key: ValueMatch(exact=value)}
        match = route.match.model_copy(update={each.field: conditions})
        name = f"{route.name}{MARK}{value}"
        made.append(route.model_copy(update={"name": name, "match": match}))
    rest = route if each.rest == "rollout" else route.model_copy(update={"rollout": None})
    return (*made, rest)


def _with(policy: Policy, *, routes: tuple[Route, ...]) -> Policy:
    """A copy without another validation: segments may exceed the number of written routes."""
    return policy.model_copy(update={"routes": routes})
