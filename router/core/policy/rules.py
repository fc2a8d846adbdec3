"""Rules that span several fields of a policy: pure functions from a policy to findings.

An *error* is a policy that could not do what it says, a *warning* probably not what was meant. Each
finding has the path of the field that should change. Further rules are in the modules beside.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping

from router.core.logged.redaction import names_field
from router.core.payloads.inputs import READABLE
from router.core.policy.cascades import feeds_joined
from router.core.policy.engine import engine_carries
from router.core.policy.finding import Finding, KeyPath
from router.core.policy.log_rules import log_reached
from router.core.policy.match import Match, ValueMatch
from router.core.policy.people import PEOPLE_RULES
from router.core.policy.producers import needs_met
from router.core.policy.registry import MlflowRegistry
from router.core.policy.rollout_rules import ROLLOUT_RULES
from router.core.policy.route import Route
from router.core.policy.server import Policy, is_loopback, split_address
from router.core.policy.tables import tables_have_models
from router.core.policy.traffic_rules import traffic_told_apart
from router.core.quantities import format_share
from router.core.strategies import Experiment, Shadow
from router.core.words import FULL_BP

NAME_CHARS_MAX = 63
"""Of a route, with its segment."""


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


def _below(path: KeyPath, found: Iterable[Finding]) -> Iterator[Finding]:
    for one in found:
        yield Finding(path + one.path, one.message, one.hint, one.error)


def _unknown_version(path: KeyPath, name: str, route: Route) -> Iterator[Finding]:
    if name not in route.versions:
        close = difflib.get_close_matches(name, route.versions, n=1)
        hint = f"did you mean {close[0]}?" if close else f"add {name} under versions"
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


def renamed_once(policy: Policy) -> Iterator[Finding]:
    """A former name is nobody's now, and one route's then."""
    names = {route.name for route in policy.routes}
    taken: set[str] = set()
    for index, route in enumerate(policy.routes):
        former = route.formerly
        if former in names:
            message = f"expected a name that no route has any more, got {former!r}"
            yield Finding(("routes", index, "formerly"), message, "remove it, or rename that route")
        elif former in taken:
            message = f"expected one route that was {former!r}, got a second one"
            yield Finding(("routes", index, "formerly"), message, "remove it")
        if former is not None:
            taken.add(former)


def approvers_known(policy: Policy) -> Iterator[Finding]:
    """Who is named to approve, or to review, has a token: nobody else can be told apart."""
    known = {token.name for token in policy.admin.tokens}
    for index, route in enumerate(policy.routes):
        named = [(("review", "by"), route.review.by)] if route.review is not None else []
        steps = route.rollout.plan().steps if route.rollout is not None else ()
        asked = [step.approval.by for step in steps if step.approval is not None]
        named += [(("rollout", "strategy"), by) for by in asked]
        for path, names in named:
            for name in sorted(set(names) - known):
                message = f"expected the name of a token in by, got {name!r}"
                hint = f"add to admin.tokens: {{name: {name}, role: ..., token: ...}}"
                yield Finding(("routes", index, *path), message, hint)


def distinct_listeners(policy: Policy) -> Iterator[Finding]:
    """Clients and administrators never share a port."""
    same = policy.listen == policy.admin.listen
    if same and not policy.listen.endswith(":0"):
        message = f"expected another address than listen, got {policy.listen!r} twice"
        host, _, port = policy.listen.rpartition(":")
        yield Finding(("admin", "listen"), message, f"for example {host}:{int(port) % 65_535 + 1}")


def no_endpoint_is_ours(policy: Policy) -> Iterator[Finding]:
    """A version at an address of this router would be asked by itself, again and again."""
    for key, address in (("listen", policy.listen), ("admin.listen", policy.admin.listen)):
        host, port = split_address(address)
        for index, route in enumerate(policy.routes):
            for name, version in route.versions.items():
                for at, endpoint in enumerate(version.endpoints):
                    if port and endpoint.port == port and _same_host(endpoint.host, host):
                        yield Finding(
                            ("routes", index, "versions", name, "endpoints", at),
                            f"expected the address of a version, got {endpoint}: that is {key}",
                            "a request would come back to this router without end",
                        )


def _same_host(one: str, listened: str) -> bool:
    """Whether ``one`` leads to a listener on ``listened``, as far as names tell."""
    one, listened = one.lower(), listened.lower()
    if one == listened:
        return True
    anywhere = listened in ("0.0.0.0", "::")
    return is_loopback(one) and (anywhere or is_loopback(listened))


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


def meets(first: Match, second: Match) -> bool:
    """Whether a request may match both, as far as that can be told from how they are written."""
    paths = [match.path if match.path is not None else "/*" for match in (first, second)]
    return (
        (first.covers_path(paths[1]) or second.covers_path(paths[0]))
        and (first.covers_host(second.host) or second.covers_host(first.host))
        and (not first.methods or not second.methods or bool({*first.methods} & {*second.methods}))
        and not any(
            _differ(one, other)
            for one, other in (
                (first.headers, second.headers),
                (first.query, second.query),
                (first.cookies, second.cookies),
                (first.body, second.body),
            )
        )
    )


def _differ(first: Mapping[str, ValueMatch], second: Mapping[str, ValueMatch]) -> bool:
    """Whether the two want one value to be two things."""
    return any(
        first[name].exact is not None
        and second[name].exact is not None
        and first[name].exact != second[name].exact
        for name in first.keys() & second.keys()
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
    if not isinstance(registry, MlflowRegistry):
        return
    path: KeyPath = ("registry", "mlflow", "versions")
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
        place: KeyPath = ("rollout", "strategy", "shadow", "also", index)
        yield from _unknown_version(place, name, route)
        if name in (route.stable, route.rollout.candidate):
            message = f"expected a further version, got {name!r}, which takes part already"
            yield Finding(place, message, "remove it")


def users_known(route: Route) -> Iterator[Finding]:
    """Who asks again is somebody."""
    for index, gate in enumerate(route.rollout.gates if route.rollout else ()):
        if gate.asked_again_s and route.sticky is None:
            path: KeyPath = ("rollout", "gates", index, "trust", "again")
            message = "expected sticky on the route, which says who asks again, got none"
            yield Finding(path, message, "add sticky: {header: X-User-Id}")


def answers_readable(route: Route) -> Iterator[Finding]:
    """A rescue from unreadable answers needs a payload that some bytes are not of."""
    rescue = route.rollout.rescue if route.rollout else None
    if rescue is not None and "schema" in rescue.on and route.payload == "opaque":
        path: KeyPath = ("rollout", "rescue", "on", rescue.on.index("schema"))
        message = "expected a payload that answers are read by, for schema can never fail in opaque"
        yield Finding(path, message, "add payload: json to the route")


def inputs_readable(route: Route) -> Iterator[Finding]:
    """What is refused for its fields has a payload in which fields are found."""
    unread = [name for name in route.payloads if name not in READABLE]
    if route.inputs is not None and unread:
        message = f"expected a payload whose requests can be read, got {unread[0]}"
        hint = f"add payload: json to the route, or another of {', '.join(READABLE)}"
        yield Finding(("inputs",), message, hint)


def payloads_met(route: Route) -> Iterator[Finding]:
    """A payload of a path that the route never takes would be read by nobody."""
    for path in route.payload_paths:
        if not (route.match.covers_path(path) or _takes_some(path, route.match.path or "*")):
            message = f"expected a path that the route takes ({route.match.path}), got {path}"
            yield Finding(("payload_paths", path), message, "correct it, or remove it")


def _takes_some(path: str, other: str) -> bool:
    """Whether the glob takes all or some of what ``other`` takes."""
    return path.endswith("*") and other.startswith(path[:-1])


def scores_readable(route: Route) -> Iterator[Finding]:
    """A score is looked for in answers that are read."""
    near = route.extraction.near if route.extraction else None
    if near is not None and route.payload == "opaque":
        message = "expected a payload that answers are read by, for opaque has no score"
        yield Finding(("extraction", "near", "score"), message, "add payload: json to the route")


def predictions_readable(route: Route) -> Iterator[Finding]:
    """Rows are looked for in bodies that are read."""
    if route.predictions is not None and route.payload == "opaque":
        message = "expected a payload that can be read beside predictions, got opaque"
        yield Finding(("predictions",), message, "add payload: json to the route")


def redacted_nowhere(route: Route) -> Iterator[Finding]:
    """What is kept nowhere is neither watched, nor what people are told of by its values."""
    names = frozenset(route.log.redact if route.log else ())
    for index, gate in enumerate(route.rollout.gates if names and route.rollout else ()):
        by = gate.segments.feature if gate.segments is not None else None
        told = by or (route.declared.label if gate.kind == "classes" else "")
        if told and names_field(told, names):
            message = f"{gate.title} would tell values of {told}, which log.redact keeps nowhere"
            hint = f"remove it, or take {told} out of log.redact"
            yield Finding(("rollout", "gates", index), message, hint)
    if names and route.monitors is not None and route.predictions is not None:
        declared = route.predictions.declared
        for name in (*declared.request_paths, *declared.answer_paths):
            if names_field(name, names):
                message = f"monitors would keep values of {name}, which log.redact keeps nowhere"
                hint = f"take {name} out of predictions, or out of log.redact"
                yield Finding(("monitors",), message, hint)


def streams_shaped(route: Route) -> Iterator[Finding]:
    """A stream is no JSON document: it is refused, or passes as it is."""
    answers = route.answers
    if answers is not None and answers.otherwise == "refuse" and route.payload == "openai":
        message = "streamed answers are no JSON document: they will be answered 502"
        hint = "write otherwise: pass to let them out as they are"
        yield Finding(("answers",), message, hint, error=False)


def reachable_rules(route: Route) -> Iterator[Finding]:
    """A rule after one that takes all of its requests can never decide."""
    for index, rule in enumerate(route.rules):
        if any(covers(earlier.match, rule.match) for earlier in route.rules[:index]):
            message = "expected a reachable rule, but an earlier one takes all its requests"
            yield Finding(("rules", index), message, "move it up, or make the earlier one narrower")
        if not meets(route.match, rule.match):
            message = "expected a rule for some requests of the route, but its match excludes them"
            yield Finding(("rules", index, "match"), message, "both matches must hold at once")


def endpoints_and_tls(route: Route) -> Iterator[Finding]:
    """Every endpoint once; TLS settings complete and in use."""
    for name, version in route.versions.items():
        path: KeyPath = ("versions", name)
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
    path: KeyPath = ("rollout", "for_each")
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
    path: KeyPath = ("rollout", "strategy", "experiment")
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


def _rewards_come(route: Route, path: KeyPath) -> Iterator[Finding]:
    if route.feedback is None:
        message = "expected feedback on the route, which brings the rewards, got none"
        yield Finding(path, message, "add feedback: {secret: ${NAME}} to the route")
    if route.pin or route.rules or route.priority:
        message = "expected a route without pin, rules and priority: forced requests are no draws"
        yield Finding(path, message, "make a route of its own for them")


def shared_endpoints(route: Route) -> Iterator[Finding]:
    """Two versions at one address are an A/A test, or a mistake."""
    owners: dict[object, str] = {}
    for name, version in route.versions.items():
        for index, endpoint in enumerate(version.endpoints):
            other = route.versions[owners.setdefault(endpoint, name)]
            if other is not version and other.set == version.set:
                message = f"{endpoint} is also an endpoint of {owners[endpoint]!r}"
                path = ("versions", name, "endpoints", index)
                yield Finding(path, message, "fine for an A/A test, wrong otherwise", error=False)


def edited_paths(route: Route) -> Iterator[Finding]:
    """A `*` of a version's path stands for that of the route."""
    for name, version in route.versions.items():
        if version.set and (version.set.path or "").endswith("*") and route.stem is None:
            path = ("versions", name, "set", "path")
            message = "expected a path without *: the route's own path has none to stand for"
            yield Finding(path, message, "write the whole path, or end match.path in *")


POLICY_RULES: tuple[Callable[[Policy], Iterator[Finding]], ...] = (
    unique_names,
    renamed_once,
    approvers_known,
    distinct_listeners,
    no_endpoint_is_ours,
    reachable_routes,
    groups_step_alike,
    feeds_joined,
    engine_carries,
    log_reached,
)
ROUTE_RULES: tuple[Callable[[Route], Iterator[Finding]], ...] = (
    known_versions,
    *PEOPLE_RULES,
    users_known,
    reachable_rules,
    endpoints_and_tls,
    shared_endpoints,
    edited_paths,
    traffic_told_apart,
    registered_versions,
    answers_readable,
    tables_have_models,
    inputs_readable,
    predictions_readable,
    redacted_nowhere,
    payloads_met,
    streams_shaped,
    scores_readable,
    needs_met,
    segments_possible,
    split_whole,
    experiment_sound,
)
