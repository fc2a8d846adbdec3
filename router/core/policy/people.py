"""Rules about versions that are people; see `rules`."""

from __future__ import annotations

from collections.abc import Iterator

from router.core.gates.latency import Latency
from router.core.gates.shadow_slo import ShadowSlo
from router.core.policy.finding import Finding
from router.core.policy.route import Route


def people_answer(route: Route) -> Iterator[Finding]:
    """A person is who is compared with, by answers that the log joins; never on trial."""
    rollout = route.rollout
    if rollout is None:
        return
    for name in dict.fromkeys((rollout.candidate, *getattr(rollout.strategy, "also", ()))):
        if route.person(name):
            message = f"expected a candidate that answers, got {name!r}, which is a person"
            yield Finding(("rollout",), message, "make the person stable, and the model candidate")
    if not route.person(route.stable):
        return
    if route.log is None or route.payload == "opaque":
        message = f"expected log and a payload where a person is stable ({route.stable})"
        hint = "add log: {} and payload: json: answers are joined with what was logged"
        yield Finding(("stable",), message, hint)
    for key in ("reverse", "noise"):
        if getattr(rollout.compare, key):
            message = f"expected no {key} copies: a person is not asked a second time"
            yield Finding(("rollout", "compare", key), message, "remove it")
    for index, gate in enumerate(rollout.gates):
        if isinstance(gate, Latency | ShadowSlo) and "gates" in rollout.model_fields_set:
            message = f"{gate.title} would hold a model against the taking of a person's request"
            yield Finding(("rollout", "gates", index), message, "use slo, or remove it")


def reviewed_by_people(route: Route) -> Iterator[Finding]:
    """Who gives requests to people says to which, and people can see what they were asked."""
    if route.inputs is None or route.inputs.then != "review":
        return
    people = [name for name in route.versions if route.person(name)]
    if len(people) != 1:
        message = f"expected one version of people for review, got {len(people)}"
        yield Finding(("inputs", "then"), message, "add to versions: desk: {person: true}")
    elif route.log is None and not route.versions[people[0]].endpoints:
        message = f"expected log where {people[0]} reviews and has no endpoints"
        yield Finding(("inputs", "then"), message, "add log: {}: there people find the requests")


def people_uncached(route: Route) -> Iterator[Finding]:
    """What people answer comes later: there is nothing to keep."""
    if route.cache is not None and any(map(route.person, route.versions)):
        message = "expected no cache where people answer: what they say comes later"
        yield Finding(("cache",), message, "give people a route of their own")
