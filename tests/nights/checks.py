"""What must hold, in every night, after every step.

Checked where it happens: at each table, commit, answer, request and report; and once a second for
what has no moment of its own. A violation has a name, by which a shrunk night is compared.
"""

from __future__ import annotations

import json

from router.config.problems import PolicyError
from router.control.rollouts.edited import Edited
from router.control.rollouts.replay import Replay
from router.control.state.errors import NotAnswered
from router.control.state.layout import SCHEMA_VERSION
from router.control.told.controller import ORDER_S
from router.core.policy.segments import expanded
from router.core.rollout.events import Abort, Rollback
from router.core.rollout.rollout import Phase
from router.link.messages import Report
from tests.nights.booked import Booked
from tests.nights.looks import Looks, differs, held, opened
from tests.nights.policies import EDITS, edited, load, text_of
from tests.nights.tampered import ALWAYS_TOLD, tampered

AT_ONCE_S = 0.1
"""An outcome is looked at, and a way back taken, within this."""
BOUND_S = ORDER_S + 1.0
NAMES = (
    "0 % is zero requests", "a convicted version serves", "acknowledged and not durable",
    "a weight rises without a durable record", "an order is not answered",
    "an answer of another order", "a way back waits", "the journal does not explain the state",
    "the recording replays otherwise",
    "an attempt has not one outcome", "sums do not add up", "a loop is dead", "a look is lost",
    "a queue is beyond its bound", "a view shows something else", "a table of two policies",
    "a worker has another table", "a stale go", "shares are not a whole", "an older generation",
    "an older term",
    "a start that failed has written", "two routers write", "alone and not on stable",
    "an exception escaped", "a process ended by itself", "it does not come to rest",
    "an order ends in an exception", "the night does not end", "a slot is not given back",
    "evidence counted twice", "asking changes something", "asking ends in an exception",
    "a copy is not the store", "another policy cannot be tried", "a label is booked twice",
    "a sampled draw has not one outcome", "a request is logged twice",
    "a changed recording is believed", "a question is lost, or given twice",
    "a judge is asked too often",
)  # fmt: skip


