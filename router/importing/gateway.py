"""A Gateway API ``HTTPRoute`` (gateway.networking.k8s.io) as one of our routes.

It says who gets what share now, and nothing of what comes next: a weight is a step that a person
ends. The heavier backend is stable, the other one the candidate.
"""

from __future__ import annotations

from typing import Any

from router.config.problems import Path
from router.core.quantities import format_share
from router.core.words import FULL_BP
from router.importing.draft import Draft
from router.importing.manifest import Manifest, seconds_text, share_text
from router.importing.written import WrittenConditions, WrittenPlateau

HEADER_WAYS = {"Exact": "exact", "RegularExpression": "regex"}
"""Their ways of comparing a header's value, and ours."""

Backend = tuple[str, int]
"""Address and weight."""


def translate(route: Manifest, others: list[Manifest]) -> Draft:  # noqa: ARG001 - all take it
    """The route for an HTTPRoute; nothing of `others` is needed."""
    draft = Draft(route.text("metadata", "name", default="imported"), "HTTPRoute")
    hosts = [str(host) for host in route.items("spec", "hostnames")]
    if hosts:
        route.taken.add(("spec", "hostnames"))
        draft.match["host"] = hosts[0].lower()
    if len(hosts) > 1:
        route.note(("spec", "hostnames"), "names several hosts; a route has one, repeat it")
    if route.get("spec", "parentRefs") is not None:
        route.note(("spec", "parentRefs"), "is about the gateway; clients must reach this router")
    rules = range(len(route.items("spec", "rules")))
    backends = {index: _backends(route, ("spec", "rules", index)) for index in rules}
    main = next((index for index in rules if _divides(route, index)), None)
    if main is None:
        main = next((index for index in rules if not _headers(route, index)), 0)
    _main(route, draft, main, backends.get(main, []))
    for index in rules:
        if index != main:
            _other(route, draft, index, backends[index])
    if not draft.candidate_url:
        draft.candidate_url = "http://candidate:80"
        draft.notes.append("it names no second backend; the candidate's address is a guess")
    if not draft.strategy:
        draft.strategy = {"blue_green": {"approval": {}}}
        draft.notes.append("it moves no share by weight; a person says when all traffic moves")
    draft.gates = ["guard"] if "blue_green" in draft.strategy else ["error_rate", "guard"]
    return draft


def _divides(route: Manifest, index: int) -> bool:
    """Whether a rule splits or copies."""
    rule: Path = ("spec", "rules", index)
    copies = any(_kind(one) == "RequestMirror" for one in route.items(*rule, "filters"))
    return copies or len(route.items(*rule, "backendRefs")) > 1


def _kind(item: Any) -> str:
    return str(item.get("type", "")) if isinstance(item, dict) else ""


def _headers(route: Manifest, index: int) -> bool:
    return bool(route.get("spec", "rules", index, "matches", 0, "headers"))


def _backends(route: Manifest, rule: Path) -> list[Backend]:
    found = []
    for index in range(len(route.items(*rule, "backendRefs"))):
        here = (*rule, "backendRefs", index)
        weight = route.take(*here, "weight", default=1)
        found.append((_address(route, here), weight if isinstance(weight, int) else 1))
    return found


def _address(route: Manifest, here: Path) -> str:
    """The service of a reference; of another kind of thing only the name is known."""
    name = route.text(*here, "name", default="unknown")
    namespace = route.text(*here, "namespace") or route.text("metadata", "namespace")
    port = route.take(*here, "port", default=80)
    route.take(*here, "group")
    if route.take(*here, "kind", default="Service") != "Service":
        route.note((*here, "kind"), "is no Service; check the address")
    return f"http://{name}{'.' if namespace else ''}{namespace}:{port}"


