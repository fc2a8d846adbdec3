"""What must hold in a fleet, looked at with every statement, table, word and decision.

* *told again*: a version of which the database knows that it was taken back gets nothing by any
  table of the rank of that moment, or a later one, whoever tells it.
* *regress*: ranks of what a worker serves, revisions in the database and shares of a candidate that
  goes on never fall; no share rises before the database has it.
* *terms*: they only grow, and one router writes and tells in each.
* *counted twice*: no report is heard twice, and no slice of draws in two terms.
* *lost*: what a leader has taken and deletes it has heard, if it is of its term; at the end,
  everything that was told in the present term was heard, but for who was killed or paused.
* *late*: without a fault whoever is asked when a candidate fails answers before that is heard.
* *not as one*: without a fault the decision's counts are those of one router, had it all requests.
* *not together*: some time after the last fault everybody serves one table, and who fails was taken
  back; who fails half of its requests may have come through before (a gate has seen enough when it
  would convict such a one in 90 % of cases), and is counted as *escaped*.
* *silence*: who hears of no leader for ``control_silence`` sends all to stable.
* *a good one taken back*: faults of what carries it convict nobody.
"""

from __future__ import annotations

import json

import msgspec

from router.control.fleet.last import WAIT_S
from router.control.state import lease
from router.control.state import postgres_exchange as exchange
from router.control.state import postgres_layout as layout
from router.control.state.lease import LEASE_S
from router.core.wire.table import RoutingTable
from router.link.frames import Frames
from router.link.messages import KINDS, Lowered, Report
from tests.fleets.as_one import as_one

NAMES = (
    "told again", "regress", "terms", "counted twice", "lost", "late", "not as one", "not together",
    "silence", "a good one taken back", "a loop fails", "the fleet does not come to rest",
)  # fmt: skip
TOGETHER_S = 8.0
"""Statements that were lost take 2 s until somebody says so, and as long to be said again."""
SILENT_SLACK_S = 2.0
"""Beats come twice a second, and looks four times."""

_table = msgspec.msgpack.Decoder(RoutingTable)
_words = msgspec.msgpack.Decoder(tuple[exchange.Word, ...])


def share(entry):
    """What the candidate gets, basis points."""
    return entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0


