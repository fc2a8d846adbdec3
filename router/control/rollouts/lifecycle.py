"""Which rollout exists: what a policy means beside what was already decided.

A policy file says what should be; the record says what happened. Where they meet, these rules hold:

* A rollout is carried out by the policy it **began with**. An edit of its plan or gates waits for
  the next attempt; it never skips, resets or promotes.
* Only a command ends a live rollout. Taking it out of the file does not; another candidate waits
  for its end (``on_new_candidate: queue``) or takes its place after an abort (``replace``).
* A candidate whose *endpoints* changed is another candidate: the old rollout is aborted and a new
  one begins at its first step, since what was measured belonged to something else.
* After a promotion the candidate **is** stable, until the file names another ``stable`` than it
  named before.
* A candidate that was taken back stays out: starting, reloading, editing its plan or an old file
  brings nothing back. Only ``retry`` does.
* A file that no longer has the version which answers is refused, unless forced.

Everything here is pure: it computes what should happen and leaves the doing to the reconciler.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from router.control.state.record import (
    BLOCKED_MAX,
    RETRIES_MAX,
    Carried,
    Identity,
    Pinned,
    RouteRecord,
    kept,
)
from router.core.policy import RolloutPolicy, Route, Version
from router.core.policy.anti_flap import DAY_S
from router.core.rollout.events import Abort
from router.core.rollout.machine import decide
from router.core.rollout.plan import Ending
from router.core.rollout.rollout import Phase, Rollout, begin

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deed:
    """One change of a record that a policy asks for, with its entry for the journal."""

    action: str
    record: RouteRecord
    reason: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What a policy means for one route."""

    record: RouteRecord
    deeds: tuple[Deed, ...] = ()
    """In order; the last one's record is :attr:`record`."""
    problems: tuple[str, ...] = ()
    """Why the file cannot be accepted as it is."""
    notes: tuple[str, ...] = ()
    """What an operator should know: an edit that waits, a candidate that stays out."""


def candidate_key(name: str, version: Version) -> str:
    """``name@digest`` of a version: the same name at other endpoints is another candidate."""
    endpoints = sorted(str(endpoint) for endpoint in version.endpoints)
    return f"{name}@{_digest([endpoints, version.tls.model_dump(mode='json')])}"


def settle(
    route: Route,
    record: RouteRecord | None,
    now: float,
    *,
    force: bool = False,
    starting: bool = False,
) -> Settled:
    """What ``route`` of an accepted policy means beside ``record``; ``now`` is rollout clock.

    ``starting``: there is no older policy to fall back to, so a ``stable`` that cannot be taken
    over is left where the record has it, and said; only a missing version keeps a start away.
    """
    if record is None:
        fresh = RouteRecord(route.name, route.stable, route.stable)
        return _new_candidate(route, Settled(fresh), now)
    settled = Settled(record)
    missing, conflict = _missing(route, record), _stable_conflict(route, record)
    problems = (*missing, conflict) if conflict else missing
    if conflict and starting and not missing and not force:
        return _new_candidate(route, _noted(settled, conflict), now)
    if problems and not force:
        return Settled(record, (), problems)
    if problems and (live := record.live):
        settled = _aborted(settled, live, f"the policy was forced: {problems[0]}", now)
    return _new_candidate(route, _new_stable(route, settled), now)


def removal(record: RouteRecord) -> str:
    """Why a route cannot leave the policy now; empty when it can."""
    if record.rollout is None or not record.rollout.phase.live:
        return ""
    return (
        f"{record.route}: the route is gone from the policy but its rollout of "
        f"{record.rollout.candidate} is {record.rollout.phase.value}; abort it first"
    )


def advanced(record: RouteRecord, carried: Carried, rollout: Rollout) -> RouteRecord:
    """The record after ``carried`` moved to ``rollout``."""
    record = replace(
        record, rollout=rollout, pinned=carried.pinned,
        revision=max(record.revision, rollout.revision),
    )  # fmt: skip
    if rollout.phase is Phase.COMPLETED:
        if carried.plan.ending is Ending.PROMOTE:
            return replace(record, stable=rollout.candidate)
        return replace(record, done=_remembered(record.done, carried.pinned.identity))
    if rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK):
        blocked = _remembered(record.blocked, carried.key)
        return replace(record, stable=rollout.stable, blocked=blocked)
    return replace(record, blocked=tuple(b for b in record.blocked if b != carried.key))


