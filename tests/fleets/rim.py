"""The rim of one replica: its worker's process without sockets, and the link to it.

The worker is the product's (:mod:`router.proxy.worker`, with its recorder, its slices and what it
does alone); in place of its data plane there is one that draws requests from the seed, by the
weights of the table in force.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from router.core.wire.counts import EndpointState
from router.core.wire.outcomes import Outcome
from router.core.wire.succession import amended
from router.core.wire.table import RoutingTable
from router.link.frames import Frames
from router.link.messages import KINDS, Lowered, Report
from router.telemetry.recorder import Recorder

TRAFFIC_S = 0.2
"""Between two draws of what came meanwhile."""
ENDS_S = 0.5
"""A request takes no longer."""


class Serial:
    """What a report says of its connections: its number, so that each can be told apart."""

    fleet = None

    def __len__(self):
        self.fleet.serials += 1
        return self.fleet.serials


class DrawnPlane:
    """As ``DataPlane`` for its worker: tables by the same ranks, counts of what it draws."""

    def __init__(self, recorder: Recorder, _listen):
        self.recorder = recorder
        self.serving = SimpleNamespace(table=RoutingTable(0), drain_s=1.0)
        self.connections = Serial()
        self.pools = SimpleNamespace(states=self._states)
        self.port, self.tracer, self.ask, self.look = 18_080, None, None, None
        self.fleet, self.process = None, None
        """Set by who makes the worker."""
        self.routes = []
        self._open = []
        """(when it ends, arm, counters, outcome)"""
        self._draining = False

    # --- tables -----------------------------------------------------------------------------------

    def apply(self, table):
        if table.rank < self.serving.table.rank:
            return False
        self._serve(table)
        return True

    def amend(self, generation, base, routes, *, term=0):
        if (term, base) != self.serving.table.rank or generation < base:
            return False
        self._serve(amended(self.serving.table, generation, routes))
        return True

    def _serve(self, table):
        before, self.serving.table = self.serving.table, table
        self.fleet.checks.applied(self, before, table)
        self.routes = [self._route(entry) for entry in table.routes]
        self.recorder.keep_routes({entry.name for entry in table.routes})

    def _route(self, entry):
        cell = self.recorder.cell(entry)
        arms = [SimpleNamespace(arm=None, forced=None) for _ in range(2)]
        if cell is not None:
            cell.count_for(*arms)
        stats = [
            self.recorder.version(entry.name, entry.versions[at].name, role)
            for at, role in ((entry.candidate, "candidate"), (entry.stable, "stable")) if at >= 0
        ]  # fmt: skip
        return entry, arms, stats

    def _states(self):
        return tuple(
            EndpointState(entry.name, version.name, str(version.endpoints[0]),
                          healthy=True, ejected=False, in_flight=0, open_connections=1, ready=True)
            for entry, _, _ in self.routes for version in entry.versions
        )  # fmt: skip

    # --- requests ---------------------------------------------------------------------------------

    def bind(self):
        pass

    async def start(self):
        self.fleet.serves(self.process)
        self._later()

    def _later(self):
        self.process.call_later(TRAFFIC_S, self._traffic)

    def _traffic(self):
        self._later()
        self._end(self.fleet.machine.now)
        self.recorder.cut()
        if self._draining or not self.fleet.traffic:
            return
        for entry, arms, stats in self.routes:
            self._draw(entry, arms, stats)

    def _draw(self, entry, arms, stats):
        fleet, chance = self.fleet, self.process.chance
        for _ in range(fleet.arrivals(chance)):
            share_bp = entry.weights_bp[entry.candidate] if entry.candidate >= 0 else 0
            mine = chance.random() * 10_000 < share_bp
            fleet.checks.served(self, entry, candidate=mine)
            version = entry.versions[entry.candidate if mine else entry.stable].name
            bad = chance.random() < fleet.failing(entry.name, version)
            arm, counters = arms[not mine].arm, stats[0 if mine else -1]
            counters.begin()
            if arm is not None:
                arm.arrive()
            due_s = fleet.machine.now + ENDS_S * chance.random() ** 4
            outcome = int(Outcome.SERVER_ERROR if bad else Outcome.OK)
            self._open.append((due_s, arm, counters, outcome))

    def _end(self, now):
        over = [one for one in self._open if one[0] <= now]
        self._open = [one for one in self._open if one[0] > now]
        for _, arm, counters, outcome in over:
            counters.end(outcome, 500 if outcome else 200, 0.01, 0.01)
            if arm is not None:
                arm.end(outcome, 0.01, 0, 0)

    async def drain(self, within_s):
        self._draining = True
        await asyncio.sleep(min(ENDS_S, within_s))
        self._end(self.fleet.machine.now + ENDS_S)

    @staticmethod
    def take_lag():
        return 0.0


class End:
    """One end of a link: messages, in order, some time later."""

    def __init__(self, fleet, process):
        self.fleet, self.process, self.peer = fleet, process, None
        self.on_message = self.on_close = None
        self.open, self.outbox_bytes, self._next_s = True, 0, 0.0
        self._early = []
        process.held.append(self)

    def opened(self, on_message, on_close):
        self.on_message, self.on_close = on_message, on_close
        early, self._early = self._early, []
        for message in early:
            self.process.call_soon(self._arrives, message)
        return self

    def send(self, message):
        if not self.open or not self.process.alive:
            return False
        if isinstance(message, Report | Lowered):
            self.fleet.checks.said(self.process, message)
        machine = self.fleet.machine
        self._next_s = max(self._next_s, machine.now + machine.chance.random() * 0.001)
        self.peer.process.call_at(self._next_s, self.peer._arrives, message)
        return True

    def send_table(self, encoded):
        return self.send(self.fleet.decoded(encoded))

    send_amendment = send_table

    def _arrives(self, message):
        if self.on_message is None:
            self._early.append(message)
        elif self.open:
            self.on_message(message)

    def close(self, _reason=""):
        if self.open:
            self.open = False
            self.peer.lost()

    def ended(self, _process):
        self.close()

    def lost(self):
        """The other end is closed."""
        if self.open and self.process.alive:
            self.process.call_later(0.001, self._lost)

    def _lost(self):
        if self.open:
            self.open = False
            if self.on_close is not None:
                self.on_close("closed by the peer")


class Child:
    """A worker's process as the router sees it."""

    def __init__(self, parent, process):
        self._parent, self._process = parent, process

    @property
    def pid(self):
        return self._process.pid

    @property
    def returncode(self):
        return self._process.status

    async def wait(self):
        if self._process.status is None:
            future = self._parent.create_future()
            self._process.waiters.append((self._parent, future))
            await future
        return self._process.status


class Decoded:
    """Tables as they were encoded: each is read once, whoever gets it."""

    def __init__(self):
        self._known = {}

    def __call__(self, encoded):
        if encoded not in self._known:
            (self._known[encoded],) = Frames(KINDS).feed(encoded)
        return self._known[encoded]