class Checks:
    """See the module."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.violations = []
        self.facts = dict.fromkeys(
            ("requests", "leaders", "rollbacks", "completed", "escaped", "tables", "batches"), 0
        )
        self._stored_bp = {}
        """Route -> the candidate's share by the last entry in the database."""
        self.taken_back = {}
        """Route -> rank of the table in force when the database had it."""
        self._term = 0
        self._found = {}
        """Revisions in the database when the present term began."""
        self._writers, self._tellers = {}, {}
        """Term -> who wrote in it, who told a table of it."""
        self._put = None
        """The last table that was put."""
        self._tables = {}
        self._bodies = {}
        """(replica, boot, number) -> term and body of a batch that the database has taken."""
        self._said, self._received, self._heard = {}, {}, {}
        """Serial of a report -> by whom and when; term and router; plane."""
        self._slices = {}
        """(who, slice) -> the plane that has heard of it."""
        self.fed = []
        """(plane, source, batches) in order."""
        self._led_s = {}
        """Replica -> when the server last told it that somebody leads."""
        self._newest, self._together_s = None, 0.0
        """Rank of the leader's table, and when all had it or it was made."""

    def fail(self, name, text):
        assert name in NAMES, name
        if not self.fleet.machine.inert:
            self.violations.append((name, f"{self.fleet.machine.now - 1_000:.3f} s: {text}"))

    # --- statements -------------------------------------------------------------------------------

    def seen(self, db, text, values, rows):
        """A statement happened."""
        look = _LOOKS.get(text)
        if look is not None:
            look(self, db, values, rows)

    def _lease_taken(self, db, values, rows):
        if rows:
            term = rows[0]["term"]
            if term <= self._term:
                self.fail("terms", f"{values[0]} takes term {term} after {self._term}")
            self._term = term
            self._found = {r: row[0] for r, row in self.fleet.server.tables.routes.items()}
            self.facts["leaders"] += 1
            self._led_s[db.process.replica] = self.fleet.machine.now
            self.fleet.say(f"  {db.process.replica} leads in term {term}")

    def _lease_renewed(self, db, _values, rows):
        if rows[0]["mine"]:
            self._led_s[db.process.replica] = self.fleet.machine.now

    def _wrote(self, holder, term, known):
        """A leader that takes its lease anew writes in its new term, and tells on in the old."""
        if known.setdefault(term, holder) != holder:
            self.fail("terms", f"{holder} writes in term {term} of {known[term]}")
        if term < max(known):
            self.fail("terms", f"{holder} writes in term {term} after {max(known)}")

    def _committed(self, db, values, rows):
        if not rows[0]["held"] or rows[0]["route"] is not None:
            return
        holder, term, routes, was, revisions, records = values[:6]
        self._stored_bp |= dict(zip(values[6 + 2], values[6 + 10], strict=True))
        self._wrote(holder, term, self._writers)
        for route, before, revision, text in zip(routes, was, revisions, records, strict=True):
            if revision < before:
                self.fail("regress", f"{route}: revision {revision} over {before}")
            phase = (json.loads(text)["rollout"] or {}).get("phase")
            if route == "b" and phase == "completed" and self.fleet.setup.failing < 1.0:
                self.facts["escaped"] = 1
            if phase in ("rolled_back", "aborted") and route not in self.taken_back:
                plane = db.process.plane
                self.taken_back[route] = term, plane.reconciler.generation
                self.fleet.say(f"  {route} is taken back in the database: {self.taken_back[route]}")

    def _table_put(self, _db, values, rows):
        holder, term, _, body = values
        if not rows[0]["held"]:
            return
        before, now = self._put, self._decoded(body)
        if before is not None and self.fleet.server.tables.table[1:3] < before.rank:
            self.fail("regress", f"{holder} puts {now.rank} in place of {before.rank}")
        if before is None or before.rank < now.rank:
            self._put = now
            self.facts["tables"] += 1
            self._wrote(holder, term, self._tellers)
            self._never_again(now, f"{holder} puts")
            if before is not None:
                self._goes_on(before, now)

    def _decoded(self, body):
        if body not in self._tables:
            self._tables[body] = _table.decode(body)
        return self._tables[body]

    def _goes_on(self, before, now):
        known = {entry.name: entry for entry in before.routes}
        for entry in now.routes:
            old = known[entry.name]
            same = (old.rollout_id, old.attempt) == (entry.rollout_id, entry.attempt)
            same_term = before.term == now.term
            least = old.revision if same_term else self._found.get(entry.name, 0)
            if entry.revision < least:
                self.fail("regress", f"{entry.name}: {entry.revision} is told after {least}")
            if entry.name == "a" and same and share(entry) < share(old):
                self.fail("regress", f"a: {share(entry)} bp is told after {share(old)}")

    def _told(self, db, values, rows):
        replica, boot, number, _, term, body = values[:6]
        if rows[0]["mine"] and body is not None:
            self.facts["batches"] += 1
            self._bodies.setdefault((replica, boot, number), (term, body))
        if rows[0]["lives"]:
            self._led_s[replica] = self.fleet.machine.now

    def _taken(self, db, values, _rows):
        """What is deleted was heard."""
        plane = db.process.plane
        if not self.fleet.server.tables.held(values[0]):
            return
        for key in zip(*values[1:4], strict=True):
            term, body = self._bodies.pop(key, (-1, b""))
            if plane is None or plane.fleet._table is None or term != plane.fleet._table.term:
                continue
            for word in _words.decode(body):
                for message in Frames(KINDS).feed(word.message) if word.message else ():
                    if isinstance(message, Report) and message.connections not in self._heard:
                        self.fail("lost", f"{key} is deleted and was not heard")

    # --- tables -----------------------------------------------------------------------------------

    def _never_again(self, table, who):
        for entry in table.routes:
            rank = self.taken_back.get(entry.name)
            if rank is not None and table.rank >= rank and share(entry) > 0:
                self.fail("told again", f"{who} {entry.name} at {share(entry)} bp by {table.rank}, "
                          f"taken back at {rank}")  # fmt: skip

    def applied(self, plane, before, after):
        """A worker serves by another table."""
        who = f"a worker of {plane.process.replica} serves"
        if after.rank < before.rank:
            self.fail("regress", f"{who} {after.rank} after {before.rank}")
        self._never_again(after, who)
        known = {entry.name: share(entry) for entry in before.routes}
        for entry in after.routes:
            if share(entry) > known.get(entry.name, 0):
                stored = self.fleet.server.tables.routes.get(entry.name, (0,))[0]
                if stored < entry.revision and share(entry) > self._stored_bp.get(entry.name, 0):
                    self.fail("regress", f"{who} {entry.name} at {share(entry)} bp by revision "
                              f"{entry.revision}, the database has {stored}")  # fmt: skip

    def served(self, _plane, entry, *, candidate):
        self.facts["requests"] += 1

    # --- words ------------------------------------------------------------------------------------

    def said(self, process, message):
        """By a worker, to its router."""
        if isinstance(message, Report):
            self._said[message.connections] = process, self.fleet.machine.now, message.batches
        elif isinstance(message, Lowered):
            for route, why in message.routes.items():
                if route == "a" and "control was silent" not in why:
                    self.fail("a good one taken back", f"a worker of {process.replica}: {why}")

    def received(self, words, report):
        """At its router."""
        process = self.fleet.machine.current
        self._received[report.connections] = words.term, process, self.fleet.machine.now

    def heard(self, plane, who, report):
        """By who decides."""
        serial = report.connections
        if serial in self._heard:
            self.fail("counted twice", f"report {serial} of {who}")
        self._heard[serial] = plane
        cells = [cell for batch in report.batches for cell in batch.cells]
        for cell in cells:
            first = self._slices.setdefault((who, cell.slice), plane)
            if first is not plane and cell.slice:
                self.fail("counted twice", f"slice {cell.slice} of {who} in two terms")
        self.fed.append((plane, who, report.batches))

    def waited(self, silent, timer):
        """A failure is heard, whoever of the asked was silent until its time was over."""
        over = silent and timer.when() <= self.fleet.machine.now
        if over and not self.fleet.setup.events:
            self.fail("late", f"{sorted(silent)} did not answer within {WAIT_S:g} s")

    # --- decisions --------------------------------------------------------------------------------

    def moved(self, plane, entry):
        who = f"{plane.process.replica}: {entry.route} {entry.action} by {entry.actor}"
        self.fleet.say(f"    {who}, {entry.phase_to} at {entry.weight_bp} bp: {entry.reason[:90]}")
        if entry.action == "rollback":
            self.facts["rollbacks"] += 1
            if entry.route == "a":
                self.fail("a good one taken back", entry.reason)
        elif entry.action == "complete":
            self.facts["completed"] += 1

    # --- now and then -----------------------------------------------------------------------------

    def look(self):
        """Twice a second."""
        self._look_together()
        from tests.fleets.fleet import SILENCE_S

        fleet = self.fleet
        for process in fleet.workers():
            worker = process.worker
            if process.stopped or worker is None or fleet.machine.now - process.awake_s < 1.0:
                continue
            heard_s = max(self._led_s.get(process.replica, 0.0), process.awake_s)
            silent_s = fleet.machine.now - heard_s
            if silent_s > LEASE_S + SILENCE_S + SILENT_SLACK_S:
                for entry in worker.plane.serving.table.routes:
                    if share(entry) > 0:
                        who = f"a worker of {process.replica}"
                        self.fail("silence", f"{who} sends {share(entry)} bp "
                                  f"to {entry.name}, {silent_s:.1f} s after a leader")  # fmt: skip

    def ended(self, process):
        """A router is gone."""
        for error in process.errors:
            self.fail("a loop fails", f"{process.replica}: {error!r}")

    def _look_together(self):
        """All have a table some seconds after it was made, once nothing goes wrong any more."""
        fleet, leader = self.fleet, self.fleet.leader()
        now, table = fleet.machine.now, leader.plane.fleet._table if leader else None
        rank = table.rank if table else None
        resting = fleet.rests_s and now >= fleet.rests_s
        why = self.apart() if resting else ""
        if not why or rank != self._newest:
            self._newest, self._together_s = rank, now
        elif now - self._together_s > TOGETHER_S:
            self.fail("not together", f"{why}, for {TOGETHER_S:g} s")

    def unrest(self):
        """What is not as it is to be at the end, in a sentence."""
        if self.fleet.machine.now < self.fleet.rests_s:
            return "it has only begun"
        if why := self.apart():
            return why
        if "b" not in self.taken_back and not self.facts["escaped"]:
            return "b's candidate is not taken back"
        serving = [one.worker.plane.serving.table for one in self.fleet.workers() if one.worker]
        if any(share(e) for table in serving for e in table.routes if e.name == "b"):
            return "somebody sends to b's candidate"
        return ""

    def apart(self):
        """Who does not have the leader's newest table, in a sentence."""
        fleet, leader = self.fleet, self.fleet.leader()
        if leader is None or leader.plane.fleet._table is None:
            return "nobody leads"
        rank = leader.plane.fleet._table.rank
        if fleet.server.tables.table[1:3] != rank:
            return f"the database has {fleet.server.tables.table[1:3]}, the leader {rank}"
        for name in fleet.names:
            serving = [one.worker for one in fleet.workers(name) if one.worker is not None]
            if not serving or any(one.plane.serving.table.rank != rank for one in serving):
                return f"{name} does not serve by {rank}"
        return ""

    def final(self):
        """At the end, at rest."""
        leader = self.fleet.leader()
        self._all_heard(leader)
        for loop in leader.errors:
            self.fail("a loop fails", repr(loop))
        if not self.fleet.setup.events:
            for route in "ab":
                if said := as_one(self.fed, route):
                    self.fail("not as one", said)

    def _all_heard(self, leader):
        term, late_s = leader.plane.fleet._table.term, self.fleet.machine.now - 1.0
        for serial, (of_term, process, at_s) in self._received.items():
            if of_term == term and process.alive and at_s < late_s and serial not in self._heard:
                self.fail("lost", f"report {serial} of {process.replica} at {at_s - 1_000:.2f} s")


_LOOKS = {
    lease._TAKE: Checks._lease_taken, lease._RENEW: Checks._lease_renewed,
    layout.COMMIT: Checks._committed, exchange._PUT: Checks._table_put,
    exchange._TELL: Checks._told, exchange._TAKE: Checks._taken,
}  # fmt: skip