def retried(record: RouteRecord, key: str, now: float) -> RouteRecord:
    """The record with one more retry of the candidate ``key``."""
    recent = [(k, at) for k, at in record.retries if now - at < DAY_S]
    return replace(record, retries=(*recent, (key, now))[-RETRIES_MAX:])


def begun(route: Route, record: RouteRecord, policy: RolloutPolicy, now: float) -> Carried:
    """A new rollout of ``policy.candidate`` at its first step; :func:`entered` puts it in."""
    rollout = begin(
        f"{record.route}-{record.number + 1}", record.route, record.stable, policy.candidate,
        revision=record.revision + 1, now=now,
    )  # fmt: skip
    return Carried(rollout, Pinned.of(policy, identity(route, policy)))


def entered(record: RouteRecord, new: Carried) -> RouteRecord:
    """The record with a rollout that was just begun."""
    return replace(
        record, rollout=new.rollout, revision=new.rollout.revision, number=record.number + 1,
        pinned=new.pinned, blocked=tuple(b for b in record.blocked if b != new.key),
    )  # fmt: skip


def identity(route: Route, policy: RolloutPolicy) -> Identity:
    """What a rollout is about: the candidate at its endpoints, and the plan."""
    key = candidate_key(policy.candidate, route.versions[policy.candidate])
    strategy = policy.model_dump(mode="json", include={"strategy"})
    return Identity(key, _digest(strategy))


def waiting_candidate(route: Route, record: RouteRecord) -> str:
    """The policy's candidate that ``retry`` would start, since it was taken back; or empty."""
    policy = route.rollout
    if policy is None or policy.candidate in ("", record.stable):
        return ""
    key = candidate_key(policy.candidate, route.versions[policy.candidate])
    return policy.candidate if key in record.blocked else ""


# --- the rules ------------------------------------------------------------------------------


def _missing(route: Route, record: RouteRecord) -> tuple[str, ...]:
    """Versions that answer now and are not in the file."""
    needed = {record.stable: "is stable"}
    if live := record.live:
        rollout = live.rollout
        needed |= {rollout.stable: "is stable", rollout.candidate: f"is {rollout.phase.value}"}
        others = live.plan.steps[rollout.step].others
        needed |= {name: f"takes part in the rollout of {rollout.candidate}" for name, _ in others}
    return tuple(
        f"{route.name}: version {name} {what} but the policy has no such version any more; "
        "keep it, or force the policy"
        for name, what in needed.items()
        if name not in route.versions
    )


def _stable_conflict(route: Route, record: RouteRecord) -> str:
    """A new ``stable`` while a rollout is live, or one that was taken back; or nothing."""
    if route.stable in (record.declared_stable, record.stable):
        return ""
    rollout = record.rollout
    if rollout is not None and rollout.phase.live:
        return (
            f"{route.name}: stable cannot become {route.stable} while the rollout of "
            f"{rollout.candidate} is {rollout.phase.value}; promote or abort it first"
        )
    version = route.versions.get(route.stable)
    if version is not None and candidate_key(route.stable, version) in record.blocked:
        return (
            f"{route.name}: stable cannot become {route.stable}, which was taken back; "
            "retry its rollout, or force the policy"
        )
    return ""


def _new_stable(route: Route, settled: Settled) -> Settled:
    record = settled.record
    if route.stable == record.declared_stable and record.stable in route.versions:
        return settled
    rollout = record.rollout
    if rollout is not None and rollout.phase.live and record.stable in route.versions:
        return settled  # stable was renamed to what it is already, or conflicts were reported
    blocked = record.blocked
    if (version := route.versions.get(route.stable)) is not None:
        key = candidate_key(route.stable, version)
        blocked = tuple(b for b in blocked if b != key)
    changed = replace(
        record, declared_stable=route.stable, stable=route.stable, revision=record.revision + 1,
        blocked=blocked,
    )  # fmt: skip
    if record.stable == route.stable:
        return replace(settled, record=changed)
    reason = f"the policy names {route.stable} stable instead of {record.stable}"
    return replace(settled, record=changed, deeds=(*settled.deeds, Deed("stable", changed, reason)))


