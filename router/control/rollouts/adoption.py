"""What a whole policy means beside everything that was already decided, before any of it holds.

A route is its name. One that is gone and one that is new are the same renamed route when the new
one says so (``formerly:``), or when a rollout ended under the gone name whose stable and candidate
the new one has, the candidate in the same place, and no other fits. Its record goes on under the
new name; the old name keeps its count of rollouts only, so that no two rollouts ever share an id.
Segments are renamed with their route, each for itself.

A new segment of a known route begins with the record of that; a route that has its segments no
more goes on with theirs. So what was completed stays, and what was taken back stays out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from router.control.rollouts import lifecycle
from router.control.rollouts.places import endpoints_of
from router.control.rollouts.run import Run, goes_on
from router.control.state.record import BLOCKED_MAX, JournalEntry, RouteRecord
from router.core.policy import Policy, Route
from router.core.policy.segments import MARK, base_of
from router.core.rollout.rollout import Rollout

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Adoption:
    """See the module; ``policy`` is expanded."""

    settled: Mapping[str, lifecycle.Settled]
    """Of routes that an edit changes; the others go on as they are."""
    moved: Mapping[str, RouteRecord]
    """Records that change their name, and what is left under the old ones."""
    renamed: Mapping[str, str]
    """New name -> old name."""
    gone: tuple[Run, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def adoption(
    policy: Policy, runs: Mapping[str, Run], stored: Mapping[str, RouteRecord], now: float,
    *, force: bool, ends: bool, starting: bool, awaited: Callable[[Route], str],
) -> Adoption:  # fmt: skip
    """``stored``: records of routes that are not at work. Nothing is changed.

    ``ends``: live rollouts that the policy has no more end. ``awaited``: why a route's candidate
    cannot take traffic yet.
    """
    known = dict(stored) | {name: _ahead(run) for name, run in runs.items()}
    names = {route.name for route in policy.routes}
    renamed = dict(_renamed(policy, known))
    left = {old: _above(known[old], runs.get(old)) for old in renamed.values()}
    moved = {new: _under(new, left[old]) for new, old in renamed.items()}
    moved |= {old: _emptied(left[old]) for old in renamed.values() if old not in names}
    records = known | moved
    parts = _parts(records.values())
    settled = {
        route.name: lifecycle.settle(
            route, _record_of(route, records.get(route.name), parts), now, force=force,
            starting=starting, ends=ends, unready=awaited(route),
        )
        for route in policy.routes
        if force or route.name in moved or not goes_on(runs.get(route.name), route, policy)
    }  # fmt: skip
    problems = [problem for one in settled.values() for problem in one.problems]
    gone = tuple(run for name, run in runs.items() if name not in names)
    if not force:
        stay = (lifecycle.removal(run.record, policy, ends=ends) for run in gone)
        problems += filter(None, stay)
    notes = [f"{new} {_goes_on_with(old)}" for new, old in renamed.items()]
    told = {name: run.notes for name, run in runs.items() if name in names}
    told |= {name: one.notes for name, one in settled.items()}
    notes += [f"{name}: {note}" for name, found in told.items() for note in found]
    return Adoption(settled, moved, renamed, gone, tuple(problems), tuple(notes))


def told_of(
    renamed: Mapping[str, str], runs: Mapping[str, Run],
    tell: Callable[[Run, str, str], JournalEntry],
) -> tuple[JournalEntry, ...]:  # fmt: skip
    """What the journal says under each new name, so that it explains the state there, too."""
    return tuple(
        tell(runs[new], "rename", _goes_on_with(old, runs[new].rollout))
        for new, old in renamed.items()
    )


def _goes_on_with(old: str, rollout: Rollout | None = None) -> str:
    return f"goes on with the record of {old}" + (f": {rollout.reason}" if rollout else "")


def upcoming(route: Route, record: RouteRecord) -> str:
    """What follows of itself where ``record`` holds; empty where nothing does."""
    settled = lifecycle.settle(route, record, 0.0)
    starts = next((deed for deed in settled.deeds if deed.action == "start"), None)
    if starts is not None and (rollout := starts.record.rollout) is not None:
        return f"the rollout of {rollout.candidate} starts"
    if route.rollout is None:
        return ""
    return "; ".join(note for note in settled.notes if route.rollout.candidate in note)


def _ahead(run: Run) -> RouteRecord:
    return run.pending.record if run.pending else run.record


def _parts(records: Iterable[RouteRecord]) -> Mapping[str, list[RouteRecord]]:
    """Of each route its segments whose rollout has ended; who decided last comes last."""
    found: dict[str, list[RouteRecord]] = {}
    for record in records:
        if MARK in record.route and record.stable and record.rollout and record.live is None:
            found.setdefault(base_of(record.route), []).append(record)
    for parts in found.values():
        parts.sort(key=lambda record: record.decided_at)
    return found


def _record_of(
    route: Route, own: RouteRecord | None, segments: Mapping[str, list[RouteRecord]]
) -> RouteRecord | None:
    """The route's record; with what its segments did while it had them and decided nothing.

    Where all came to one stable that is its own now; else it goes on where it was, and what one of
    them took back stays out.
    """
    whole = route.rollout is not None and route.rollout.for_each is None
    if not whole or own is None or own.live is not None:
        return own
    since = own.decided_at if own.stable else -1.0
    parts = [part for part in segments.get(route.name, ()) if part.decided_at > since]
    agreed = {part.stable for part in parts}
    fitting = [part for part in parts if len(agreed) == 1 or part.stable == own.stable]
    if fitting:
        last = _under(route.name, fitting[-1])
        own = replace(
            last, revision=max(own.revision, last.revision), number=max(own.number, last.number),
            former=(*last.former, *own.former)[:FORMER_MAX],
        )  # fmt: skip
    for part in parts:
        own = _with_convicted(own, part)
    return own


def _with_convicted(record: RouteRecord, other: RouteRecord) -> RouteRecord:
    """The record with what ``other`` knows to be taken back or given up."""

    def both(mine: tuple[T, ...], theirs: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(dict.fromkeys((*theirs, *mine)))[-BLOCKED_MAX:]

    return replace(
        record, blocked=both(record.blocked, other.blocked),
        given_up=both(record.given_up, other.given_up),
        convicted=both(record.convicted, other.convicted),
    )  # fmt: skip


def _above(record: RouteRecord, run: Run | None) -> RouteRecord:
    """Above whatever the disk may have under this name: a write that failed may be there."""
    return record if run is None else replace(
        record, revision=max(record.revision, run.revision_floor)
    )  # fmt: skip


def _renamed(policy: Policy, known: Mapping[str, RouteRecord]) -> Iterator[tuple[str, str]]:
    """(new name, old name) of routes that were only renamed or divided, and of their segments."""
    names = {route.name for route in policy.routes}
    orphans = {
        name: record for name, record in known.items() if name not in names and record.stable
    }
    new = [route for route in policy.routes if not _has_record(known.get(route.name))]
    bases = dict(_renamed_bases(policy, new, orphans))
    for route in new:
        base, mark, value = route.name.partition(MARK)
        old = f"{bases.get(base, '')}{mark}{value}"
        whole = known.get(bases.get(base, base))
        if old in orphans:
            yield route.name, old
        elif mark and whole is not None and whole.rollout is not None and whole.live is None:
            yield route.name, whole.route


def _renamed_bases(
    policy: Policy, new: Sequence[Route], orphans: Mapping[str, RouteRecord]
) -> Iterator[tuple[str, str]]:
    """(new name, old name) of whole routes; one with segments is known by what theirs were."""
    found = [
        (base_of(route.name), base_of(name))
        for route in new
        for name, record in orphans.items()
        if _value(route.name) == _value(name) and base_of(name) in orphans and _fits(route, record)
    ]
    pairs = dict.fromkeys(found)
    for route in new:
        if MARK in route.name:
            continue
        if route.formerly is not None and route.formerly in orphans:
            yield route.name, route.formerly
            continue
        fitting = [old for name, old in pairs if name == route.name]
        rivals = [name for name, old in pairs if fitting and old == fitting[0]]
        if len(fitting) == len(rivals) == 1 and not _claimed(policy, fitting[0]):
            yield route.name, fitting[0]


def _value(name: str) -> str:
    return name.partition(MARK)[2]


def _has_record(record: RouteRecord | None) -> bool:
    return record is not None and bool(record.stable)


def _claimed(policy: Policy, name: str) -> bool:
    return any(route.formerly == name for route in policy.routes)


def _fits(route: Route, record: RouteRecord) -> bool:
    rollout = record.rollout
    if rollout is None or rollout.phase.live or not record.endpoints:
        return False
    if not {record.stable, rollout.stable, rollout.candidate} <= {*route.versions}:
        return False
    return endpoints_of(route.versions[rollout.candidate]) == record.endpoints


FORMER_MAX: Final = 16
"""Names before the present one under which the journal is looked for."""


def _under(name: str, record: RouteRecord) -> RouteRecord:
    rollout = replace(record.rollout, route=name) if record.rollout else None
    former = ((record.route, record.decided_at), *record.former)[:FORMER_MAX]
    return replace(record, route=name, rollout=rollout, former=former)


def _emptied(record: RouteRecord) -> RouteRecord:
    """What is left under the old name; without a stable it is nobody's."""
    return RouteRecord(record.route, "", "", revision=record.revision, number=record.number)
