"""What has no moment of its own, looked at once a second."""

from __future__ import annotations

import msgspec

from router.control.state.sqlite import QUEUE_MAX
from router.control.told.controller import RESERVED, WAITING_MAX
from router.loops import BOOKS

LOOKED_S = 3.5
"""A live rollout that the decider has not looked at for so long is forgotten."""


class Looks:
    """Part of :class:`tests.nights.checks.Checks`."""

    def look(self):
        self._overdue()
        for process in list(self.night.machine.processes):
            if process.errors:
                self.fail("an exception escaped", f"{process}: {process.errors[:2]!r}")
            if process.stopped:
                continue
            if process.name == "control" and process.plane is not None and process.serving:
                self._control(process, process.plane)
            elif process.name == "worker" and process.worker is not None:
                self._worker(process, process.worker)
        self._books()

    def _books(self):
        for name, kept in BOOKS.failures.items():
            if name == "store-write" and "MemoryError" in kept.last:
                continue
            self.fail("a loop is dead", f"{name}: {kept.last} {BOOKS._told}")

    def _control(self, process, plane):
        reconciler, now = plane.reconciler, plane.clock.now()
        for task in plane._tasks:
            if task.done() and not task.cancelled() and not process.signals.stop.is_set():
                self.fail("a loop is dead", repr(task))
        writer = getattr(process, "writer", None)
        if writer is not None and not writer.is_alive() and plane.store._writer is not None:
            self.fail("a loop is dead", "the store's writer")
        awake_s = self.night.machine.now - getattr(process, "awake_since", 0.0)
        if process.signals.stop.is_set():
            return
        for run in reconciler.runs.values():
            if (
                run.live is not None
                and awake_s > LOOKED_S
                and now - run.look_at > LOOKED_S
                and run.look_at
            ):
                self.fail(
                    "a loop is dead", f"the decider: {run.route.name} since {now - run.look_at:.1f}"
                )
            if len(run.unsaved) > 1_000:
                self.fail("a queue is beyond its bound", f"{len(run.unsaved)} unsaved")
        self._bounds(process, plane)
        self.turn += 1
        if self.turn % 3 == 0:
            self._views(plane)
        self._judged(plane)

    def _bounds(self, process, plane):
        controller = plane.controller
        open_orders = sum(
            one.ended is None and one.process is process and one.task is not None
            for one in self.night.orders
        )  # fmt: skip
        if controller._waiting > WAITING_MAX + RESERVED or controller._waiting > open_orders:
            self.fail("a slot is not given back", f"{controller._waiting} of {open_orders}")
        if len(controller._by_id) > open_orders:
            self.fail("a slot is not given back", f"keys {controller._by_id}")
        self.queues(plane)
        self.tallies(plane)
        if plane.store._jobs.qsize() > QUEUE_MAX:
            self.fail("a queue is beyond its bound", f"{plane.store!r}")
        for box in plane.announcer._boxes:
            if len(box.letters) > 256:
                self.fail("a queue is beyond its bound", "letters")

    def _views(self, plane):
        controller, runs = plane.controller, plane.reconciler.runs
        if self.turn % 4 == 0:
            told = [controller.summary(name) for name in runs]
            msgspec.json.encode([controller.health(), controller.ready(), told])
        for name, run in list(runs.items())[self.turn % len(runs) :][:1]:
            view = controller.route(name)
            entry = next((e for e in plane.reconciler.tables.newest.routes if e.name == name), None)
            if entry is None:
                continue
            told = view.shares_bp
            real = {v.name: w for v, w in zip(entry.versions, entry.weights_bp, strict=True) if w}
            if {n: w for n, w in told.items() if w} != real:
                self.fail("a view shows something else", f"{name}: {told}, in force {real}")
            if run.rollout and (view.phase, view.revision) != (
                run.rollout.phase.value, run.record.revision,
            ):  # fmt: skip
                self.fail("a view shows something else", f"{name}: {view.phase}")
            msgspec.json.encode(view)

    def _judged(self, plane):
        """The judge has not seen more answers of the candidate than workers told."""
        for run in plane.reconciler.runs.values():
            live = run.live
            if live is None:
                continue
            told = sum(
                count for key, count in self.sent.items()
                if key[0] == run.route.name and key[1] >= live.trial.revision
            )  # fmt: skip
            if live.trial.answers > told:
                self.fail("evidence counted twice", f"{live.trial.answers} of {told}")

    def _worker(self, process, made):
        plane, machine = made.plane, self.night.machine
        for stats in plane.recorder._versions.values():
            if stats.in_flight < 0:
                self.fail("an attempt has not one outcome", f"{stats.version} {stats.in_flight}")
        for pool in plane.pools.all():
            if pool.in_flight < 0 or pool.open < 0:
                self.fail("an attempt has not one outcome", repr(pool))
        for cells in plane.recorder._cells.values():
            for cell in cells.values():
                for one in cell.slices:
                    if one.candidate.open < 0 or one.stable.open < 0:
                        self.fail("an attempt has not one outcome", f"{one.candidate.open}")
        alone, silence_s = made.alone, plane.serving.limits.control_silence_s
        awake_s = machine.now - process.awake_since
        if alone.silent_s > silence_s + 1.5 and awake_s > silence_s + 2.5:
            for entry in plane.serving.table.routes:
                if entry.candidate >= 0 and entry.weights_bp[entry.candidate]:
                    self.fail("alone and not on stable", f"{entry.name} {entry.weights_bp}")


def differs(one, other):
    """The first field in which two tables' routes differ."""
    if len(one) != len(other):
        return f"{len(one)} and {len(other)} routes"
    for mine, theirs in zip(one, other, strict=True):
        for name in mine.__slots__:
            if getattr(mine, name) != getattr(theirs, name):
                return f"{mine.name}.{name}: {getattr(mine, name)} and {getattr(theirs, name)}"
    return "nothing"


def opened(plane):
    """Attempts that were drawn and have not ended."""
    return sum(cell.open for cells in plane.recorder._cells.values() for cell in cells.values())


def held(plane):
    """Of these, bad answers whose blame waits for what their instance does next."""
    return sum(len(held) for pool in plane.pools.all() for held in pool.blame.held.values())