def _main(route: Manifest, draft: Draft, index: int, backends: list[Backend]) -> None:
    """The rule that splits or copies, or answers whoever no other rule answers."""
    rule: Path = ("spec", "rules", index)
    draft.match.update(_conditions(route, (*rule, "matches")))
    if limit := _limit(route, (*rule, "timeouts", "request")):
        draft.timeouts["total"] = limit
    if limit := _limit(route, (*rule, "timeouts", "backendRequest")):
        draft.timeouts["response"] = limit
    ranked = sorted(backends, key=lambda backend: -backend[1])
    draft.stable_url = ranked[0][0] if ranked else "http://stable:80"
    if len(ranked) > 1:
        draft.candidate_url = ranked[1][0]
        whole = ranked[0][1] + ranked[1][1]
        share = round(ranked[1][1] * FULL_BP / whole) if whole else 0
        if share:
            step: WrittenPlateau = {"weight": format_share(share), "approval": {}}
            draft.strategy = {"canary": {"steps": [step]}}
    if len(ranked) > 2:
        remark = "has more than two backends; the two with the highest weights were taken"
        route.note((*rule, "backendRefs"), remark)
    for place, one in enumerate(route.items(*rule, "filters")):
        if _kind(one) == "RequestMirror":
            _mirror(route, draft, (*rule, "filters", place))


def _limit(route: Manifest, path: Path) -> str | None:
    """A duration; 0s there is no limit, which is ours where nothing is said."""
    text = seconds_text(route.take(*path, default=""))
    return text if text and text.strip("0msh.") else None


def _mirror(route: Manifest, draft: Draft, here: Path) -> None:
    target = _address(route, (*here, "requestMirror", "backendRef"))
    share: str | None = "100%"
    if (percent := route.get(*here, "requestMirror", "percent")) is not None:
        share = share_text(percent)
    elif (part := route.get(*here, "requestMirror", "fraction")) is not None:
        whole = part.get("denominator", 100) if isinstance(part, dict) else 100
        share = share_text(part.get("numerator"), whole) if isinstance(part, dict) else None
    route.taken.add(here)
    if share is None:
        route.note(here, "has a share that is not understood; everything is copied")
    mirror = share or "100%"
    if not draft.candidate_url:
        draft.candidate_url = target
        draft.strategy = {"canary": {"steps": [{"mirror": mirror, "approval": {}}], "ramp": "auto"}}
        route.note(here, "says nothing of what follows; a person ends it, then evidence decides")
    elif draft.candidate_url == target and "canary" in draft.strategy:
        for step in draft.strategy["canary"]["steps"]:
            step["mirror"] = mirror
    elif draft.candidate_url == target:
        draft.strategy = {"blue_green": {"mirror": mirror, "approval": {}}}
    else:
        route.note(here, "copies to a third backend, which has no counterpart")


def _other(route: Manifest, draft: Draft, index: int, backends: list[Backend]) -> None:
    """A rule that sends whom its headers name to the candidate; any other is a route of its own."""
    rule: Path = ("spec", "rules", index)
    addresses = [address for address, _ in backends]
    if _headers(route, index) and not draft.candidate_url and len(addresses) == 1:
        draft.candidate_url = addresses[0]
    versions = {draft.stable_url: "stable", draft.candidate_url: "candidate"}
    if len(addresses) != 1 or addresses[0] not in versions or not _headers(route, index):
        route.note(rule, "is a route of its own; write it beside this one")
        return
    conditions = _conditions(route, (*rule, "matches"))
    draft.rules.append({"match": conditions, "version": versions[addresses[0]]})
    route.note(
        (*rule, "matches"), "became a rule below this route's path; a fixed choice is no evidence"
    )


def _conditions(route: Manifest, matches: Path) -> WrittenConditions:
    """The first of the matches; further ones, and what it has no word for, are remarked on."""
    found: WrittenConditions = {}
    if len(route.items(*matches)) > 1:
        route.note((*matches, 1), "is another way to match; repeat the route for it")
    kind = route.take(*matches, 0, "path", "type", default="PathPrefix")
    path = str(route.take(*matches, 0, "path", "value", default="/"))
    if kind == "Exact":
        found["path"] = path
    elif kind != "PathPrefix":
        route.note((*matches, 0, "path"), "is an expression; a route has a path or a prefix")
    elif path != "/":
        found["path"] = f"{path}*"
        if not path.endswith("/"):
            remark = f"covers whole elements there; here {path}* covers {path}x as well"
            route.note((*matches, 0, "path", "value"), remark)
    headers: dict[str, dict[str, str]] = {}
    for index in range(len(route.items(*matches, 0, "headers"))):
        here = (*matches, 0, "headers", index)
        way = HEADER_WAYS.get(str(route.take(*here, "type", default="Exact")))
        name = route.text(*here, "name").lower()
        value = route.text(*here, "value")
        if way and name:
            headers[name] = {way: value}
        else:
            route.note(here, "has a condition that is not understood")
    if headers:
        found["headers"] = headers
    return found
