"""What a whole policy means beside everything that was already decided, before any of it holds.

A route is its name. One that is gone and one that is new are the same renamed route when the new
one says so (``formerly:``), or when a rollout ended under the gone name whose stable and candidate
the new one has, the candidate in the same place, and no other fits. Its record goes on under the
new name; the old name keeps its count of rollouts only, so that no two rollouts ever share an id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from router.control.rollouts import lifecycle
from router.control.rollouts.run import Run, goes_on
from router.control.state.record import JournalEntry, RouteRecord
from router.core.policy import Policy, Route
from router.core.policy.segments import MARK
from router.core.rollout.rollout import Rollout


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
    renamed = dict(_renamed(policy, known))
    moved = {new: _under(new, known[old]) for new, old in renamed.items()}
    moved |= {old: _emptied(known[old]) for old in renamed.values()}
    settled = {
        route.name: lifecycle.settle(
            route, moved.get(route.name) or known.get(route.name), now, force=force,
            starting=starting, ends=ends, unready=awaited(route),
        )
        for route in policy.routes
        if force or route.name in moved or not goes_on(runs.get(route.name), route, policy)
    }  # fmt: skip
    problems = [problem for one in settled.values() for problem in one.problems]
    names = {route.name for route in policy.routes}
    gone = tuple(run for name, run in runs.items() if name not in names)
    if not force:
        left = (lifecycle.removal(run.record, policy, ends=ends) for run in gone)
        problems += filter(None, left)
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


def _renamed(policy: Policy, known: Mapping[str, RouteRecord]) -> Iterator[tuple[str, str]]:
    """(new name, old name) of routes that were only renamed."""
    names = {route.name for route in policy.routes}
    orphans = {
        name: record
        for name, record in known.items()
        if name not in names and record.stable and MARK not in name
    }
    new = [r for r in policy.routes if MARK not in r.name and not _has_record(known.get(r.name))]
    for route in new:
        fitting = [name for name, record in orphans.items() if _fits(route, record)]
        rivals = [one for one in new if fitting and _fits(one, orphans[fitting[0]])]
        if route.formerly in orphans:
            yield route.name, route.formerly
        elif len(fitting) == 1 and len(rivals) == 1 and not _claimed(policy, fitting[0]):
            yield route.name, fitting[0]


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
    return lifecycle.endpoints_of(route.versions[rollout.candidate]) == record.endpoints


FORMER_MAX: Final = 16
"""Names before the present one under which the journal is looked for."""


def _under(name: str, record: RouteRecord) -> RouteRecord:
    rollout = replace(record.rollout, route=name) if record.rollout else None
    former = ((record.route, record.decided_at), *record.former)[:FORMER_MAX]
    return replace(record, route=name, rollout=rollout, former=former)


def _emptied(record: RouteRecord) -> RouteRecord:
    """What is left under the old name; without a stable it is nobody's."""
    return RouteRecord(record.route, "", "", revision=record.revision, number=record.number)
