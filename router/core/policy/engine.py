"""What Envoy carries of a policy, and what it cannot: said before it is started, not afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from router.core.gates.needs import Need
from router.core.payloads import CALLS
from router.core.policy.finding import Finding, KeyPath
from router.core.policy.match import Match
from router.core.policy.rollout import RolloutPolicy
from router.core.policy.route import Route
from router.core.policy.server import Policy
from router.core.policy.version import Version

BUILT_IN: Final = "remove it, or write engine: built-in"

_POLICY: Final[dict[str, Callable[[Policy], Any]]] = {
    "tls": lambda policy: policy.tls,
    "trusted_proxies": lambda policy: policy.trusted_proxies,
    "access_log": lambda policy: policy.access_log,
    "traces": lambda policy: policy.traces,
}
_ROUTE: Final[dict[str, Callable[[Route], Any]]] = {
    "sticky.cookie": lambda route: route.sticky and route.sticky.cookie,
    "sticky.json": lambda route: route.sticky and route.sticky.json_path,
    "feedback": lambda route: route.feedback,
    "log": lambda route: route.log,
    "monitors": lambda route: route.monitors,
    "timeouts.first_token": lambda route: route.timeouts.first_token,
    "expect": lambda route: route.expect != "answer",
    "upgrade": lambda route: route.upgrade,
    "quota": lambda route: route.quota,
    "extraction": lambda route: route.extraction,
    "inputs": lambda route: route.inputs,
    "answers": lambda route: route.answers,
    "review": lambda route: route.review,
    "fallback": lambda route: route.fallback,
    "cache": lambda route: route.cache,
    "priority": lambda route: route.priority,
    "body_limit": lambda route: route.body_limit,
}
_VERSION: Final[dict[str, Callable[[Version], Any]]] = {
    "person": lambda version: version.person,
    "table": lambda version: version.table,
    "set": lambda version: version.set,
    "endpoints": lambda version: any(one.tls for one in version.endpoints),
}
_ROLLOUT: Final[dict[str, Callable[[RolloutPolicy], Any]]] = {
    "compare.reverse": lambda rollout: rollout.compare.reverse,
    "rescue.on": lambda rollout: rollout.rescue and "schema" in rollout.rescue.on,
    "rescue.excuse_payload": lambda rollout: rollout.rescue and rollout.rescue.excuse_payload,
}
_MISSING: Final[dict[Need, str]] = {
    Need.LABELS: "puts no receipt into answers, by which {title} is told the truth",
    Need.TRUTHS: "puts no receipt into answers, by which {title} is told the truth",
    Need.PIECES: "does not time the pieces of answers, which {title} lives on",
    Need.FED: "puts no mark into answers, by which {title} knows who uses them",
}
"""Needs of gates that answers through Envoy do not meet, and why: nothing is put into them."""


def engine_carries(policy: Policy) -> Iterator[Finding]:
    """With ``engine: envoy``, every part of the policy that it would not do as it says."""
    if policy.engine != "envoy":
        yield from _calls(policy)
        return
    yield from _set((), policy, _POLICY)
    for index, route in enumerate(policy.routes):
        at: KeyPath = ("routes", index)
        yield from _set(at, route, _ROUTE)
        yield from _matched((*at, "match"), route.match)
        for number, rule in enumerate(route.rules):
            yield from _matched((*at, "rules", number, "match"), rule.match, rule=True)
        for name, version in route.versions.items():
            yield from _set((*at, "versions", name), version, _VERSION)
        if route.rollout is not None:
            yield from _judged((*at, "rollout"), route.rollout)


def _calls(policy: Policy) -> Iterator[Finding]:
    for index, route in enumerate(policy.routes):
        if route.payload in CALLS:
            message = f"no route of engine: built-in gets gRPC, which {route.payload} reads"
            yield Finding(("routes", index, "payload"), message, "write engine: envoy", error=False)


def _set(at: KeyPath, of: Any, asked: dict[str, Callable[[Any], Any]]) -> Iterator[Finding]:
    for key, is_set in asked.items():
        if is_set(of):
            yield Finding((*at, *key.split(".")), *_not_carried(key))


def _not_carried(key: str) -> tuple[str, str]:
    return f"engine: envoy does not do {key}", BUILT_IN


def _matched(at: KeyPath, match: Match, *, rule: bool = False) -> Iterator[Finding]:
    for key in ("cookies", "body", *(("host",) if rule else ())):
        if getattr(match, key):
            yield Finding((*at, key), *_not_carried(f"match.{key}{' of a rule' * rule}"))


def _judged(at: KeyPath, rollout: RolloutPolicy) -> Iterator[Finding]:
    yield from _set(at, rollout, _ROLLOUT)
    if any(step.mirror_users for step in rollout.plan().steps):
        yield Finding((*at, "strategy"), *_not_carried("mirror.unit: user"))
    for index, gate in enumerate(rollout.gates):
        why = next((said for need, said in _MISSING.items() if need in gate.needs), "")
        if why:
            message = f"engine: envoy {why.format(title=gate.title)}"
            yield Finding((*at, "gates", index), message, BUILT_IN)
