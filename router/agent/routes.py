"""The routes of a table as Envoy's route configuration: who takes a request, and at which weight.

Envoy chooses a host's block before a path, a policy the first route of all; so each host that the
policy names gets a block with everything that may take it, in the policy's order.

Each Envoy route carries in its metadata its mark and the weight it was made with: metadata
belongs to the route that a request was matched with, so its record tells the moment of routing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from router.agent.filtering import told, told_bp
from router.agent.naming import (
    COMPARER,
    GRPC,
    PLAIN,
    ROUTES,
    SPACE,
    TYPE,
    EnvoyJson,
    compared,
    duration,
    live,
    rescued,
    shadow,
)
from router.core.wire.grpc_status import failing_calls
from router.core.wire.table import MatchEntry, MatchKind, RouteEntry, StickyKind, ValueEntry
from router.core.words import FULL_BP

_PRIORITIES: Final = "envoy.extensions.retry.priority.previous_priorities.v3"
RETRY_SOON: Final = {"base_interval": "0.001s", "max_interval": "0.001s"}
"""Envoy's own pause before a second try is up to 25 ms, which a client would wait."""


class Placed(NamedTuple):
    """An entry of a table, and what nothing else is called that any agent ever offered.

    A generation is not enough: each leader, and each life of one, counts them from 1.
    """

    mark: str
    entry: RouteEntry


class Piece(NamedTuple):
    """Neighbouring places (of 10,000) of one version, from 0 on."""

    version: int
    width: int


def route_configuration(placed: Sequence[Placed]) -> EnvoyJson:
    """All of them; clusters that do not exist make Envoy refuse it whole."""
    hosts = sorted({one.entry.match.host for one in placed if one.entry.match.host})
    blocks = [_block(host, placed) for host in hosts]
    return {
        "@type": f"{TYPE}envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES, "validate_clusters": True, "ignore_port_in_host_matching": True,
        "virtual_hosts": [*blocks, _block("", placed)],
    }  # fmt: skip


def _block(host: str, placed: Iterable[Placed]) -> EnvoyJson:
    mine = (one for one in placed if _takes(one.entry.match.host, host))
    return {
        "name": host or "*",
        "domains": [host or "*"],
        "include_request_attempt_count": True,
        "routes": [route for one in mine for route in _routes(*one)],
    }


def _takes(pattern: str, host: str) -> bool:
    """Whether every name of a host's block is one that the pattern takes."""
    if pattern in {"", host}:
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:])


def _routes(mark: str, entry: RouteEntry) -> Iterator[EnvoyJson]:
    """Pins, rules, then the split; each for gRPC first."""
    mine: EnvoyJson = {"route": entry.name, "mark": mark}
    for index in entry.pinnable if entry.pin else ():
        name = entry.versions[index].name
        pinned = ValueEntry("x-rampway-pin", MatchKind.EXACT, name)
        match = replace(entry.match, headers=(*entry.match.headers, pinned))
        yield from _both(entry, match, index, mine)
    for rule in entry.rules:
        if (met := both_hold(entry.match, rule.match)) is not None:
            yield from _both(entry, met, rule.version, mine)
    yield from _both(entry, entry.match, -1, {**mine, "weight": weight_bp(entry)})


