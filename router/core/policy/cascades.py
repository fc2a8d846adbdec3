"""Rules about routes that feed others."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from router.core.gates.needs import Need
from router.core.policy.finding import Finding, KeyPath
from router.core.quantities import format_duration, format_share
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.policy.feeds import Feed
    from router.core.policy.route import Route
    from router.core.policy.server import Policy


def feeds_joined(policy: Policy) -> Iterator[Finding]:
    """Who is fed is another route of which something is read, and the join can be made."""
    known = {route.name: route for route in policy.routes}
    for index, route in enumerate(policy.routes):
        seen: set[str] = set()
        for place, feed in enumerate(route.feeds):
            path: KeyPath = ("routes", index, "feeds", place)
            yield from _fed(path, route, feed, known)
            if feed.route in seen:
                message = f"expected each route once, got {feed.route!r} again"
                yield Finding((*path, "route"), message, "remove it")
            seen.add(feed.route)
            if feed.by is not None:
                yield from _keyed(path, policy, route, feed)
        yield from _judged(("routes", index), route)


def _fed(path: KeyPath, route: Route, feed: Feed, known: dict[str, Route]) -> Iterator[Finding]:
    fed = known.get(feed.route)
    if fed is None:
        others = [name for name in known if name != route.name]
        close = difflib.get_close_matches(feed.route, others, n=1)
        hint = f"did you mean {close[0]}?" if close else f"add a route named {feed.route}"
        message = f"expected another route ({', '.join(others) or 'none'}), got {feed.route!r}"
        yield Finding((*path, "route"), message, hint)
    elif fed is route:
        message = f"expected another route, got {feed.route!r} itself"
        yield Finding((*path, "route"), message, "name the route that uses the answers")
    elif fed.predictions is None or not fed.predictions.sample or fed.payload == "opaque":
        message = f"nothing of {fed.name} is read, so nobody can see whether it suffers"
        hint = f"add payload: json and predictions: {{label: ..., score: ...}} to {fed.name}"
        yield Finding((*path, "route"), message, hint)


def _keyed(path: KeyPath, policy: Policy, route: Route, feed: Feed) -> Iterator[Finding]:
    wanted = feed.by.json_path if feed.by is not None else ""
    log = route.log
    if log is None:
        message = f"expected log beside feeds by {wanted}: what {route.name} made is found in it"
        yield Finding((*path, "by"), message, f"add log: {{}} to {route.name}")
        return
    others = [one.by.json_path for one in route.feeds if one.by is not None]
    named = log.person or others[0]
    if named != wanted:
        message = f"expected the key that the log has ({named}), got {wanted}"
        yield Finding((*path, "by"), message, "one key says whom a request of a route is about")
    if log.sample < FULL_BP:
        message = (
            f"{format_share(FULL_BP - log.sample)} of what {route.name} makes is not logged: its "
            f"users are joined with what was made before"
        )
        yield Finding((*path, "by"), message, "log: {sample: 100%}", error=False)
    if feed.within > policy.prediction_log.age:
        age = format_duration(policy.prediction_log.age)
        message = f"the log forgets after {age} what may be used for longer"
        yield Finding((*path, "within"), message, "raise prediction_log.age", error=False)


def _judged(path: KeyPath, route: Route) -> Iterator[Finding]:
    rollout = route.rollout
    if not route.feeds or rollout is None:
        return
    if not any(Need.FED in gate.needs for gate in rollout.gates):
        message = "no gate looks at what becomes of its answers in the routes that it feeds"
        yield Finding((*path, "feeds"), message, "add - cascade to its gates", error=False)
