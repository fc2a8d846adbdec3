"""Rules that span several fields of a policy: pure functions from a policy to findings.

An *error* is a policy that could not do what it says; a *warning* is one that probably does not do
what was meant. Each rule yields its findings with the path of the field that should change.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from router.core.outcomes import FULL_BP
from router.core.plan import Ending
from router.core.policy.match import Match
from router.core.policy.registry import Mlflow
from router.core.policy.rollout import RolloutPolicy
from router.core.policy.route import Route
from router.core.policy.server import Policy
from router.core.quantities import format_duration, format_share
from router.core.strategies import Approval, BlueGreen, Canary, Experiment, Shadow

Path = tuple[str | int, ...]

NAME_CHARS_MAX = 63
"""Of a route, with its segment."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule."""

    path: Path
    message: str
    hint: str = ""
    error: bool = True


def findings(policy: Policy) -> Iterator[Finding]:
    """Everything the rules have to say, errors and warnings."""
    for rule in POLICY_RULES:
        yield from rule(policy)
    for index, route in enumerate(policy.routes):
        for route_rule in ROUTE_RULES:
            yield from _below(("routes", index), route_rule(route))
        if route.rollout is not None:
            for rollout_rule in ROLLOUT_RULES:
                yield from _below(("routes", index, "rollout"), rollout_rule(route.rollout))


def _below(path: Path, found: Iterable[Finding]) -> Iterator[Finding]:
    for one in found:
        yield Finding(path + one.path, one.message, one.hint, one.error)


def _unknown_version(path: Path, name: str, route: Route) -> Iterator[Finding]:
    if name not in route.versions:
        close = difflib.get_close_matches(name, route.versions, n=1)
        hint = f"did you mean {close[0]}?" if close else ""
        known = ", ".join(route.versions)
        yield Finding(path, f"expected one of the versions {known}, got {name!r}", hint)


def unique_names(policy: Policy) -> Iterator[Finding]:
    """Routes and tokens are told apart by name, tokens also by their secret."""
    seen: dict[str, int] = {}
    for index, route in enumerate(policy.routes):
        if route.name in seen:
            message = f"expected a name of its own, got {route.name!r} again"
            yield Finding(("routes", index, "name"), message, f"routes[{seen[route.name]}] has it")
        seen.setdefault(route.name, index)
    names: set[str] = set()
    secrets: set[str] = set()
    for index, token in enumerate(policy.admin.tokens):
        if token.name in names:
            message = f"expected a name of its own, got {token.name!r} again"
            yield Finding(("admin", "tokens", index, "name"), message)
        if token.token.get_secret_value() in secrets:
            message = "expected a token of its own, got one that another name has"
            yield Finding(("admin", "tokens", index, "token"), message)
        names.add(token.name)
        secrets.add(token.token.get_secret_value())


def distinct_listeners(policy: Policy) -> Iterator[Finding]:
    """Clients and administrators never share a port."""
    same = policy.listen == policy.admin.listen
    if same and not policy.listen.endswith(":0"):
        message = f"expected another address than listen, got {policy.listen!r} twice"
        yield Finding(("admin", "listen"), message)


def reachable_routes(policy: Policy) -> Iterator[Finding]:
    """A route after one that takes all of its requests can never answer."""
    earlier: dict[str, list[Route]] = {}
    for index, route in enumerate(policy.routes):
        others = (one for path in route.match.wider_paths() for one in earlier.get(path, ()))
        for other in others:
            if covers(other.match, route.match):
                message = f"expected a reachable route, but {other.name!r} takes all its requests"
                hint = f"move it before {other.name!r}, or make that one narrower"
                yield Finding(("routes", index, "match"), message, hint)
                break
        earlier.setdefault(route.match.path or "*", []).append(route)


def covers(first: Match, second: Match) -> bool:
    """Whether every request that `second` accepts is accepted by `first`.

    Conditions on values cover each other only when they are written alike, so an unreachable route
    may be missed but a reachable one is never refused.
    """
    path = second.path if second.path is not None else "/*"
    methods = not first.methods or (
        bool(second.methods) and set(second.methods) <= set(first.methods)
    )
    values = (
        (first.headers, second.headers),
        (first.query, second.query),
        (first.cookies, second.cookies),
        (first.body, second.body),
    )
    return (
        first.covers_path(path)
        and first.covers_host(second.host)
        and methods
        and all(one.items() <= other.items() for one, other in values)
    )