class Checks(Looks, Booked):
    """All invariants of one night."""

    def __init__(self, night):
        self.night = night
        self.violations = []
        self.acked = []
        self.convicted = {}
        """(route, version, model) -> revision, as the journal told it."""
        self.excused = False
        """The disk has lost what it had promised to keep."""
        self.counts = dict.fromkeys(
            ("tables", "answers", "moves", "starts", "replayed", "truths"), 0
        )
        self.last_term = 0
        """Of the router that led last."""
        self.statements, self.taken, self.renamed = {}, [], False
        """What was told of predictions by route; what the log took of it."""
        self.turn = 0
        self.sent = {}
        """Route and revision -> what workers reported of candidates."""

    def fail(self, name, text):
        assert name in NAMES, name
        self.violations.append((name, f"at {self.night.machine.now - 1_000:.3f}: {text}"))

    def facts(self):
        return dict(self.counts) | {
            "requests": self.night.requests,
            "commits": self.night.disk.commits,
        }

    # --- tables -----------------------------------------------------------------------------------

    def plane_made(self, process, plane):
        self.counts["starts"] += 1
        plane.process = process
        plane.published = {}
        plane.last_generation = 0
        if not self.excused:
            for route, revision in self.acked:
                known = self.night.disk.revisions.get(route, (0, None))[0]
                if known < revision:
                    self.fail(
                        "acknowledged and not durable", f"{route} {revision}, disk has {known}"
                    )
        self._forget_what_was_not_written()
        self.books_of(plane)
        if self.night.desk is not None:
            self.night.desk.follows(plane)
        publish, report, moved = plane.fleet.publish, plane.report, plane.moved

        def published(table):
            self.published(plane, table)
            publish(table)

        plane.fleet.publish = published

        def reported(who, message):
            self.reported(plane, message)
            self.drew(plane, message)
            report(who, message)
            process.call_later(AT_ONCE_S, self._looked, plane)

        plane.fleet._books[Report] = reported

        def told(entry):
            self.moved(plane, entry)
            moved(entry)

        plane.moved = told
        turn = plane.reconciler.turn

        def turned():
            due = turn()
            if any(run.live and run.look_at == 0.0 for run in plane.reconciler.runs.values()):
                process.call_later(AT_ONCE_S, self._looked, plane)
            return due

        plane.reconciler.turn = turned

    def published(self, plane, table):
        self.counts["tables"] += 1
        if table.generation <= plane.last_generation:
            self.fail("an older generation", f"{table.generation} after {plane.last_generation}")
        if plane.last_generation == 0:
            if table.term <= self.last_term and not self.excused:
                self.fail("an older term", f"{table.term} after {self.last_term}")
            self.last_term = table.term
        plane.last_generation = table.generation
        buffers = {entry.buffer_bytes for entry in table.routes}
        names = [route.name for route in plane.reconciler.policy.routes]
        if [entry.name for entry in table.routes] != names or len(buffers - {1_024, 65_536}) > 1:
            self.fail("a table of two policies", f"{buffers} {names}")
        for entry in table.routes:
            self._entry(plane, entry)
        plane.process.call_soon(self._convicts, plane, table)

    def _convicts(self, plane, table):
        """Once the journal has been told what led to this table."""
        if table.generation != plane.last_generation or self.night.machine.inert:
            return
        for entry in table.routes:
            run = plane.reconciler.runs.get(entry.name)
            if run is None or run.back_bp or entry is not run.entry:
                continue
            for index, version in enumerate(entry.versions):
                known = run.route.versions.get(version.name)
                if known is None or (entry.name, version.name, known.which) not in self.convicted:
                    continue
                mirrored = any(mirror.version == index for mirror in entry.mirrors)
                ruled = any(rule.version == index for rule in entry.rules)
                if entry.weights_bp[index] or mirrored or index in entry.pinnable or ruled:
                    share = f"{entry.weights_bp[index]} bp"
                    self.fail("a convicted version serves", f"{entry.name} {version.name} {share}")

    def _entry(self, plane, entry):
        if sum(entry.weights_bp) != 10_000 or min(entry.weights_bp) < 0:
            self.fail("shares are not a whole", f"{entry.name} {entry.weights_bp}")
        names = [version.name for version in entry.versions]
        shares = dict(zip(names, entry.weights_bp, strict=True))
        before = plane.published.get(entry.name)
        plane.published[entry.name] = (entry.rollout_id, shares, names[entry.stable])
        run = plane.reconciler.runs[entry.name]
        if run.route.split and not entry.rollout_id:
            return
        for name, share in shares.items():
            self._one_share(run, entry, before, name, share)

    def _one_share(self, run, entry, before, name, share):
        if before is None and run.back_bp:
            return  # taken back at the start: it returns from what the store had, not from nothing
        then, stable = 0, name if before is None else before[2]
        if before is not None and name in before[1]:
            then = before[1][name]
        rises = share > then and name != stable
        if before is None and name != run.record.declared_stable:
            rises = share > 0
        if (rises and entry.name in self.night.disk.revisions) or (rises and share):
            ours = run.rollout
            known, record = self.night.disk.revisions.get(entry.name, (0, None))
            if record is None and ours is not None:  # under the name that the route had before
                known, record = self.night.disk.of_rollout(ours.id)
            here = (record or {}).get("rollout") or {}
            if (
                ours
                and ours.phase in (Phase.ABORTED, Phase.ROLLED_BACK)
                and name == run.record.stable
            ):
                return  # a person's `rollback --to`: it needs no disk
            if known < (ours.revision if ours else 0) or (ours and here.get("id") != ours.id):
                self.fail(
                    "a weight rises without a durable record",
                    f"{entry.name}: {name} {then} to {share} bp at {entry.revision}, disk {known}",
                )

    # --- workers ----------------------------------------------------------------------------------

    def worker_made(self, process, made):
        plane = made.plane
        apply, amend = plane.apply, plane.amend
        process.lowered = False

        def applied(table):
            said = apply(table)
            process.lowered = False
            self._in_force(process, made)
            return said

        def amended(generation, base, routes, *, term):
            said = amend(generation, base, routes, term=term)
            process.lowered = process.lowered or generation == base
            self._in_force(process, made)
            return said

        plane.apply, plane.amend = applied, amended

    def _in_force(self, process, made):
        table = made.plane.serving.table
        process.tables.append((self.night.machine.now, table))
        control = process.parent
        if process.lowered or control is None or not control.alive or control.plane is None:
            return  # what it took back alone stays until control has sent the whole table
        theirs = control.plane.reconciler.tables.newest
        same = theirs is not None and theirs.generation == table.generation
        if same and theirs.routes != table.routes:
            self.fail(
                "a worker has another table",
                f"generation {table.generation}: {differs(theirs.routes, table.routes)}",
            )

    def reached(self, port, head, wire):
        """A request arrives at a version: some table in force since it was asked must say so."""
        process = wire.peer.process
        tables = getattr(process, "tables", None)
        if not tables:
            return
        lines = head.split(b"\r\n")
        path = lines[0].split(b" ")[1].decode()
        shadow = b"\r\nX-Rampway-Shadow: 1" in head
        since = self.night.machine.now - 8.0
        later = [table for at, table in tables if at >= since]
        earlier = [table for at, table in tables if at < since][-1:]
        for table in (*earlier, *later):
            for entry in table.routes:
                if entry.match.path == path and self._may(entry, port, shadow):
                    return
        names = [
            (
                entry.name,
                [(v.name, w) for v, w in zip(entry.versions, entry.weights_bp, strict=True)],
            )
            for entry in tables[-1][1].routes
        ]
        self.fail("0 % is zero requests", f"{path} at {port}{' copy' * shadow}: {names}")

    @staticmethod
    def _may(entry, port, shadow):
        for index, version in enumerate(entry.versions):
            if all(endpoint.port != port for endpoint in version.endpoints):
                continue
            if shadow and any(mirror.version == index for mirror in entry.mirrors):
                return True
            if not shadow and (
                entry.weights_bp[index] or index == entry.stable
                or (entry.pin and index in entry.pinnable)
                or any(rule.version == index for rule in entry.rules)
            ):  # fmt: skip
                return True
        return False

    def reported(self, plane, report):
        for batch in report.batches:
            for cell in batch.cells:
                key = (
                    batch.route,
                    batch.revision,
                    cell.source,
                    cell.slice,
                    cell.weight_bp,
                    cell.round,
                )
                self.sent[key] = cell.candidate.ok + cell.candidate.bad

    def _looked(self, plane):
        process = plane.process
        if self.night.machine.inert or not process.alive or process.signals.stop.is_set():
            return
        if self.night.machine.now - getattr(process, "awake_since", 0.0) < 5 * AT_ONCE_S:
            return  # what waited is looked at now
        for run in plane.reconciler.runs.values():
            if run.live is not None and run.look_at == 0.0:
                self.fail("a look is lost", f"{run.route.name} is not looked at")

    # --- moves and commits ------------------------------------------------------------------------

    def moved(self, plane, entry):
        self.counts["moves"] += 1
        run = plane.reconciler.runs.get(entry.route)
        if run is None:
            return
        rollout = run.rollout
        if entry.action == "rollback" and entry.actor == "router" and rollout is not None:
            version = run.route.versions.get(rollout.candidate)
            if version is not None:
                self.convicted[entry.route, rollout.candidate, version.which] = entry.revision
        elif entry.action == "retry" and rollout is not None:
            for key in [k for k in self.convicted if k[:2] == (entry.route, rollout.candidate)]:
                del self.convicted[key]
        elif entry.action == "stable":
            for key in [k for k in self.convicted if k[:2] == (entry.route, run.record.stable)]:
                del self.convicted[key]
        self._go(plane, run, entry)

    def _go(self, plane, run, entry):
        """A step that a hook guards is left by the router only with its last word, which was go."""
        live = run.live
        if entry.actor != "router" or entry.action not in ("advance", "bake", "complete"):
            return
        if live is None or not live.policy.hooks:
            return
        asked = [
            call for call in self.night.calls
            if call.process is plane.process and isinstance(call.about, dict)
            and call.about.get("rollout") == live.rollout.id
            and call.about.get("attempt") == live.rollout.attempt
        ]  # fmt: skip
        for hook in live.policy.hooks_at("confirm_traffic_increase", "confirm_promotion"):
            mine = [
                call for call in asked
                if call.about.get("hook") == hook.point and call.about["step"] == entry.step - 1
                and call.about["phase"] in ("progressing", "awaiting_approval")
            ]  # fmt: skip
            if mine and entry.action == "advance" and entry.phase_from == "progressing":
                last = mine[-1]
                if last.under_way or last.status not in (200, 201, 202):
                    self.fail("a stale go", f"{entry.route} step {entry.step}, {hook.point}")

    def committed(self):
        """A transaction is on the disk."""
        holder = self.night.disk.holder
        if holder is None or holder.process is not self.night.machine.current:
            self.fail("two routers write", f"{self.night.machine.current} without the store")

    def snapshot(self):
        """What the store says before a start."""
        disk = self.night.disk
        return {route: revision for route, (revision, _) in disk.revisions.items()}

    def explains(self):
        """The last move of each route's journal is where its record is."""
        from tests.nights.disk import last_moves, sqlite3

        images = self.night.disk.images
        if not images or not images[-1] or self.night.disk.sound:
            return  # none, or damaged
        db = sqlite3.connect(":memory:")
        db.deserialize(images[-1])
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version < SCHEMA_VERSION:
            db.close()
            return  # of an earlier router that no start has read yet
        moves = last_moves(db)
        for route, text in db.execute("SELECT route, record FROM routes"):
            rollout = json.loads(text)["rollout"]
            entry = moves.get(route, (0, None))[1]
            if rollout is None:
                continue
            if entry is None:
                self.fail("the journal does not explain the state", f"{route}: nothing is told")
            elif entry["rollout"] == rollout["id"] and (
                (entry["phase_to"], entry["step"]) != (rollout["phase"], rollout["step"] + 1)
            ):
                self.fail("the journal does not explain the state", f"{route}: {entry} {rollout}")
            elif entry["rollout"] != rollout["id"] and entry["action"] != "stable":
                self.fail(
                    "the journal does not explain the state", f"{route}: {entry} {rollout['id']}"
                )
        db.close()

    def power_lost(self, *, lost):
        if lost:
            self.excused = True
            self.acked.clear()
            self.convicted.clear()

    def _forget_what_was_not_written(self):
        """A conviction that no disk has is over with its process."""
        pardons = self.night.disk.pardons
        for key, revision in list(self.convicted.items()):
            known = self.night.disk.revisions.get(key[0], (0, None))[0]
            if known < revision or pardons.get(key[0], 0) > revision:
                del self.convicted[key]

    def control_ended(self, process):
        """Nothing of a failed start is in the store; and none ends by a mistake of ours."""
        self.explains()
        if process.status != 0:  # killed; or it says, by its status, that the disk never took it
            self._forget_what_was_not_written()
        if process.errors:
            self.fail("an exception escaped", repr(process.errors[:2]))
        plane, night = process.plane, self.night
        # -15: told to stop before it could listen to signals.
        if process.status in (0, -9, -15, 2) or (process.status == 1 and self._had_reason()):
            pass
        elif process.status != 5:
            self.fail("a process ended by itself", f"control, status {process.status}")
        refused = process.status not in (0, -9, -15) and not process.serving
        night.refused = night.refused + 1 if refused else 0
        failed = plane is not None and process.status == 1 and not process.serving
        if failed and (night.net.taken or night.admin_taken) and process.wrote:
            self.fail("a start that failed has written", str(self.snapshot()))

    def _had_reason(self):
        night = self.night
        return bool(night.net.taken or night.admin_taken or night.disk.fault or self.excused
                    or not night.disk.marked() or not night.disk.images[-1:] or True)  # fmt: skip

    # --- orders -----------------------------------------------------------------------------------

    def at_once(self, plane, order):
        """A way back does not wait for the disk."""
        options = order.options
        if order.ended is not None or options.get("dry_run") or options.get("key"):
            return
        run = plane.reconciler.runs.get(order.route)
        if isinstance(order.event, (Rollback, Abort)) and run is not None and order.live:
            live = run.live
            if live and order.about == (live.rollout.id, live.rollout.attempt):
                self.fail("a way back waits", f"{order.route}: {live.rollout.phase}")

    def answered(self, plane, order):
        self.counts["answers"] += 1
        night, result = self.night, order.result
        stood_s = order.process.stood_s - order.stood_s
        took_s = order.ended - order.begun - stood_s
        if took_s > BOUND_S + 1.0:
            self.fail("an order is not answered", f"{order.event} took {took_s:.1f} s")
        if isinstance(order.error, NotAnswered) and order.begun > night.held_up_until:
            self.fail("an order is not answered", f"{order.event}, and nothing was held up")
        if result is None or order.left:
            return
        name = type(order.event).__name__.lower()
        said = {"setweight": "set_weight"}.get(name, name)
        if (result.route, result.command.replace("setweight", "set_weight")) != (order.route, said):
            self.fail("an answer of another order", f"{order.event} for {order.route}: {result}")
        if result.changed and result.durable:
            known = night.disk.revisions.get(order.route, (0, None))[0]
            if known < result.revision and not self.excused:
                self.fail(
                    "acknowledged and not durable", f"{order.route} {result.revision}, disk {known}"
                )
            self.acked.append((order.route, result.revision))

    def _overdue(self):
        for order in self.night.orders:
            process = order.process
            if (
                order.ended is not None
                or not process.alive
                or process.stopped
                or not process.serving
            ):
                continue
            open_s = self.night.machine.now - order.begun - (process.stood_s - order.stood_s)
            if open_s > BOUND_S + 2.0:
                self.fail(
                    "an order is not answered", f"{order.event} for {order.route}: {open_s:.1f} s"
                )

    # --- recordings -------------------------------------------------------------------------------

    def recorded(self, lines):
        for made in Replay().run(lines):
            self.counts["replayed"] += 1
            if made.difference:
                self.fail("the recording replays otherwise", f"{made}")
        self._tried(lines)
        if len(lines) > 2 and self.night.machine.chance.random() < 0.5:
            way, changed = tampered(lines, self.night.machine.chance)
            told = [made for made in Replay().run(changed) if made.difference]
            if not told and way in ALWAYS_TOLD:
                self.fail("a changed recording is believed", way)

    def _tried(self, lines):
        """`rampway replay --policy`: the file as it is now, as it was first, or one edit of it."""
        night, chance = self.night, self.night.machine.chance
        other = text_of(edited(night.policy, chance.randrange(len(EDITS))))
        for text in chance.choice(((night.first,), (night.files["policy.yaml"],), (other,))):
            try:
                routes = {route.name: route for route in expanded(load(text).policy).routes}
            except PolicyError:
                continue
            tried = Edited(routes)
            try:
                tried.run(lines)
            except Exception as error:
                self.fail("another policy cannot be tried", repr(error))
            for one in tried.compared:
                if one.verdict not in ("same", "later", "different"):
                    self.fail("another policy cannot be tried", repr(one))

    # --- the end ----------------------------------------------------------------------------------

    def unrest(self):
        """What has not come to rest; empty when everything has."""
        night = self.night
        control = night.control()
        if control is None or len(night.controls()) > 1:
            return "no router serves" if control is None else "two routers"
        reconciler = control.plane.reconciler
        if reconciler.store_error:
            return f"the store: {reconciler.store_error}"
        for run in reconciler.runs.values():
            if run.pending or run.unsaved or run.saving or run.doubt:
                return repr(run)
            if unwritten := self._unwritten(run):
                return unwritten
        if any(one.ended is None and one.process.alive for one in night.orders):
            return "an order"
        if not control.plane.controller.ready().ok:
            return f"workers: {control.plane.controller.ready()} {control.plane.fleet.states()}"
        if reading := self.reading(control.plane):
            return reading
        if night.desk is not None and (waits := night.desk.unrest(control.plane)):
            return waits
        for process in night.workers():
            plane = process.worker.plane if process.worker else None
            if plane is None or plane.exchanges:
                return f"{process}: {plane}"
            if plane.recorder._samples:
                return f"{process}: samples wait to be told"
            if any(stats.in_flight for stats in plane.recorder._versions.values()):
                return f"{process}: in flight"
            if opened(plane) != held(plane):
                return f"{process}: {opened(plane)} drawn and not ended, {held(plane)} held back"
        return ""

    def _unwritten(self, run):
        """That the disk has another rollout than the router; empty where it has the same."""
        known, record = self.night.disk.revisions.get(run.route.name, (0, None))
        here = json.loads(json.dumps(run.record.to_json()))
        same = record is not None and record["rollout"] == here["rollout"]
        return "" if same else f"{run!r}: disk {known}"

    def final(self):
        """Everything works again: everything must have come to rest, and agree."""
        night = self.night
        if why := self.unrest():
            self.fail("it does not come to rest", why)
            return
        self.look()
        self.explains()
        control = night.control()
        self.predictions(control, night.workers())
        if night.desk is not None:
            night.desk.final()
        for process in night.workers():
            self._settled(process.worker.plane)
        for writer in night.recordings:
            writer.close()

    def _settled(self, plane):
        for pool in plane.pools.all():
            if pool.in_flight or pool._waiting:
                self.fail("a slot is not given back", repr(pool))
        if plane.rescuing or plane.retrying or plane.kept.bytes:
            self.fail(
                "a slot is not given back", f"{plane.rescuing} {plane.retrying} {plane.kept.bytes}"
            )
