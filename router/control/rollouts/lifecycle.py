"""Which rollout exists: what a policy means beside what was already decided.

A policy file says what should be; the record says what happened. Where they meet, these rules hold:

* A rollout is carried out by the policy it **began with**. An edit of its plan or gates waits for
  the next attempt; it never skips, resets or promotes.
* A live rollout ends by a command, or when the file has no ``rollout:`` for its route any more
  (and is not half written, see :mod:`router.control.watch`); named again it begins anew. Another
  candidate waits for its end (``on_new_candidate: queue``) or takes its place after an abort
  (``replace``).
* A candidate is its name and its ``model``. Endpoints come and go without touching the rollout;
  only a wholly different set, or another model, is another candidate: the old rollout is aborted
  and a new one begins at its first step, since what was measured belonged to something else.
* After a promotion the candidate **is** stable, until the file names another ``stable`` than it
  named before.
* A candidate ends in three ways without becoming stable. *Convicted* (a gate took it back): it
  stays out under any edit, name and restart; only ``retry`` brings it back. *Given up* (a person
  ended it): it stays out until ``retry``, or until the file has named another one. *Superseded*
  (another took its place): naming it again starts it.
* After a bad end a candidate that was waiting goes on waiting, for a person's ``retry``.
* A file that no longer has the version which answers is refused, unless forced.

Everything here is pure: it computes what should happen and leaves the doing to the reconciler.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from router.control.rollouts.places import endpoints_of
from router.control.state.record import (
    BLOCKED_MAX,
    RETRIES_MAX,
    Carried,
    Convicted,
    Identity,
    Pinned,
    RouteRecord,
    kept,
)
from router.core.policy import Policy, RolloutPolicy, Route, Version
from router.core.policy.anti_flap import DAY_S
from router.core.policy.segments import base_of
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
    """``name@model``, or the name alone: endpoints are where it is, not what it is."""
    return f"{name}@{version.which}" if version.which else name


def stays_out(route: Route, record: RouteRecord, name: str) -> bool:
    """Whether a version was convicted or given up: by its name and model, or under another name.

    Another name for what was convicted is known by its model, or else by an endpoint it had.
    """
    version = route.versions[name]
    key, model, here = candidate_key(name, version), version.which, {*endpoints_of(version)}
    if key in record.blocked or key in record.given_up:
        return True
    return any(
        (model and out.model == model) or (not model and not out.model and here & {*out.endpoints})
        for out in record.convicted
        if out.key in record.blocked and out.key.partition("@")[0] not in route.versions
    )


def first_seen(route: Route, record: RouteRecord | None) -> RouteRecord:
    """``record``, or a first one where there is none, or only what a renamed route has left."""
    if record is not None and record.stable:
        return record
    left = record or RouteRecord(route.name, "", "")
    return replace(left, declared_stable=route.stable, stable=route.stable)


def settle(
    route: Route,
    record: RouteRecord | None,
    now: float,
    *,
    force: bool = False,
    starting: bool = False,
    ends: bool = False,
    unready: str = "",
) -> Settled:
    """What ``route`` of an accepted policy means beside ``record``; ``now`` is rollout clock.

    ``unready``: why the policy's candidate cannot take traffic yet; a rollout then begins standing.

    ``starting``: there is no older policy to fall back to, so a ``stable`` that cannot be taken
    over is left where the record has it, and said; only a missing version keeps a start away.

    ``ends``: that the file has no ``rollout:`` is meant, so a live one ends.
    """
    if record is None or not record.stable:
        return _new_candidate(route, Settled(first_seen(route, record)), now, unready)
    settled = Settled(record)
    if ends and route.rollout is None:
        settled = taken_out(record, now)
        record = settled.record
    missing, conflict = _missing(route, record), _stable_conflict(route, record)
    problems = (*missing, conflict) if conflict else missing
    if conflict and starting and not missing and not force:
        return _new_candidate(route, _noted(settled, conflict), now, unready)
    if problems and not force:
        return Settled(record, (), problems)
    if problems and (live := record.live):
        why = f"the policy was forced: {problems[0]}"
        settled = _aborted(settled, live, why, now, superseded=False)
    return _new_candidate(route, _new_stable(route, settled), now, unready)


TAKEN_OUT = "its rollout was taken out of the policy"


def taken_out(record: RouteRecord, now: float) -> Settled:
    """A live rollout ends, since the file has it no more; to name it again begins it anew."""
    live = record.live
    return Settled(record) if live is None else _aborted(Settled(record), live, TAKEN_OUT, now)


def left_out(policy: Policy, records: Iterable[RouteRecord]) -> tuple[str, ...]:
    """Routes whose live rollout an expanded policy has no more, while the route itself stays."""
    known = {route.name: route for route in policy.routes}
    return tuple(
        one.route
        for one in records
        if ((route := known.get(one.route)) is None or route.rollout is None)
        and one.live is not None and base_of(one.route) in known
    )  # fmt: skip


def removal(record: RouteRecord, policy: Policy, *, ends: bool) -> str:
    """Why a route cannot leave the policy now; empty when it can."""
    if record.rollout is None or not record.rollout.phase.live:
        return ""
    if ends and record.route in left_out(policy, (record,)):
        return ""
    return (
        f"{record.route}: the route is gone from the policy but its rollout of "
        f"{record.rollout.candidate} is {record.rollout.phase.value}; abort it first"
    )


def advanced(record: RouteRecord, carried: Carried, rollout: Rollout) -> RouteRecord:
    """The record after ``carried`` moved to ``rollout``."""
    taken_back = rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK)
    record = replace(
        record, rollout=rollout, pinned=carried.pinned,
        revision=max(record.revision, rollout.revision),
        stable=rollout.stable if taken_back else record.stable,
    )  # fmt: skip
    if taken_back:
        return _ended(record, carried, rollout)
    if rollout.phase is Phase.COMPLETED:
        if carried.plan.ending is Ending.PROMOTE:
            return replace(record, stable=rollout.candidate)
        return replace(record, done=_remembered(record.done, carried.pinned.identity))
    return _forgiven(record, carried.key)


def _ended(record: RouteRecord, carried: Carried, rollout: Rollout) -> RouteRecord:
    """Convicted, given up or superseded; see the module."""
    key = carried.key
    if rollout.actor == "policy":
        return record
    if rollout.actor != "router":
        return replace(record, given_up=_remembered(record.given_up, key))
    model = key.partition("@")[2]
    convicted = Convicted(key, model, record.endpoints)
    others = tuple(one for one in record.convicted if one.key != key)
    return replace(
        record, blocked=_remembered(record.blocked, key), convicted=_remembered(others, convicted)
    )


def _forgiven(record: RouteRecord, key: str) -> RouteRecord:
    """It may run: whatever was held against it is over."""
    return replace(
        record, blocked=_without(record.blocked, key), given_up=_without(record.given_up, key),
        convicted=tuple(one for one in record.convicted if one.key != key),
    )  # fmt: skip


def _without(known: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(one for one in known if one != key)


def retried(record: RouteRecord, key: str, now: float) -> RouteRecord:
    """The record with one more retry of the candidate ``key``."""
    recent = [(k, at) for k, at in record.retries if now - at < DAY_S]
    return replace(record, retries=(*recent, (key, now))[-RETRIES_MAX:])


def begun(
    route: Route, record: RouteRecord, policy: RolloutPolicy, now: float, unready: str
) -> Carried:
    """A new rollout of ``policy.candidate`` at its first step; :func:`entered` puts it in."""
    rollout = begin(
        f"{record.route}-{record.number + 1}", record.route, record.stable, policy.candidate,
        revision=record.revision + 1, now=now, unready=unready,
    )  # fmt: skip
    return Carried(rollout, Pinned.of(policy, identity(route, policy)))


def entered(record: RouteRecord, new: Carried, endpoints: tuple[str, ...]) -> RouteRecord:
    """The record with a rollout that was just begun, of a candidate at ``endpoints``."""
    return _forgiven(
        replace(
            record, rollout=new.rollout, revision=new.rollout.revision, number=record.number + 1,
            pinned=new.pinned, endpoints=endpoints, queued="",
        ),
        new.key,
    )  # fmt: skip


def identity(route: Route, policy: RolloutPolicy) -> Identity:
    """What a rollout is about: the candidate, and the plan."""
    key = candidate_key(policy.candidate, route.versions[policy.candidate])
    strategy = policy.model_dump(mode="json", include={"strategy"})
    return Identity(key, _digest(strategy))


def waiting_candidate(route: Route, record: RouteRecord) -> str:
    """The policy's candidate that ``retry`` would start, since it was taken back; or empty."""
    policy = route.rollout
    if policy is None or policy.candidate in ("", record.stable):
        return ""
    if policy.candidate not in route.versions:
        return ""
    return policy.candidate if stays_out(route, record, policy.candidate) else ""


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
    if route.stable in route.versions and stays_out(route, record, route.stable):
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
    changed = replace(
        record, declared_stable=route.stable, stable=route.stable, revision=record.revision + 1
    )
    if (version := route.versions.get(route.stable)) is not None:
        changed = _forgiven(changed, candidate_key(route.stable, version))
    if record.stable == route.stable:
        return replace(settled, record=changed)
    reason = f"the policy names {route.stable} stable instead of {record.stable}"
    return replace(settled, record=changed, deeds=(*settled.deeds, Deed("stable", changed, reason)))


