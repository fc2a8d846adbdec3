"""One fleet: a seed, its story, and several of the product's routers living through it."""

from __future__ import annotations

import functools
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from router import main
from router.control.plane import Plane
from router.control.state.errors import ControlError
from router.core.rollout import events
from router.proxy.worker import Worker
from tests.fleets import seams
from tests.fleets.checks import Checks
from tests.fleets.rim import Child, Decoded, End
from tests.fleets.server import Server
from tests.fleets.story import KINDS, setup
from tests.nights import policies
from tests.nights.machine import Machine, Overrun

IN_TURN = 5
"""Routers whose callbacks follow one another, as on one machine; those of larger fleets overlap."""
SILENCE_S = 4.0
"""The policy's ``control_silence``."""
SETTLE_S = 30.0
"""After the last fault everything has converged by then."""
REST_S = 2.5
"""So long at least: what was asked of the database before is over, as is a lease."""
LOOK_S = 0.5


class FleetMachine(Machine):
    """Each replica has a wall clock of its own."""

    skews: dict

    def wall(self):
        skew_s = self.skews.get(getattr(self.current, "replica", ""), 0.0)
        return super().wall() + skew_s


@functools.cache
def policy(gates, hold="1s", workers=1):
    """Two routes: the candidate of ``a`` is as good as its stable version, that of ``b`` fails."""

    def route(name, port):
        steps = [{"weight": "20%", "hold": "1s"}, {"weight": "50%", "hold": hold}]
        return {
            "name": name, "match": {"path": f"/{name}*"}, "stable": "v1",
            "versions": {f"v{n}": {"endpoints": [f"http://127.0.0.1:{port + n}"]} for n in (1, 2)},
            "rollout": {"candidate": "v2", "gates": gates, "detect": {"points": "50%"},
                        "strategy": {"canary": {"steps": steps, "bake": "1s"}}},
        }  # fmt: skip

    return json.dumps({
        "listen": "127.0.0.1:18080", "admin": {"listen": "127.0.0.1:18081"},
        "store": "postgresql://rampway@db/rampway", "workers": workers,
        "control_silence": f"{SILENCE_S:g}s", "limits": {"drain": "1s"},
        "routes": [route("a", 9100), route("b", 9200)],
    })  # fmt: skip


@dataclass
class Outcome:
    """What came of it."""

    seed: int
    violations: list
    steps: int
    facts: dict = field(default_factory=dict)
    digest: int = 0


class WatchedPlane(Plane):
    """The product's; what it hears and decides is looked at."""

    def report(self, who, report):
        seams.fleet().checks.heard(self, who, report)
        super().report(who, report)

    def moved(self, entry):
        seams.fleet().checks.moved(self, entry)
        super().moved(entry)