def groups_step_alike(policy: Policy) -> Iterator[Finding]:
    """Rollouts that leave each step together have equally many steps."""
    first: dict[str, tuple[str, int]] = {}
    for index, route in enumerate(policy.routes):
        if route.rollout is None or route.rollout.group is None:
            continue
        steps = len(route.rollout.plan().steps)
        name, wanted = first.setdefault(route.rollout.group, (route.name, steps))
        if steps != wanted:
            message = f"expected {wanted} steps as in {name!r} of the same group, got {steps}"
            hint = "a hook that is asked first adds a step"
            yield Finding(("routes", index, "rollout", "group"), message, hint)


def registered_versions(route: Route) -> Iterator[Finding]:
    """A registry knows the versions that take part, by its own numbers."""
    registry = route.registry
    if not isinstance(registry, Mlflow):
        return
    path: Path = ("registry", "mlflow", "versions")
    for name in registry.versions:
        yield from _unknown_version((*path, name), name, route)
    taking_part = (route.stable, route.rollout.candidate if route.rollout else route.stable)
    for name in dict.fromkeys(taking_part):
        if name in route.versions and registry.version_of(name) is None:
            message = f"expected the model version that {name!r} stands for, got nothing"
            yield Finding(("registry", "mlflow"), message, f'add versions: {{{name}: "1"}}')


def known_versions(route: Route) -> Iterator[Finding]:
    """Stable, candidate and rules name versions that exist, and two different ones."""
    yield from _unknown_version(("stable",), route.stable, route)
    for index, rule in enumerate(route.rules):
        yield from _unknown_version(("rules", index, "version"), rule.version, route)
    if route.rollout is None:
        return
    path = ("rollout", "candidate")
    yield from _unknown_version(path, route.rollout.candidate, route)
    if route.rollout.candidate == route.stable:
        message = f"expected another version than stable, got {route.stable!r} for both"
        yield Finding(
            path, message, "for an A/A test name the same endpoints under a second version"
        )
    strategy = route.rollout.strategy
    for index, name in enumerate(strategy.also if isinstance(strategy, Shadow) else ()):
        place: Path = ("rollout", "strategy", "shadow", "also", index)
        yield from _unknown_version(place, name, route)
        if name in (route.stable, route.rollout.candidate):
            message = f"expected a further version, got {name!r}, which takes part already"
            yield Finding(place, message, "remove it")


def scores_read(route: Route) -> Iterator[Finding]:
    """Answers are read by the route's payload, and what is positive in them is named."""
    if route.rollout is None:
        return
    compare, hint = route.rollout.compare, "add payload: json to the route"
    for index, gate in enumerate(route.rollout.gates):
        path: Path = ("rollout", "gates", index)
        if route.payload == "opaque" and gate.kind == "positive_rate":
            message = "positive_rate can never be decided: payload opaque reads no answers"
            yield Finding(path, message, hint)
        elif route.payload == "opaque" and gate.paired:
            message = f"{gate.kind} compares byte by byte: payload opaque reads no answers"
            yield Finding(path, message, hint, error=False)
        elif gate.kind == "positive_rate" and not (compare.score or compare.decide_on):
            message = "positive_rate judges the last number of an answer: no score is named"
            yield Finding(path, message, "add compare: {score: ...}", error=False)


def reachable_rules(route: Route) -> Iterator[Finding]:
    """A rule after one that takes all of its requests can never decide."""
    for index, rule in enumerate(route.rules):
        if any(covers(earlier.match, rule.match) for earlier in route.rules[:index]):
            message = "expected a reachable rule, but an earlier one takes all its requests"
            yield Finding(("rules", index), message, "move it up, or make the earlier one narrower")


