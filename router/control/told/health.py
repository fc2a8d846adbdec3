"""How the router itself is, as people and their probes see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from router.control.told.answers import (
    FreezesView,
    HealthView,
    ReaderView,
    ReadyView,
    WorkerView,
)
from router.loops import BOOKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.control.fleet.fleet import WorkerState
    from router.control.told.parts import Parts


def health_view(plane: Parts) -> HealthView:
    """Liveness; not ok when nobody serves."""
    reconciler, workers = plane.reconciler, plane.fleet.states()
    frozen, reader = reconciler.restraint.freezes.kept(), plane.comparer.reader
    return HealthView(
        ok=bool(workers),
        problems=[*_problems(plane), *([] if workers else ["no worker runs"])],
        notes=list(plane.source.notes),
        workers=worker_views(workers),
        reader=ReaderView(
            pid=reader.pid, restarts=reader.restarts, waiting=plane.comparer.waiting
        ),
        frozen=FreezesView.of(msgspec.to_builtins(frozen)) if frozen else None,
        term=reconciler.tables.term,
        generation=reconciler.generation,
        replicas=replicas_of(workers, reconciler.tables.term, reconciler.generation),
        listen=plane.fleet.listen,
    )  # fmt: skip


def _problems(plane: Parts) -> list[str]:
    reconciler = plane.reconciler
    problems = [f"policy: {problem.message}" for problem in plane.source.problems]
    if reconciler.store_error:
        problems.append(f"store: {reconciler.store_error}")
    if reconciler.recording.error:
        problems.append(f"recording: {reconciler.recording.error}")
    problems += [*plane.fleet.troubles(), *plane.outreach.outbox.troubles()]
    problems += [*plane.traces.troubles(), *plane.reviews.troubles(), *BOOKS.problems()]
    failed = plane.loop_failures.items()
    return problems + [
        f"loop {loop} of {process}: failed {number} times" for (process, loop), number in failed
    ]


def ready_view(plane: Parts) -> ReadyView:
    """Readiness: ok once every worker has the current table, and what a start begins has begun."""
    ready, problems = plane.fleet.ready(), plane.fleet.troubles()
    if not ready and not problems:
        problems = ["not every worker serves the newest table yet"]
    elif ready and plane.starting:
        ready, problems = False, ["the store does not have the rollouts yet that this start begins"]
    return ReadyView(ok=ready, problems=problems, generation=plane.reconciler.generation)


def replicas_of(states: Iterable[WorkerState], term: int, generation: int) -> str:
    """``3 of 3 replicas on generation 42``; empty where all workers are of one machine."""
    behind = behind_of(states, term, generation)
    if len(behind) < 2:
        return ""
    on = len(behind) - sum(behind.values())
    return f"{on} of {len(behind)} replicas on generation {generation}"


def behind_of(states: Iterable[WorkerState], term: int, generation: int) -> dict[str, bool]:
    """Of each router, whether one of its workers serves by an older table."""
    behind: dict[str, bool] = {}
    for one in states:
        late = (one.term, one.generation) < (term, generation)
        behind[one.who.replica] = behind.get(one.who.replica, False) or late
    return behind


def worker_views(states: Iterable[WorkerState]) -> list[WorkerView]:
    """As people see them."""
    return [
        WorkerView(
            worker=one.who.number, replica=one.who.replica, pid=one.pid, port=one.port,
            term=one.term, generation=one.generation,
        )
        for one in states
    ]  # fmt: skip