class Fleet:
    """See the module. ``kept``: numbers of the events that take place; None: all."""

    def __init__(self, seed, replicas=5, *, kept=None, log=None, story=None):
        self.seed, self.kept, self.log = seed, kept, log
        self.setup = story or setup(seed, replicas)
        self.machine = machine = FleetMachine(seed)
        machine.at_once = max(replicas / IN_TURN, 1.0)
        self.skews = machine.skews = {}
        self.noise = random.Random(f"{seed}/noise")
        self.names = [f"r{n}" for n in range(self.setup.replicas)]
        self.world = machine.start("world")
        self.world.replica = ""
        self.checks = Checks(self)
        self.server = Server(machine, self.world, self.checks.seen)
        self.decoded = Decoded()
        self.traffic, self.rests_s = True, 0.0
        self.serials = self.starts = 0
        self.admin_taken, self.recordings, self.store_path = False, [], Path("store")
        self.files = {"policy.yaml": policy(self.setup.gates, self.setup.hold, self.setup.workers)}
        self.net = None
        for number, name in enumerate(self.names):  # clocks differ from the beginning
            self.skews[name] = (number % 5 - 2) * 0.7

    # --- for the seams ----------------------------------------------------------------------------

    def load(self, _path):
        return policies.load(self.files["policy.yaml"])

    def plane(self, *args, **options):
        made = self.machine.current.plane = WatchedPlane(*args, **options)
        made._tasks = Ordered()
        made.process = self.machine.current
        return made

    class Quotas:
        fd = 3

        def close(self):
            pass

    def quotas(self, _count):
        return self.Quotas()

    # --- processes --------------------------------------------------------------------------------

    def start(self, name):
        """One router, as its supervisor starts it."""

        async def run():
            return await main.run("policy.yaml", signals=process.signals, member=name)

        process = self.machine.start("router", run)
        process.replica, process.plane, process.signals = name, None, main.Signals()
        process.stopped_s, process.awake_s, process.born_s = 0.0, self.machine.now, self.machine.now
        process.held.append(self)
        return process

    def ended(self, process):
        """A router is gone: it is started again."""
        if not self.machine.inert:
            self.checks.ended(process)
            self.later(0.1 + self.machine.chance.random(), lambda: self._again(process.replica))

    def _again(self, name):
        if not self.routers(name):
            self.start(name)

    def begin_worker(self, index):
        """A worker of the router that asks for it, and that router's end of the link."""
        parent = self.machine.current
        process = self.machine.start("worker", parent=parent)
        process.replica, process.awake_s, process.born_s = parent.replica, self.machine.now, 0.0
        self.starts += 1
        process.chance = random.Random(f"{self.seed}/{self.starts}/traffic")
        ours, theirs = End(self, parent), End(self, process)
        ours.peer, theirs.peer = theirs, ours

        async def begin():
            made = process.worker = Worker(index, None)
            made.plane.fleet, made.plane.process = self, process
            made.plane.connections.fleet = self
            await made.run(theirs)

        process.worker = None
        process.call_later(0.03 + self.machine.chance.random() * 0.1, process.begin, begin)
        return ours, Child(parent, process)

    def serves(self, process):
        """A new worker does: those of a router before it have come to their end."""
        for other in self.workers(process.replica):
            if other is not process and not other.parent.alive:
                other.end(0)

    def routers(self, name=None):
        return [p for p in self.machine.processes
                if p.name == "router" and name in (None, p.replica)]  # fmt: skip

    def workers(self, name=None):
        return [p for p in self.machine.processes
                if p.name == "worker" and name in (None, p.replica)]  # fmt: skip

    def of(self, name, *, whole=False):
        return self.routers(name) + (self.workers(name) if whole else [])

    def leader(self):
        """The router that holds the lease by the server's word, and knows it."""
        row = self.server.tables.lease.get("leader")
        for process in self.routers() if row else ():
            plane = process.plane
            if plane is not None and str(plane.store.lease.me) == row[0]:
                return process
        return None

    def stop(self, process, for_s):
        if process.alive and not process.stopped:
            process.stopped = self.machine.moved = True
            self.later(for_s, lambda: self.resume(process))

    def resume(self, process):
        if process.alive and process.stopped:
            process.stopped, self.machine.moved = False, True
            process.awake_s = self.machine.now

    def later(self, after_s, what):
        self.world.call_later(after_s, what)

    # --- traffic and orders -----------------------------------------------------------------------

    def arrivals(self, chance):
        mean = self.setup.rate * 0.2
        return int(mean) + (chance.random() < mean % 1)

    def failing(self, route, version):
        if route == "b" and version == "v2":
            return self.setup.failing
        return self.setup.stable_failing if version == "v1" else 0.0

    def order(self, route, name):
        leader = self.leader()
        if leader is None or leader.stopped:
            return
        kind = {"promote": events.Promote, "rollback": events.Rollback}[name]
        leader.create_task(self._carry(leader.plane, route, kind(actor="ann", reason="because")))

    async def _carry(self, plane, route, event):
        try:
            await plane.controller.command(route, event)
        except ControlError:
            return

    # --- life -------------------------------------------------------------------------------------

    def live(self):
        """All of it; what came of it."""
        seams.begin(self)
        try:
            self._live()
        except Overrun as error:
            self.checks.fail("the fleet does not come to rest", str(error))
        finally:
            self.machine.close()
        facts = self.checks.facts | {
            "statements": self.server.statements, "virtual seconds": int(self.machine.now - 1_000),
        }  # fmt: skip
        return Outcome(self.seed, self.checks.violations, self.machine.steps, facts,
                       self.machine.digest)  # fmt: skip

    def _live(self):
        machine, began = self.machine, self.machine.now
        done = self.checks.violations.__len__
        for name in self.names:
            self.later(self.machine.chance.random() * 0.5, lambda name=name: self._again(name))
        self.later(LOOK_S, self._look)
        for number, (at, kind, about) in enumerate(self.setup.events):
            if self.kept is None or number in self.kept:
                self.world.call_at(began + at, self._happens, number, kind, about)
        machine.run(began + self.setup.horizon_s, done)
        self._heal()
        self.rests_s = max(machine.now, self.server.stands_until) + REST_S
        self._until_rest(machine.now + SETTLE_S)
        self.traffic = False
        machine.run(machine.now + 1.5, done)
        self._until_rest(machine.now + SETTLE_S)
        if not done():
            self.checks.final()

    def _until_rest(self, until):
        done = self.checks.violations.__len__
        while not done() and (why := self.checks.unrest()):
            if self.machine.now >= until:
                self.checks.fail("not together", why)
                return
            self.machine.run(self.machine.now + LOOK_S, done)

    def _happens(self, number, kind, about):
        self.say(f"event {number}: {kind} {about}")
        KINDS[kind][1](self, **about)

    def say(self, text):
        if self.log is not None:
            self.log(f"{self.machine.now - 1_000:8.3f}  {text}")

    def _look(self):
        self.later(LOOK_S, self._look)
        self.checks.look()

    def _heal(self):
        server = self.server
        server.away, server.slow_s = False, 0.0
        server.cut.clear()
        server.aims.clear()
        server.locked.clear()
        server.refused = server.lost = server.unheard = 0.0
        for process in list(self.machine.processes):
            process.dies_after = 0
            if process is not self.world:
                self.resume(process)
        self.setup.rate = max(self.setup.rate, 40.0 / self.setup.replicas)
        self.say("all faults have ended")


class Ordered(dict):
    """A set in the order of its members' coming."""

    def add(self, one):
        self[one] = None

    def discard(self, one):
        self.pop(one, None)
