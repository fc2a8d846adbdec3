"""From policy and records to the routing table. Pure; the only maker of tables.

The candidate of a live rollout has its share, computed by
:func:`router.core.rollout.traffic.split_for`.
Everybody else's share is stable's. A version that was taken back cannot be reached at all: not by
the split, not by a pin, not by a rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from router.control.rollouts.knobs import (
    HEALTH,
    LIMITS,
    MIRRORING,
    OUTLIER,
    RETRY,
    TIMEOUTS,
    TLS,
    TUNNEL,
    VERSION,
)
from router.control.rollouts.lifecycle import stays_out
from router.control.rollouts.parts import (
    access_terms,
    answers_entry,
    cache_entry,
    edit_entry,
    extraction_entry,
    fallback_entry,
    inputs_entry,
    match_entry,
    payload_paths,
    quota_entry,
    rescue_entry,
    sticky_entry,
    trace_terms,
)
from router.control.rollouts.reviewed import review_entry
from router.control.state.record import Carried, RouteRecord
from router.core.evidence.waits import Waits
from router.core.gates.needs import Need
from router.core.policy import (
    Policy,
    RolloutPolicy,
    Route,
)
from router.core.policy.kept import judged, sampled_bp, sampled_headers
from router.core.policy.tunnels import Tunnels
from router.core.rollout.traffic import Split, offset_of
from router.core.wire import table
from router.core.wire.lookup import LookupEntry
from router.core.wire.origin import FeedsEntry
from router.core.wire.protection import (
    BatchEntry,
)
from router.core.wire.sampled import SamplingEntry
from router.core.wire.tunnels import TunnelEntry
from router.core.words import FULL_BP


class VersionEntries:
    """Those of one route, made once for each edit of it: a table is made on a rollback's way."""

    def __init__(self) -> None:
        self._route: Route | None = None
        self._made: dict[tuple[str, bool], table.VersionEntry] = {}

    def of(self, route: Route, name: str, *, live: bool) -> table.VersionEntry:
        """``live``: it is the candidate of a live rollout."""
        if route is not self._route:
            self._route, self._made = route, {}
        if (name, live) not in self._made:
            for way in {live, False}:  # what it will be when it was taken back is made as well
                self._made[name, way] = _version(name, route, live=way)
        return self._made[name, live]


@dataclass(frozen=True, slots=True)
class Situation:
    """One route at one moment: all that a table entry is made of."""

    route: Route
    record: RouteRecord
    thresholds_s: tuple[float, ...] = ()
    slow_tolerance: float = 0.0
    bets_a_user: int = 1
    together: int = 1
    waits: Waits | None = None
    back_bp: int = 0
    """What the candidate of an ended rollout still has while its traffic returns in steps."""
    salt: str = ""
    """What is hashed before sticky keys."""
    marks: str = ""
    """Key of the marks of routes that feed others."""
    versions: VersionEntries = field(default_factory=VersionEntries)

    @property
    def carried(self) -> Carried | None:
        """The rollout that has traffic: a live one, or one whose traffic is returning."""
        return self.record.carried if self.back_bp else self.record.live

    @property
    def slow_abort_s(self) -> float:
        """Age from which on a client that leaves without an answer was failed; 0: not known."""
        return self.waits.slow_abort_s if self.waits else 0.0

    @property
    def split(self) -> Split:
        """The shares that belong to it; nothing for a candidate without a live rollout."""
        live = self.record.live
        return live.split if live else Split(self.back_bp)


class BadTable(Exception):  # noqa: N818 - reads as what it is
    """A table that must never reach a worker: a bug of this program."""


def table_of(
    generation: int,
    policy: Policy,
    entries: tuple[table.RouteEntry, ...],
    before: table.RoutingTable | None = None,
    *,
    term: int = 0,
) -> table.RoutingTable:
    """The complete table. Raises BadTable when shares do not add up.

    ``before``: the last one, whose entries were looked at.
    """
    known = {id(entry) for entry in before.routes} if before else frozenset[int]()
    for entry in entries:
        if id(entry) not in known and (error := table.weights_error(entry)):
            raise BadTable(error)
    limits = policy.limits
    return table.RoutingTable(
        generation=generation,
        term=term,
        routes=entries,
        limits=LIMITS(limits, control_silence_s=policy.control_silence),
        trusted_proxies=policy.trusted_proxies,
        access_log=access_terms(policy.access_log),
        traces=trace_terms(policy.traces),
        tls=table.ListenerTls(policy.tls.certificate, policy.tls.key) if policy.tls else None,
        engine=policy.engine,
    )