def _both(
    entry: RouteEntry, match: MatchEntry, forced: int, mine: EnvoyJson
) -> Iterator[EnvoyJson]:
    """``forced``: the version, where nothing is drawn; else -1."""
    mine = {**mine, "forced": 1} if forced >= 0 else mine
    share_bp = told_bp(entry) if forced < 0 else 0
    for speech in (GRPC, PLAIN):
        matched = _match(match)
        if speech == GRPC:
            matched["grpc"] = {}
        made: EnvoyJson = {
            "match": matched,
            "route": {**_action(entry, speech), **_target(entry, forced, speech)},
            "metadata": {"filter_metadata": {SPACE: mine}},
        }
        if entry.rescue is not None:
            made["request_body_buffer_limit"] = entry.rescue.buffer_bytes
        if entry.reveal_version:
            made["response_headers_to_add"] = [{
                "header": {"key": "x-rampway-version",
                           "value": f"%UPSTREAM_METADATA({SPACE}:version)%"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }]  # fmt: skip
        if share_bp:
            yield told(made, matched, mine, share_bp)
        if share_bp < FULL_BP:
            yield made


# --- who answers ----------------------------------------------------------------------------------


def pieces(entry: RouteEntry) -> list[Piece]:
    """The intervals of :class:`router.core.rollout.traffic.Draw`, in the order of places.

    The candidate's begins at the offset, the others follow; what goes past the end begins at 0.
    """
    order = [entry.candidate] if entry.candidate >= 0 else []
    order += [index for index in range(len(entry.weights_bp)) if index != entry.candidate]
    begun, found = entry.offset, []
    for index in order:
        width = entry.weights_bp[index]
        begin, begun = begun % FULL_BP, begun + width
        over = max(begin + width - FULL_BP, 0)
        found += [(0, over, index), (begin, width - over, index)]
    return [Piece(index, width) for _, width, index in sorted(found) if width]


def weight_bp(entry: RouteEntry) -> int:
    """The candidate's share among both arms, as the recorder has it; 0 where nothing is drawn."""
    if not entry.evidence:
        return 0
    candidate, stable = entry.weights_bp[entry.candidate], entry.weights_bp[entry.stable]
    return round(candidate * FULL_BP / (candidate + stable))


def cluster_of(entry: RouteEntry, version: int, speech: str) -> str:
    """Where a version's share goes: a candidate that stable may stand in for, with that."""
    if version == entry.candidate and entry.rescue is not None:
        return rescued(entry, speech)
    return live(entry.name, entry.versions[version].name, speech)


def _target(entry: RouteEntry, forced: int, speech: str) -> EnvoyJson:
    if forced >= 0:
        return {"cluster": cluster_of(entry, forced, speech)}
    shares = pieces(entry)
    if len({one.version for one in shares}) == 1:
        return {"cluster": cluster_of(entry, shares[0].version, speech)}
    chosen: EnvoyJson = {
        "clusters": [
            {"name": cluster_of(entry, one.version, speech), "weight": one.width} for one in shares
        ]
    }
    sticky = entry.sticky
    if sticky is None or sticky.kind is not StickyKind.HEADER:
        return {"weighted_clusters": chosen}
    header: EnvoyJson = {"header_name": sticky.name}
    if sticky.salt:
        # The empty place at the beginning is replaced: whatever bytes the key has, none is lost.
        salted = sticky.salt.replace("\\", "\\\\")
        header["regex_rewrite"] = {"pattern": {"regex": "^"}, "substitution": salted}
    return {
        "weighted_clusters": {**chosen, "use_hash_policy": True},
        "hash_policy": [{"header": header}],
    }


def _action(entry: RouteEntry, speech: str) -> EnvoyJson:
    made: EnvoyJson = {
        "timeout": duration(entry.timeouts.total_s),
        "max_stream_duration": {"grpc_timeout_header_max": "0s"},
        "retry_policy": _again(entry),
    }
    mirrors = [one for one in entry.mirrors if one.of < 0]
    copied = [_copy(entry, one.version, one.share_bp, speech) for one in mirrors]
    if copied:
        # One copy to the comparer is enough: it has the shares of its own table.
        whole = speech == PLAIN or compared(entry)
        made["request_mirror_policies"] = copied[:1] if whole else copied
    return made


def _copy(entry: RouteEntry, version: int, share_bp: int, speech: str) -> EnvoyJson:
    whole = speech == PLAIN or compared(entry)
    name = COMPARER if whole else shadow(entry.name, entry.versions[version].name)
    share = max(one.share_bp for one in entry.mirrors) if whole else share_bp
    return {
        "cluster": name,
        "disable_shadow_host_suffix_append": True,
        "runtime_fraction": {"default_value": {"numerator": share, "denominator": "TEN_THOUSAND"}},
    }


def _again(entry: RouteEntry) -> EnvoyJson:
    """When an attempt is made again: on stable where there is a rescue, else where nobody heard."""
    rescue = entry.rescue
    idle = {
        "per_try_idle_timeout": duration(entry.timeouts.response_s), "retry_back_off": RETRY_SOON,
    }  # fmt: skip
    if rescue is None:
        wanted = "connect-failure,refused-stream" if entry.retry.attempts else ""
        return {"retry_on": wanted, "num_retries": max(entry.retry.attempts, 1), **idle}
    causes = ["retriable-headers", "retriable-status-codes"]
    if rescue.connect or rescue.timeout:  # Envoy does not tell the two apart
        causes += ["connect-failure", "refused-stream", "reset"]
    exact = sorted({
        status for one in rescue.statuses
        for status in (range(one * 100, one * 100 + 100) if one < 10 else (one,))
    })  # fmt: skip
    calls = "|".join(map(str, failing_calls(rescue.statuses)))
    made: EnvoyJson = {
        "retry_on": ",".join(causes), "num_retries": 1, **idle,
        "retriable_headers": [
            {"name": "grpc-status", "string_match": {"safe_regex": {"regex": calls}}}
        ] if calls else [],
        "retriable_status_codes": exact,
        "retry_priority": {"name": "envoy.retry_priorities.previous_priorities", "typed_config": {
            "@type": f"{TYPE}{_PRIORITIES}.PreviousPrioritiesConfig", "update_frequency": 1,
        }},
    }  # fmt: skip
    if rescue.deadline_s:
        made["per_try_timeout"] = duration(rescue.deadline_s)
    return made


# --- which requests -------------------------------------------------------------------------------


def both_hold(route: MatchEntry, rule: MatchEntry) -> MatchEntry | None:
    """The conditions of both; None where no path meets both."""
    paths = sorted((route.path, rule.path), key=_narrow)
    if not _within(paths[0], paths[1]):
        return None
    methods = tuple(m for m in route.methods or rule.methods if m in (rule.methods or (m,)))
    if route.methods and rule.methods and not methods:
        return None
    return replace(
        route, path=paths[0], methods=methods, headers=(*route.headers, *rule.headers),
        query=(*route.query, *rule.query),
    )  # fmt: skip


def _narrow(path: str) -> tuple[bool, int]:
    return path.endswith("*"), -len(path)


def _within(narrow: str, wide: str) -> bool:
    if wide.endswith("*"):
        return narrow.startswith(wide[:-1])
    return narrow == wide


def _match(match: MatchEntry) -> EnvoyJson:
    path = match.path
    made: EnvoyJson = {"prefix": path[:-1] or "/"} if path.endswith("*") else {"path": path}
    headers = [_header(one) for one in match.headers]
    if match.methods:
        methods = "|".join(map(re.escape, match.methods))
        headers.append({"name": ":method", "string_match": {"safe_regex": {"regex": methods}}})
    if headers:
        made["headers"] = headers
    if match.query:
        made["query_parameters"] = [_parameter(one) for one in match.query]
    return made


def _header(one: ValueEntry) -> EnvoyJson:
    if one.kind is MatchKind.PRESENT:
        return {"name": one.name, "present_match": True}
    return {"name": one.name, "string_match": _string(one)}


def _parameter(one: ValueEntry) -> EnvoyJson:
    if one.kind is MatchKind.PRESENT:
        return {"name": one.name, "present_match": True}
    return {"name": one.name, "string_match": _string(one)}


def _string(one: ValueEntry) -> EnvoyJson:
    if one.kind is MatchKind.REGEX:
        return {"safe_regex": {"regex": one.value}}
    return {one.kind.value: one.value}
