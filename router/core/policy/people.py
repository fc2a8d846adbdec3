"""Rules about versions that are people; see `rules`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from router.core.policy.finding import Finding
from router.core.policy.route import Route
from router.core.strategies import Automation


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
        if gate.kind in {"latency", "shadow_slo"} and "gates" in rollout.model_fields_set:
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


def reviews_possible(route: Route) -> Iterator[Finding]:
    """A review can tell what is unsure, and nobody else edits or reads the same answers."""
    review, declared = route.review, route.declared
    dial = route.rollout is not None and isinstance(route.rollout.strategy, Automation)
    if review is None:
        if dial:
            message = "expected review on a route with automation: there people answer, got none"
            yield Finding(("rollout", "strategy"), message, "add review: {below: 90%, audit: 5%}")
        return
    if review.below and not declared.score:
        message = "expected predictions.score beside review.below: it is how sure a version is"
        yield Finding(("review", "below"), message, "add predictions: {score: PATH}")
    if review.audit and route.payload == "opaque":
        message = "expected a payload beside review.audit: nobody could tell what was answered"
        yield Finding(("review", "audit"), message, "add payload: json, or another one")
    for key in ("answers", "extraction", "cache"):
        if getattr(route, key) is not None:
            message = f"expected either review or {key}: both read an answer before it goes out"
            yield Finding((key,), message, f"remove {key} here")
    if route.rollout is not None and route.rollout.rescue and "schema" in route.rollout.rescue.on:
        message = "expected no schema in rescue.on beside review: what cannot be read is reviewed"
        yield Finding(("rollout", "rescue", "on"), message, "remove schema")
    if dial and not route.person(route.stable):
        message = f"expected people as stable of automation, got {route.stable}"
        yield Finding(("stable",), message, "add to versions: desk: {person: true}; stable: desk")
    if dial and not review.below:
        message = "expected review.below with automation: at partial it says what people get"
        yield Finding(("review",), message, "add below: 90%; rampway review curve proposes it")


PEOPLE_RULES: Final = (people_answer, people_uncached, reviewed_by_people, reviews_possible)
"""Those of a route."""