def entry_of(situation: Situation) -> table.RouteEntry:
    """One route as the data plane needs it."""
    route, record = situation.route, situation.record
    names = list(route.versions)
    index = {name: i for i, name in enumerate(names)}
    carried = situation.carried
    rollout, pinned = (carried.rollout, carried.policy) if carried else (None, None)
    candidate = index[rollout.candidate] if rollout else -1
    out = taken_back(route, record)
    return table.RouteEntry(
        name=route.name,
        match=match_entry(route.match),
        versions=tuple(
            situation.versions.of(route, name, live=bool(record.live) and i == candidate)
            for name, i in index.items()
        ),
        stable=index[record.stable],
        candidate=candidate,
        rollout_id=rollout.id if rollout else "",
        attempt=rollout.attempt if rollout else 0,
        revision=record.revision,
        offset=offset_of(rollout.id) if rollout else 0,
        weights_bp=_weights(situation, names, out),
        mirrors=_mirrors(situation, index, out),
        mirror_limits=_mirror_limits(pinned) if pinned else table.MirrorLimits(),
        segment_header=_segment_header(pinned),
        pair_requests=_pair_requests(pinned) or _reviews_pairs(route),
        rules=_rules(route, index, out),
        sticky=sticky_entry(route.sticky, situation.salt) if route.sticky else None,
        pin=route.pin,
        pinnable=tuple(index[name] for name in names if name not in out) if route.pin else (),
        payload=route.payload,
        payload_paths=payload_paths(route),
        timeouts=TIMEOUTS(route.timeouts),
        rescue=rescue_entry(pinned.rescue) if pinned and pinned.rescue else None,
        retry=RETRY(route.retry),
        errors=route.errors,
        thresholds_s=situation.thresholds_s if rollout else (),
        slow_tolerance=situation.slow_tolerance if rollout else 0.0,
        judge=carried.pinned.text if carried else "",
        round=rollout.round if rollout else 0,
        bets_a_user=situation.bets_a_user,
        together=situation.together,
        slow_abort_s=situation.slow_abort_s if rollout else 0.0,
        answer_within_s=(pinned.answer_within or 0.0) if pinned else 0.0,
        quota=quota_entry(route.quota) if route.quota else None,
        extraction=extraction_entry(route.extraction) if route.extraction else None,
        inputs=inputs_entry(route, route.inputs) if route.inputs else None,
        answers=answers_entry(route.answers) if route.answers else None,
        review=review_entry(route, record, route.review) if route.review else None,
        fallback=fallback_entry(route.fallback) if route.fallback else None,
        cache=cache_entry(route.cache) if route.cache else None, batch=_batch(situation),
        sampling=_sampling(route, pinned),
        feeds=_feeds(route, situation.marks),
        loads=route.metrics is not None and route.metrics.orca,
        buffer_bytes=max(route.buffer, pinned.rescue.buffer if pinned and pinned.rescue else 0),
        body_limit_bytes=route.body_limit or 0,
        tunnel=_tunnel(route, out, index),
        expect_passed=route.expect == "pass",
        reveal_version=route.reveal_version,
        receipt_secret=route.feedback.secret.get_secret_value() if route.feedback else "",
    )  # fmt: skip


def scored_entry(
    route: Route, policy: RolloutPolicy, *, stable: str, version: str, at_once: int
) -> table.RouteEntry:
    """The route as one that only copies: all requests of ``stable`` to ``version``.

    ``at_once``: requests under way. Nothing is probed, and nobody is served.
    """
    entry = entry_of(Situation(route, RouteRecord(route.name, stable, stable)))
    index = {one.name: place for place, one in enumerate(entry.versions)}
    noise, limits = policy.compare.noise, _mirror_limits(policy)
    again = (table.Mirror(index[stable], noise),) if noise else ()
    return replace(
        entry, mirrors=(table.Mirror(index[version], FULL_BP), *again),
        versions=tuple(replace(one, health=table.HealthCheck()) for one in entry.versions),
        mirror_limits=replace(limits, concurrency=min(limits.concurrency, at_once)),
        segment_header=_segment_header(policy), pair_requests=_pair_requests(policy),
    )  # fmt: skip


def _rules(route: Route, index: dict[str, int], out: frozenset[str]) -> tuple[table.RuleEntry, ...]:
    return tuple(
        table.RuleEntry(match_entry(rule.match), index[rule.version])
        for rule in route.rules
        if rule.version not in out
    )


def _sampling(route: Route, pinned: RolloutPolicy | None) -> SamplingEntry | None:
    """Live requests are sampled where something reads their predictions."""
    gates = pinned.gates if pinned else ()
    share_bp = sampled_bp(route, gates)
    if not share_bp:
        return None
    headers = sampled_headers(route, gates)
    log = route.log
    heads = log is not None and log.replayable
    return SamplingEntry(share_bp, headers, judged(route, gates), log is not None, heads)


def _feeds(route: Route, secret: str) -> FeedsEntry | None:
    marks = any(feed.by is None for feed in route.feeds)
    if not (marks or route.fed_by):
        return None
    return FeedsEntry(secret, marks, bool(route.fed_by))