def endpoints_and_tls(route: Route) -> Iterator[Finding]:
    """Every endpoint once; TLS settings complete and in use."""
    for name, version in route.versions.items():
        path: Path = ("versions", name)
        for index, endpoint in enumerate(version.endpoints):
            if endpoint in version.endpoints[:index]:
                message = f"expected each endpoint once, got {endpoint} again"
                yield Finding((*path, "endpoints", index), message)
        tls = version.tls
        if (tls.certificate is None) != (tls.key is None):
            yield Finding((*path, "tls"), "expected certificate and key together, got one of them")
        written = tls != type(tls)()
        if written and not any(endpoint.tls for endpoint in version.endpoints):
            message = "tls is set but no endpoint begins with https"
            yield Finding((*path, "tls"), message, error=False)


def segments_possible(route: Route) -> Iterator[Finding]:
    """A segment is a condition of its own, and a name that fits everywhere."""
    each = route.rollout.for_each if route.rollout else None
    if each is None:
        return
    path: Path = ("rollout", "for_each")
    taken = {name.lower() for name in getattr(route.match, each.field)}
    if each.key.lower() in taken:
        message = f"expected another key than {each.key!r}, which match has a condition for"
        yield Finding(path, message, "a request has one value of it")
    longest = max(map(len, each.values)) + 1 + len(route.name)
    if longest > NAME_CHARS_MAX:
        message = f"expected ROUTE@VALUE of at most {NAME_CHARS_MAX} characters, got {longest}"
        yield Finding((*path, "values"), message, "shorten the name of the route")
    if route.registry is not None:
        message = "expected no registry: segments disagree about who is stable"
        yield Finding(("registry",), message, "write it back in a hook of the last segment")


def split_whole(route: Route) -> Iterator[Finding]:
    """Fixed shares are of known versions, make a whole, and do not fight with a rollout."""
    for name in route.split:
        yield from _unknown_version(("split", name), name, route)
    together = sum(route.split.values())
    if route.split and together != FULL_BP:
        message = f"expected shares that sum to 100%, got {format_share(together)}"
        yield Finding(("split",), message)
    if route.split and route.rollout is not None:
        message = "expected either a split or a rollout, got both"
        hint = "an experiment is a rollout with several versions"
        yield Finding(("split",), message, hint)


def experiment_sound(route: Route) -> Iterator[Finding]:
    """An experiment has its candidate among known arms, and users who keep their version."""
    rollout = route.rollout
    if rollout is None or not isinstance(rollout.strategy, Experiment):
        return
    path: Path = ("rollout", "strategy", "experiment")
    for name in rollout.strategy.arms:
        yield from _unknown_version((*path, "arms", name), name, route)
        if name == route.stable:
            message = f"expected arms besides stable, which gets the rest, got {name!r}"
            yield Finding((*path, "arms", name), message, "remove it")
    if rollout.candidate not in rollout.strategy.arms:
        message = f"expected the candidate {rollout.candidate!r} among the arms, got none"
        yield Finding((*path, "arms"), message, f"add {rollout.candidate}: 10%")
    if route.sticky is None:
        message = "expected sticky on a route with an experiment: a user is in one arm, got none"
        yield Finding(("rollout", "strategy"), message, "add sticky: {header: X-User-Id}")
    if rollout.strategy.bandit is not None:
        yield from _rewards_come(route, (*path, "bandit"))


def _rewards_come(route: Route, path: Path) -> Iterator[Finding]:
    if route.feedback is None:
        message = "expected feedback on the route, which brings the rewards, got none"
        yield Finding(path, message, "add feedback: {secret: ${NAME}} to the route")
    if route.pin or route.rules:
        message = "expected a route without pin and rules: forced requests are no draws"
        yield Finding(path, message, "make a route of its own for them")


def labels_arrive(route: Route) -> Iterator[Finding]:
    """Late labels need receipts to come back with."""
    gates = route.rollout.gates if route.rollout else ()
    for index, gate in enumerate(gates):
        if gate.kind == "accuracy" and route.feedback is None:
            message = f"{gate.title} never sees a label: the route has no feedback"
            path: Path = ("rollout", "gates", index)
            yield Finding(path, message, "add feedback: {secret: ${NAME}} to the route", False)