def _new_candidate(route: Route, settled: Settled, now: float, unready: str) -> Settled:
    """Begin, queue or leave out the policy's candidate."""
    record, policy = settled.record, route.rollout
    if policy is None or policy.candidate not in route.versions:
        return _noted(settled, _left_running(record))
    if live := record.live:
        return _beside_live(route, policy, settled, live, now, unready)
    if policy.candidate == record.stable or identity(route, policy) in record.done:
        return settled
    key = candidate_key(policy.candidate, route.versions[policy.candidate])
    if any(other != key for other in record.given_up):  # the file has named another one since
        given_up = tuple(other for other in record.given_up if other == key)
        record = replace(record, given_up=given_up)
        settled = replace(settled, record=record)
    if stays_out(route, record, policy.candidate):
        return _noted(settled, f"{policy.candidate} was taken back; `retry` starts it again")
    if waits := waits_after(record, policy):
        return _noted(settled, waits)
    return _begin(route, policy, settled, now, unready)


def waits_after(record: RouteRecord, policy: RolloutPolicy) -> str:
    """Why a candidate that was queued does not begin after a bad end; empty when it does."""
    rollout = record.rollout
    if rollout is None or policy.on_new_candidate == "start":
        return ""
    ended = {Phase.ABORTED: "given up", Phase.ROLLED_BACK: "taken back"}.get(rollout.phase)
    if ended is None or record.queued != policy.candidate:
        return ""
    return (
        f"{policy.candidate} was waiting when {rollout.candidate} was {ended}, so it waits for a "
        "person: `retry` starts it"
    )