def _new_candidate(route: Route, settled: Settled, now: float) -> Settled:
    """Begin, queue or leave out the policy's candidate."""
    record, policy = settled.record, route.rollout
    if policy is None or policy.candidate not in route.versions:
        return _noted(settled, _left_running(record))
    if live := record.live:
        return _beside_live(route, policy, settled, live, now)
    if policy.candidate == record.stable or identity(route, policy) in record.done:
        return settled
    if candidate_key(policy.candidate, route.versions[policy.candidate]) in record.blocked:
        return _noted(settled, f"{policy.candidate} was taken back; `retry` starts it again")
    return _begin(route, policy, settled, now)


def _beside_live(
    route: Route, policy: RolloutPolicy, settled: Settled, live: Carried, now: float
) -> Settled:
    record, rollout = settled.record, live.rollout
    key = candidate_key(policy.candidate, route.versions[policy.candidate])
    if policy.candidate == rollout.candidate:
        if live.key != key:
            why = f"the endpoints of {policy.candidate} changed; its rollout begins anew"
            return _begin(route, policy, _aborted(settled, live, why, now), now)
        if kept(policy) != live.policy:
            return _noted(
                settled,
                f"the rollout of {rollout.candidate} goes on by the policy it began with; "
                "the edit holds from its next attempt",
            )
        return settled
    if key in record.blocked:
        return _noted(settled, f"{policy.candidate} was taken back; `retry` starts it again")
    if policy.on_new_candidate == "replace":
        why = f"{policy.candidate} takes the place of {rollout.candidate}"
        return _begin(route, policy, _aborted(settled, live, why, now), now)
    return _noted(
        settled, f"{policy.candidate} waits until the rollout of {rollout.candidate} has ended"
    )


def _left_running(record: RouteRecord) -> str:
    rollout = record.rollout
    if rollout is None or not rollout.phase.live:
        return ""
    return (
        f"the policy has no rollout any more; that of {rollout.candidate} goes on by the policy "
        "it began with; `abort` ends it"
    )


def _begin(route: Route, policy: RolloutPolicy, settled: Settled, now: float) -> Settled:
    new = begun(route, settled.record, policy, now)
    record = entered(settled.record, new)
    deed = Deed("start", record, new.rollout.reason)
    return replace(settled, record=record, deeds=(*settled.deeds, deed))


def _aborted(settled: Settled, live: Carried, why: str, now: float) -> Settled:
    rollout = decide(live.rollout, live.plan, Abort(actor="policy", reason=why), now)
    ended = advanced(settled.record, live, rollout)
    deed = Deed("abort", ended, rollout.reason)
    return replace(settled, record=ended, deeds=(*settled.deeds, deed))


def _noted(settled: Settled, note: str) -> Settled:
    return replace(settled, notes=(*settled.notes, note)) if note else settled


def _remembered(known: tuple[T, ...], one: T) -> tuple[T, ...]:
    return (*(k for k in known if k != one), one)[-BLOCKED_MAX:]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def adds_risk(before: RouteRecord | None, after: RouteRecord) -> bool:
    """Whether a candidate gets more of the traffic, or copies of it, than before.

    That must be durable before it is applied; everything else is applied first. Going on with the
    same shares (a pause, an approval that waits) adds nothing but is written first all the same,
    so that what people are told is what is on the disk.
    """
    if before is not None and _hurried(before, after):
        return False
    now, then = _shares(after), _shares(before) if before else (0, 0)
    if before is not None and before.stable != after.stable:
        # A promotion at 100 % moves nobody; an undo gives everything back to the old version.
        return not (after.rollout is not None and after.rollout.phase is Phase.ROLLED_BACK)
    return now >= then


def _hurried(before: RouteRecord, after: RouteRecord) -> bool:
    """A stepped return was cut short: the candidate loses what it had left."""
    old, new = before.rollout, after.rollout
    same = old is not None and new is not None and (old.id, old.ended) == (new.id, new.ended)
    return same and bool(old and old.back_bp) and not (new and new.back_bp)


def _shares(record: RouteRecord) -> tuple[int, int]:
    carried = record.carried
    if carried is None:
        return (0, 0)
    split = carried.split
    return (split.trial_bp, split.mirror_bp)
