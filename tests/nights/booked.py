"""Predictions: each draw that was sampled is told once, each truth counts once and stays."""

from __future__ import annotations


class Booked:
    """Part of :class:`tests.nights.checks.Checks`."""

    def books_of(self, plane):
        """Follow what a control process books; called when it is made."""
        plane.drawn, plane.facts = {}, {}
        observe = plane.samples._observe

        def observed(batches):
            for batch in batches:
                for one in batch.samples:
                    key = (batch.route, one.source, one.slice, one.candidate)
                    plane.facts[key] = plane.facts.get(key, 0) + 1
            observe(batches)

        plane.samples._observe = observed

    def drew(self, plane, report):
        """What a worker says was sampled of each slice: told as a whole, as often as it is told."""
        for batch in report.batches:
            for cell in batch.cells:
                for candidate in (True, False):
                    counts = cell.candidate if candidate else cell.stable
                    if counts.sampled:
                        key = (batch.route, cell.source, cell.slice, candidate)
                        plane.drawn[key] = max(plane.drawn.get(key, 0), counts.sampled)

    def said(self, route, asked, row, fact):
        """Somebody will tell this."""
        self.statements.setdefault(route, set()).add((asked, row, fact))

    def told(self, message, answer):
        """The log answers for truths: those it took are in its file."""
        if answer.error:
            return
        self.counts["truths"] += len(answer.taken)
        for truth in message.truths:
            self.taken.append(truth)
            if not self.night.log_file.has(truth):
                self.fail("acknowledged and not durable", f"the log does not have {truth}")

    def tallies(self, plane):
        """People see no more labels than were told, and each use of an answer under who made it."""
        for feed, known in plane.cascades.tallies.items():
            booked = sum(arm.requests for arm in known.arms.values())
            if booked != known.joined:
                self.fail("sums do not add up", f"{feed}: {booked} of {known.joined}")
        for name, run in plane.reconciler.runs.items():
            base = name.partition("@")[0]
            said = len(self.statements.get(base, ())) if base in ("a", "b") else None
            booked = sum(one.right + one.wrong + one.rewards for one in run.labelled.values())
            if said is not None and booked > said and not self.renamed:
                self.fail("a label is booked twice", f"{name}: {booked} of {said}")

    def queues(self, plane):
        """What waits for the reader, and what is under way there."""
        samples, log = plane.samples, plane.log
        waiting = sum(len(lane.waiting) for lane in samples._lanes.values())
        if samples._samples != waiting or waiting > 4_000 or len(samples._ahead) > 64:
            self.fail("a queue is beyond its bound", f"{samples!r}: {waiting}, {samples._ahead}")
        if len(log._asked) > 64:
            self.fail("a queue is beyond its bound", repr(log))
        for lane in plane.judges._lanes.values():
            if len(lane.drawn) > 64 or len(lane.tasks) > 4:
                self.fail("a queue is beyond its bound", f"{lane!r}")
            if lane.spending.calls > lane.gate.budget.calls:
                self.fail("a judge is asked too often", f"{lane.spending} of {lane.gate.budget}")

    def reading(self, plane):
        """What is still being read; empty at rest."""
        if plane.samples._samples or plane.samples._ahead or plane.samples._found:
            return repr(plane.samples)
        if plane.log._asked or plane.log._matured:
            return repr(plane.log)
        if any(lane.drawn or lane.tasks for lane in plane.judges._lanes.values()):
            return repr(plane.judges)
        return ""

    def predictions(self, control, workers):
        """At rest: each sampled draw has its fact, each request its rows, each truth is there."""
        plane = control.plane
        first = {process.worker.index: process.born_s * 1_000 for process in workers}
        for key in plane.drawn.keys() | plane.facts.keys():
            drawn, known = plane.drawn.get(key, 0), plane.facts.get(key, 0)
            here = key[2] > first.get(key[1], float("inf"))
            if here and drawn != known:
                self.fail("a sampled draw has not one outcome", f"{key}: {known} of {drawn}")
        for request_id, row, version, number in self.night.log_file.rows():
            if number > 1 and request_id:
                self.fail("a request is logged twice", f"{request_id} {row} {version}: {number}")
        for truth in self.taken:
            if not self.night.log_file.has(truth):
                self.fail("acknowledged and not durable", f"the log has lost {truth}")