def _beside_live(  # noqa: PLR0917 - of _new_candidate
    route: Route, policy: RolloutPolicy, settled: Settled, live: Carried, now: float, unready: str
) -> Settled:
    record, rollout = settled.record, live.rollout
    key = candidate_key(policy.candidate, route.versions[policy.candidate])
    here = endpoints_of(route.versions[policy.candidate])
    if policy.candidate == rollout.candidate:
        moved = bool(record.endpoints) and not {*here} & {*record.endpoints}
        if live.key != key or moved:
            what = "all endpoints" if live.key == key else "the model"
            why = f"{what} of {policy.candidate} changed"
            if stays_out(route, record, policy.candidate):
                out = f"{policy.candidate} was taken back; `retry` starts it again"
                return _noted(_aborted(settled, live, f"{why}, to what was taken back", now), out)
            why += "; its rollout begins anew"
            return _begin(route, policy, _aborted(settled, live, why, now), now, unready)
        settled = replace(settled, record=replace(record, endpoints=here, queued=""))
        if kept(policy) != live.policy:
            return _noted(
                settled,
                f"the rollout of {rollout.candidate} goes on by the policy it began with; "
                "the edit holds from its next attempt",
            )
        return settled
    if stays_out(route, record, policy.candidate):
        return _noted(settled, f"{policy.candidate} was taken back; `retry` starts it again")
    if policy.on_new_candidate == "replace":
        why = f"{policy.candidate} takes the place of {rollout.candidate}"
        return _begin(route, policy, _aborted(settled, live, why, now), now, unready)
    settled = replace(settled, record=replace(record, queued=policy.candidate))
    return _noted(
        settled, f"{policy.candidate} waits until the rollout of {rollout.candidate} has ended"
    )


def _left_running(record: RouteRecord) -> str:
    rollout = record.rollout
    if rollout is None or not rollout.phase.live:
        return ""
    return (
        f"the policy has no rollout any more; that of {rollout.candidate} ends when the file reads "
        "the same a second later"
    )


def _begin(
    route: Route, policy: RolloutPolicy, settled: Settled, now: float, unready: str
) -> Settled:
    new = begun(route, settled.record, policy, now, unready)
    here = endpoints_of(route.versions[policy.candidate])
    record = entered(settled.record, new, here)
    deed = Deed("start", record, new.rollout.reason)
    return replace(settled, record=record, deeds=(*settled.deeds, deed))


def _aborted(
    settled: Settled, live: Carried, why: str, now: float, *, superseded: bool = True
) -> Settled:
    rollout = decide(live.rollout, live.plan, Abort(actor="policy", reason=why), now)
    ended = advanced(settled.record, live, rollout)
    if not superseded:
        ended = replace(ended, given_up=_remembered(ended.given_up, live.key))
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
    if _ends_badly(after) or (before is not None and _hurried(before, after)):
        return False
    same = before is not None and _same_rollout(before, after)
    now, then = _shares(after), _shares(before) if before is not None and same else (0, 0)
    if before is not None and before.stable != after.stable:
        return True  # a promotion at 100 % moves nobody
    return now >= then or _moves_up(before, after)


def _moves_up(before: RouteRecord | None, after: RouteRecord) -> bool:
    """Whether one of several arms gets more although all together get less."""
    now, then = _arms(after), _arms(before) if before is not None else {}
    return any(share_bp > then.get(name, 0) for name, share_bp in now.items())


def _arms(record: RouteRecord) -> dict[str, int]:
    """Shares of the versions that take part beside stable."""
    if (carried := record.carried) is None:
        return {}
    split = carried.split
    return {carried.rollout.candidate: split.candidate_bp, **dict(split.others)}


def _same_rollout(before: RouteRecord, after: RouteRecord) -> bool:
    """Shares are compared within one rollout: the next one's candidate begins with nothing."""
    if before.rollout is None or after.rollout is None:
        return True
    return before.rollout.id == after.rollout.id


def _ends_badly(after: RouteRecord) -> bool:
    """An end that gives everything back needs no disk, whatever was on its way to it."""
    rollout = after.rollout
    return rollout is not None and rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK)


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