def _batch(situation: Situation) -> BatchEntry | None:
    if (priority := situation.route.priority) is None:
        return None
    live = situation.record.live
    weight_bp = live.split.candidate_bp if live else 0
    values = tuple(value.lower() for value in priority.batch)
    return BatchEntry(priority.header.lower(), values, priority.forced_bp(weight_bp))


def _weights(situation: Situation, names: list[str], out: frozenset[str]) -> tuple[int, ...]:
    """Shares by version; what a version that was taken back would get is stable's."""
    route, record, split = situation.route, situation.record, situation.split
    rollout = situation.carried.rollout if situation.carried else None
    wanted = dict(split.others) if rollout else dict(route.split)
    if rollout is not None:
        wanted[rollout.candidate] = split.candidate_bp
    shares = {name: bp for name, bp in wanted.items() if name in route.versions and name not in out}
    if rollout is not None:  # also while its share returns in steps, when it is `out` for pins
        shares[rollout.candidate] = split.candidate_bp
    rest = FULL_BP - sum(shares.values())
    shares[record.stable] = shares.get(record.stable, 0) + rest
    return tuple(shares.get(name, 0) for name in names)


def taken_back(route: Route, record: RouteRecord) -> frozenset[str]:
    """Versions that must not be reached, whoever asks."""
    serving = {record.stable}
    if live := record.live:
        serving.add(live.rollout.candidate)
    return frozenset(
        name
        for name, version in route.versions.items()
        if name not in serving and stays_out(route, record, name)
    )


# --- the parts --------------------------------------------------------------------------------


CONNECT_EVERY_S: Final = 1.0
"""Time between two connects to a candidate of a live rollout that declares no probe."""


def _version(name: str, route: Route, *, live: bool) -> table.VersionEntry:
    version = route.versions[name]
    if (looked := version.table) is not None:
        model = _version(looked.miss, route, live=live)
        header, path = (looked.key.header or "").lower(), looked.key.json_path or ""
        return replace(model, name=name, table=LookupEntry(looked.file, header, path, looked.fresh))
    health, edit = version.health, version.set
    checked = (
        HEALTH(health, host=(edit.host or "") if edit else "")
        if health
        else table.HealthCheck(interval_s=CONNECT_EVERY_S, connect=live)
    )
    server = version.tls.server_name or (edit.host_name if edit else None)
    return VERSION(
        version, name=name, tls=TLS(version.tls, server_name=server), health=checked,
        outlier=OUTLIER(version.outlier),
        edit=edit_entry(edit, route.stem or "") if edit else None,
    )  # fmt: skip


def _tunnel(route: Route, out: frozenset[str], index: dict[str, int]) -> TunnelEntry | None:
    if route.upgrade is None:
        return None
    tunnels = route.tunnels or Tunnels()
    closing = tunnels.on_rollback == "close"
    return TUNNEL(
        tunnels, closing=closing, cut=tuple(index[name] for name in sorted(out)) if closing else ()
    )


def _mirrors(
    situation: Situation, index: dict[str, int], out: frozenset[str]
) -> tuple[table.Mirror, ...]:
    """Who gets copies of whose requests: the candidate first, what is only shown after it."""
    live = situation.record.live
    if live is None:
        return ()
    split, compare, step = live.split, live.policy.compare, live.plan.steps[live.rollout.step]
    stable, candidate = index[situation.record.stable], index[live.rollout.candidate]
    made: list[table.Mirror] = []
    if share_bp := split.mirror_bp:
        made.append(table.Mirror(candidate, share_bp, users=step.mirror_users))
        also = (name for name in step.also if name in index and name not in out)
        made += [table.Mirror(index[name], share_bp, users=step.mirror_users) for name in also]
        if compare.noise:
            made.append(table.Mirror(stable, max(share_bp * compare.noise // FULL_BP, 1)))
    if split.candidate_bp and compare.reverse and stable != candidate:
        made.append(table.Mirror(stable, compare.reverse, of=candidate))
    return tuple(made)


def _pair_requests(pinned: RolloutPolicy | None) -> bool:
    """Features are read from requests, so those that are compared by features go along."""
    gates = (g for g in pinned.gates if g.needs & {Need.PAIRS, Need.BOTH}) if pinned else ()
    return any(g.requests or (g.segments is not None and g.segments.feature) for g in gates)


def _reviews_pairs(route: Route) -> bool:
    """People see what was asked where answers differ."""
    return route.review is not None and route.review.disagreement > 0


def _segment_header(pinned: RolloutPolicy | None) -> str:
    segment = pinned.compare.segment if pinned else None
    return segment.header.lower() if segment else ""


def _mirror_limits(pinned: RolloutPolicy) -> table.MirrorLimits:
    limits = pinned.mirroring
    strip = tuple(sorted(_low(limits.strip_headers) - _low(limits.keep_headers)))
    return MIRRORING(limits, strip_headers=strip)


def _low(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)