def shared_endpoints(route: Route) -> Iterator[Finding]:
    """Two versions at one address are an A/A test, or a mistake."""
    owners: dict[object, str] = {}
    for name, version in route.versions.items():
        for index, endpoint in enumerate(version.endpoints):
            if owners.setdefault(endpoint, name) != name:
                message = f"{endpoint} is also an endpoint of {owners[endpoint]!r}"
                path = ("versions", name, "endpoints", index)
                yield Finding(path, message, "fine for an A/A test, wrong otherwise", error=False)


def weights_grow(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A ramp that goes down takes users back out of the candidate."""
    for path, part in rollout.parts:
        steps = part.steps if isinstance(part, Canary) else ()
        written = [(index, s.weight) for index, s in enumerate(steps) if s.weight is not None]
        for (_, before), (index, weight) in pairwise(written):
            if weight < before:
                message = f"the weight falls from {format_share(before)} to {format_share(weight)}"
                hint = "users who had the candidate lose it again"
                yield Finding((*path, "steps", index, "weight"), message, hint, error=False)


def approvals_end(rollout: RolloutPolicy) -> Iterator[Finding]:
    """An action at the deadline needs a deadline."""
    for path, approval in _approvals(rollout):
        acts = approval.then.value != "hold"
        if acts and approval.deadline is None:
            message = f"expected a deadline after which it will {approval.then.value}, got none"
            yield Finding(path, message, f"add deadline: 4h, or remove then: {approval.then.value}")


def _approvals(rollout: RolloutPolicy) -> Iterator[tuple[Path, Approval]]:
    for path, part in rollout.parts:
        if isinstance(part, Canary):
            for index, step in enumerate(part.steps):
                if step.approval is not None:
                    yield (*path, "steps", index, "approval"), step.approval
        elif isinstance(part, BlueGreen | Shadow) and part.approval is not None:
            yield (*path, "approval"), part.approval


def gates_useful(rollout: RolloutPolicy) -> Iterator[Finding]:
    """Gates exist, have names of their own, and pairs to compare where they need pairs."""
    if not rollout.gates and rollout.max_bad_responses is None:
        message = "no gates and no max_bad_responses: nothing can take the candidate back"
        yield Finding(("gates",), message, "remove gates to have error_rate and guard", error=False)
    titles: set[str] = set()
    for index, gate in enumerate(rollout.gates):
        if gate.title in titles:
            message = f"expected a name of its own for a second gate of a kind, got {gate.title!r}"
            yield Finding(("gates", index), message, f"write name: {gate.title}-2 into it")
        titles.add(gate.title)
    shares = sum(gate.share or 0 for gate in rollout.gates)
    if shares > FULL_BP:
        message = (
            f"expected shares of the gates of at most 100% together, got {format_share(shares)}"
        )
        yield Finding(("gates",), message)


def shares_bet(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A share of the evidence belongs to gates that hold evidence."""
    for index, gate in enumerate(rollout.gates):
        if gate.share is not None and (gate.dry_run or not gate.bets):
            why = "only reports" if gate.dry_run else "holds no evidence"
            message = f"expected no share for {gate.title}, which {why}"
            yield Finding(("gates", index, gate.kind, "share"), message, "remove it")


def coins_tossed(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A comparison needs a step in which both versions answer; at 0 % and 100 % there is none."""
    if any(0 < step.weight_bp < FULL_BP for step in rollout.plan().steps):
        return
    for index, gate in enumerate(rollout.gates if "gates" in rollout.model_fields_set else ()):
        if gate.coin:
            message = f"{gate.title} can never be decided: no step lets both versions answer"
            hint = "add a step with a weight between 0% and 100%, or use guard"
            yield Finding(("gates", index), message, hint, error=False)


def whole_traffic_watched(rollout: RolloutPolicy) -> Iterator[Finding]:
    """At 100 % there is nothing to compare with: some gate must look at the candidate alone."""
    plan = rollout.plan()
    whole_s = sum(step.hold_s for step in plan.steps if step.weight_bp == FULL_BP)
    if plan.ending is Ending.PROMOTE:
        whole_s += plan.bake_s
    acting = [gate for gate in rollout.gates if not gate.dry_run]
    if not whole_s or not acting or rollout.max_bad_responses is not None:
        return
    if all(gate.coin or gate.paired for gate in acting):
        known = ", ".join(gate.title for gate in acting)
        message = (
            f"no gate can be decided at 100%, where the candidate is for {format_duration(whole_s)}"
            f": {known} compare it with stable's answers of the same time"
        )
        yield Finding(("gates",), message, "add guard: {error_rate: 5%}", error=False)


def pairs_exist(rollout: RolloutPolicy) -> Iterator[Finding]:
    """Paired gates compare mirrored answers, so something must mirror."""
    mirrors = any(step.mirror_bp for step in rollout.plan().steps) or rollout.compare.reverse
    for index, gate in enumerate(rollout.gates):
        if gate.paired and not mirrors:
            message = f"expected a step with mirror, which {gate.kind} compares, got none"
            hint = "begin with - {mirror: 100%, until: {samples: 500}}"
            yield Finding(("gates", index), message, hint)


def copies_useful(rollout: RolloutPolicy) -> Iterator[Finding]:
    """Second calls to stable, and copies of the candidate's requests, need requests to copy."""
    steps = rollout.plan().steps
    if rollout.compare.noise and not any(step.mirror_bp for step in steps):
        message = "noise is never learnt: no step mirrors"
        yield Finding(("compare", "noise"), message, "add mirror to a step", error=False)
    if rollout.compare.reverse and not any(step.weight_bp for step in steps):
        message = "reverse copies nothing: the candidate never answers a client"
        hint = "remove it, or add then: {canary: ...}"
        yield Finding(("compare", "reverse"), message, hint, error=False)


def proof_possible(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A proof needs a step in which both versions answer."""
    mixed = any(0 < step.weight_bp < FULL_BP for step in rollout.plan().steps)
    if rollout.promotion is not None and not mixed:
        message = (
            "expected a step with a weight between 0% and 100%, which the proof needs, got none"
        )
        yield Finding(("promotion",), message, "both versions must answer at the same time")


def duration_suffices(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A maximum below the sum of the holds ends every rollout without a decision."""
    plan = rollout.plan()
    holds_s = sum(step.hold_s for step in plan.steps) + plan.bake_s
    if rollout.max_duration is not None and rollout.max_duration < holds_s:
        message = (
            f"expected at least the holds and the bake together ({format_duration(holds_s)}), got "
        )
        message += format_duration(rollout.max_duration)
        yield Finding(("max_duration",), message)


def rescue_useful(rollout: RolloutPolicy) -> Iterator[Finding]:
    """A shadow answers nobody, so nobody needs rescue from it."""
    alone = isinstance(rollout.strategy, Shadow) and rollout.strategy.then is None
    if alone and rollout.rescue is not None:
        message = "rescue has nothing to do in a shadow, which answers no client"
        yield Finding(("rescue",), message, "remove it", error=False)


def hooks_useful(rollout: RolloutPolicy) -> Iterator[Finding]:
    """Hooks have names of their own, and are asked at points that come."""
    titles: set[str] = set()
    for index, hook in enumerate(rollout.hooks):
        path: Path = ("hooks", index, hook.point)
        if hook.title in titles:
            message = f"expected a name of its own for a second hook, got {hook.title!r} again"
            yield Finding(path, message, f"write name: {hook.title}-2 into it")
        titles.add(hook.title)
        if hook.point == "confirm_promotion" and rollout.plan().ending is Ending.KEEP:
            message = "confirm_promotion is never asked: this strategy keeps stable"
            yield Finding(path, message, "remove it", error=False)


POLICY_RULES: tuple[Callable[[Policy], Iterator[Finding]], ...] = (
    unique_names,
    distinct_listeners,
    reachable_routes,
    groups_step_alike,
)
ROUTE_RULES: tuple[Callable[[Route], Iterator[Finding]], ...] = (
    known_versions,
    reachable_rules,
    endpoints_and_tls,
    shared_endpoints,
    registered_versions,
    scores_read,
    labels_arrive,
    segments_possible,
    split_whole,
    experiment_sound,
)
ROLLOUT_RULES: tuple[Callable[[RolloutPolicy], Iterator[Finding]], ...] = (
    weights_grow,
    approvals_end,
    gates_useful,
    shares_bet,
    coins_tossed,
    whole_traffic_watched,
    pairs_exist,
    copies_useful,
    proof_possible,
    duration_suffices,
    rescue_useful,
    hooks_useful,
)
