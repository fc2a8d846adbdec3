"""One night: a seed, its story, and the router living through it.

The story is a list of events with their times, drawn before the night begins; leaving some of them
out leaves all others as they were, which is what makes a failing night small.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import dataclass, field

from router import main
from router.config.problems import PolicyError
from router.control.plane import Plane
from router.control.state.errors import ControlError
from router.link.quotas import SharedQuotas
from router.proxy import worker
from router.proxy.worker import Worker
from tests.nights import asks, policies, seams
from tests.nights.checks import Checks
from tests.nights.desk import Desk
from tests.nights.disk import Disk, SimPath
from tests.nights.events import KINDS, draw
from tests.nights.judged import with_judges
from tests.nights.machine import Machine, Overrun
from tests.nights.outside import Client, Version
from tests.nights.reading import LogFile, Reader
from tests.nights.wires import Net

QUIET_S = 1.0
"""After the last event everything works again, and so long clients go on."""
SETTLE_S = 16.0
PATIENT_S = 60.0
"""The same where an edit lets a request, or a stop, take half a minute."""
REST_S = 0.5
"""Until then everything must have come to rest."""

PEOPLE_EVERY = 8
"""One night of so many has people in it."""

RUN = worker.Worker.run


@dataclass
class Setup:
    """What a night begins with."""

    base: int
    horizon_s: float
    rate: float
    clients: int
    users: int
    impatience: float
    split: float
    kernel: int
    bad: tuple = ()
    manner: str = "yes"
    full_recording: float = 0.0
    narrow: bool = False
    """Queues are short."""
    people: bool = False
    """People look at answers, and are asked what versions are not sure of."""
    events: tuple = ()


def setup(seed):
    """The story of a seed."""
    rng = random.Random(f"{seed}/story")
    horizon = rng.choice([2.0, 3.0, 4.0, 8.0])
    made = Setup(
        base=rng.randrange(
            *rng.choice(
                [
                    (policies.OBSERVED,),
                    (policies.OBSERVED, policies.BASES),
                    (policies.USING, policies.BASES),
                ]
            )
        ),
        horizon_s=horizon,
        rate=rng.choice([2.0, 6.0, 10.0]),
        clients=rng.choice([2, 4]),
        users=rng.choice([0, 0, 5, 40]),
        impatience=rng.choice([0.0, 0.02, 0.3]),
        split=rng.choice([0.0, 0.0, 0.1, 0.6]),
        kernel=rng.choice([212_992, 212_992, 4_096]),
        manner=rng.choice(["yes", "yes", "yes", "no", "mixed", "slow"]),
        full_recording=rng.choice([0.0, 0.0, 0.01]),
        narrow=rng.random() < 0.3,
    )
    if rng.random() < 0.5:
        made.bad = (rng.choice([9102, 9202, 9101]), rng.choice([0.05, 0.3, 1.0]))
    count = rng.choice([1, 3, 6, 10])
    times = sorted(rng.uniform(0.6, horizon) for _ in range(count))
    made.events = tuple((at, *draw(rng)) for at in times)
    if seed % PEOPLE_EVERY == 3:
        made.people = True
        made.base = policies.OBSERVED + made.base % (policies.BASES - policies.OBSERVED)
    return made


class Ordered(dict):
    """A set in the order of its members' coming."""

    def add(self, one):
        self[one] = None

    def discard(self, one):
        self.pop(one, None)

    def __sub__(self, others):
        return [one for one in self if one not in others]


@dataclass(eq=False)
class Order:
    """One order, from its being given to its answer."""

    route: str
    event: object
    process: object
    begun: float
    stood_s: float
    options: dict
    result: object = None
    error: object = None
    ended: float | None = None
    task: object = None
    left: bool = False
    about: tuple = ()


@dataclass
class Outcome:
    """What came of a night."""

    seed: int
    violations: list
    steps: int
    events: int
    facts: dict = field(default_factory=dict)
    digest: int = 0


class Night:
    """See the module. ``kept``: numbers of the events that take place; None: all."""

    def __init__(self, seed, *, kept=None, horizon_s=None, log=None, story=None):
        """``story``: its :class:`Setup`, where it is not to be drawn."""
        self.seed = seed
        self.log = log
        self.setup = story or setup(seed)
        self.kept = kept
        self.horizon_s = horizon_s or self.setup.horizon_s
        self.machine = machine = Machine(seed)
        self.noise = random.Random(f"{seed}/noise")
        self.net = machine.net = Net(machine)
        self.net.split, self.net.kernel = self.setup.split, self.setup.kernel
        machine.spawn = self._spawn
        self.disk = Disk(machine)
        self.store_path = SimPath(self.disk, "store.db")
        self.log_file = LogFile()
        self.world = machine.world = machine.start("world")
        self.rate, self.clients = self.setup.rate, self.setup.clients
        self.users, self.impatience = self.setup.users, self.setup.impatience
        self.rows = self.setup.base >= policies.OBSERVED
        """Clients send, and versions answer, rows with features and labels."""
        self.using = self.setup.base >= policies.USING
        self.full_recording = self.setup.full_recording
        self.traffic = True
        self.requests = 0
        self.outside = self.setup.manner
        self.admin_taken = False
        self.calls, self.recordings, self.orders, self.planes = [], [], [], []
        self.keys, self.inherited = {}, []
        self.policy = policies.base(self.setup.base)
        self.desk = None
        """The review queue and its people, where the night has them."""
        if self.setup.people:
            self.policy = policies.with_people(self.policy, random.Random(f"{seed}/dial"))
            self.policy = with_judges(
                self.policy, f"{policies.HOOK_URL}/judge", policies.accepted,
                random.Random(f"{seed}/judge"),
            )  # fmt: skip
            self.desk = Desk(self)
        self.first = policies.text_of(self.policy)
        self.patient = False
        self.files = {"policy.yaml": self.first}
        self.down_until = 0.0
        self.force_next = False
        self.refused = 0
        self.held_up_until = 0.0
        """Disk, or a process, that keeps others waiting."""
        self.job = None
        self.checks = Checks(self)
        self.disk.on_commit = self.checks.committed

    def load(self, _path):
        return policies.load(self.files["policy.yaml"])

    def manner_outside(self, _url):
        if self.outside != "mixed":
            return self.outside
        ways = ("yes", "yes", "yes", "no", "broken", "garbage", "nothing", "slow", "refuse")
        return self.machine.chance.choice(ways)

    # --- processes --------------------------------------------------------------------------------

    def start_router(self):
        """As a supervisor does, again and again."""
        force, self.force_next = self.force_next, False

        async def run():
            process = self.machine.current
            process.signals = main.Signals()
            process.serving = False
            process.plane = None

            def ready(*_):
                process.serving = True

            return await main.run(
                "policy.yaml", force=force, signals=process.signals, on_ready=ready
            )

        process = self.machine.start("control", run)
        process.plane, process.signals, process.serving = None, None, False
        process.stood_s, process.wrote = 0.0, False
        process.before = self.checks.snapshot()
        process.held.append(self)
        return process

    def ended(self, process):
        """A control process is gone: the supervisor starts another, where none is there."""
        if self.machine.inert:
            return
        self.checks.control_ended(process)
        late_s = 0.05 + self.machine.chance.random()
        self.world.call_later(late_s, self._again)

    def _again(self):
        if self.machine.now < self.down_until:
            self.world.call_later(0.3, self._again)
        elif not self.controls():
            if self.refused > 2:
                self._mend_store()
            self.start_router()

    def _mend_store(self):
        """`rampway store restore FILE FILE`, and where nothing is left: begin anew."""
        self.refused = 0
        self.force_next = True
        self.disk.unmark()
        if self.disk.sound:
            self.disk.restore(self.disk.sound)
        self.disk.fault = ""
        if not self.disk.images or not self.disk.images[-1]:
            self.disk.images.clear()
        self.files["policy.yaml"] = self.first

    def controls(self):
        return [one for one in self.machine.processes if one.name == "control"]

    def workers(self):
        return [one for one in self.machine.processes if one.name.startswith("worker")]

    def control(self):
        """The one that serves."""
        serving = [
            one
            for one in self.controls()
            if one.serving and not one.stopped and not one.signals.stop.is_set()
        ]  # one that stops takes no more orders
        return serving[0] if serving else None

    def plane(self, *args, **options):
        process = self.machine.current
        made = process.plane = Plane(*args, **options)
        made._tasks = Ordered()
        self.planes.append(made)
        self.checks.plane_made(process, made)
        return made

    @staticmethod
    def quotas(count):
        return Quotas(count)

    def worker(self, *args, **options):
        process = self.machine.current
        made = process.worker = Worker(*args, **options)
        plane = made.plane
        plane.exchanges, plane.connections, plane.lingering = Ordered(), Ordered(), Ordered()
        self.checks.worker_made(process, made)
        return made

    def _spawn(self, parent, args, _fds):
        if "router.reader.process" in args:
            fd = int(args[args.index("--link-fd") + 1])
            process = self.machine.start("reader", parent=parent)
            wire = self.net.fds[fd]
            process.call_later(0.05, wire.attach, process, Reader(self, process, wire))
            return process
        at = args.index("router.proxy.worker")
        argv = list(args[at + 1 :])
        process = self.machine.start("worker", parent=parent)
        process.tables, process.worker, process.awake_since = [], None, self.machine.now
        process.born_s = self.machine.now
        process.argv = argv
        if "--quotas-fd" in argv:
            at = argv.index("--quotas-fd") + 1
            argv[at] = str(Inherited(self, process, os.dup(int(argv[at]))).fd)

        async def begin():
            self.job = None
            worker.main(argv)
            job, self.job = self.job, None
            await job

        process.call_later(0.03 + self.machine.chance.random() * 0.1, process.begin, begin)
        return process

    # --- orders -----------------------------------------------------------------------------------

    def order(self, route, event, **options):
        """Give an order to the router that serves."""
        process = self.control()
        if process is None:
            return None
        plane = process.plane
        order = Order(route, event, process, self.machine.now, process.stood_s, options)
        run = plane.reconciler.runs.get(route)
        order.about = (run.rollout.id, run.rollout.attempt) if run and run.rollout else ()
        order.live = bool(run and run.live)
        self.orders.append(order)
        process.call_soon(self._give, process, plane, order)
        return order

    def _give(self, process, plane, order):
        order.task = process.create_task(self._carry(plane, order))
        process.call_later(0.25, self.checks.at_once, plane, order)

    async def _carry(self, plane, order):
        try:
            order.result = await plane.controller.command(order.route, order.event, **order.options)
        except ControlError as error:
            order.error = error
        except asyncio.CancelledError:
            order.left = True
            raise
        except Exception as error:
            order.error = error
            self.checks.fail("an order ends in an exception", repr(error))
        finally:
            if not self.machine.inert:
                order.ended = self.machine.now
                self.checks.answered(plane, order)

    # --- the night --------------------------------------------------------------------------------

    def live(self):
        """All of it; what came of it."""
        seams.begin(self)
        try:
            self._live()
        except Overrun as error:
            self.checks.fail("the night does not end", str(error))
        finally:
            self.machine.close()
            for one in self.inherited:
                one.ended(one.process)
            self.log_file.close()
            if self.desk is not None:
                self.desk.close()
        return Outcome(
            self.seed, self.checks.violations, self.machine.steps, len(self.setup.events),
            self.checks.facts(), self.machine.digest,
        )  # fmt: skip

    def _live(self):
        machine, began = self.machine, self.machine.now
        done = self.checks.violations.__len__
        for route in "ab":
            for number in (1, 2, 3, 11, 12, 13):
                port = {"a": 9100, "b": 9200}[route] + number
                self.net.servers[port] = Version(self, port)
        if self.setup.bad:
            port, rate = self.setup.bad
            self.net.servers[port].bad_rate = rate
        self.start_router()
        self.people = [Client(self, number) for number in range(self.clients)]
        for number, client in enumerate(self.people):
            self.world.call_later(0.3 + 0.01 * number, client.go_on)
        self.world.call_later(0.9, self._watch)
        if self.desk is not None:
            self.desk.begin()
        for number, (at, kind, about) in enumerate(self.setup.events):
            if (self.kept is None or number in self.kept) and at <= self.horizon_s:
                self.world.call_at(began + at, self._happens, number, kind, about)
        machine.run(began + self.horizon_s, done)
        if not done():
            self._heal()
            if self.seed % 4 == 0:
                asks.everything(self, 0)
                asks.everything(self, 1)
            machine.run(machine.now + QUIET_S, done)
            self.traffic = False
        settle_s = PATIENT_S if self.patient else SETTLE_S
        until, rest = machine.now + settle_s, machine.now + REST_S
        while not done() and machine.now < until and (machine.now < rest or self.restless()):
            machine.run(machine.now + 0.5, done)
        if not done():
            self.checks.final()

    def restless(self):
        return self.checks.unrest()

    def _happens(self, number, kind, about):
        if self.log is not None:
            self.log(f"{self.machine.now - 1_000:8.3f}  event {number}: {kind} {about}")
        KINDS[kind][1](self, **about)

    def _watch(self):
        self.world.call_later(1.0, self._watch)
        self.checks.look()

    def _heal(self):
        self.disk.fault, self.disk.fault_rate, self.disk.delay_s = "", 0.0, 0.001
        self.disk.stuck, self.disk.crash_at = False, ""
        self.log_file.fault_rate, self.log_file.kill_next = 0.0, False
        self.net.taken = self.admin_taken = False
        self.outside = "yes"
        self.impatience = 0.0
        self.down_until = 0.0
        for process in list(self.machine.processes):
            process.dies_after = 0
            self.resume(process)
        for server in self.net.servers.values():
            server.bad_rate = 0.0
        self.files["policy.yaml"] = self.first if self.broken_file() else self.files["policy.yaml"]

    def broken_file(self):
        try:
            policies.load(self.files["policy.yaml"])
        except PolicyError:
            return True
        return False

    # --- what events do to processes --------------------------------------------------------------

    def hold_up(self, for_s):
        """Orders given until then may take their time."""
        self.held_up_until = max(self.held_up_until, self.machine.now + for_s)

    def stop(self, process, for_s):
        """SIGSTOP, and SIGCONT later."""
        self.hold_up(for_s)
        if process.stopped or not process.alive:
            return
        process.stopped = self.machine.moved = True
        process.stopped_at = self.machine.now
        self.world.call_later(for_s, self.resume, process)

    def resume(self, process):
        if process.alive and process.stopped:
            process.stopped, self.machine.moved = False, True
            process.stood_s = (
                getattr(process, "stood_s", 0.0) + self.machine.now - process.stopped_at
            )
            process.awake_since = self.machine.now

    def terminate(self, process):
        if process.signals is not None:
            process.call_soon(process.signals.asked_to_stop)
        else:
            process.end(-int(signal.SIGTERM))

    def power_off(self):
        for process in list(self.machine.processes):
            if process is not self.world:
                process.end(-9)
        self.checks.power_lost(lost=self.disk.power_lost())


class Inherited:
    """A descriptor that a process has for itself, until it or the night ends."""

    def __init__(self, night, process, fd):
        self.fd, self.process, self.open = fd, process, True
        process.held.append(self)
        night.inherited.append(self)

    def ended(self, _process):
        made = getattr(self.process, "worker", None)
        if self.open and (made is None or made.plane._quotas is None):  # else it closed it
            os.close(self.fd)
        self.open = False


class Quotas(SharedQuotas):
    """What control makes of them; its descriptor goes with its process."""

    @property
    def fd(self):
        new, fd = self._fd < 0, SharedQuotas.fd.fget(self)
        if new:
            self.kept = Inherited(seams.night(), seams.night().machine.current, fd)
        return fd

    def close(self):
        if self._fd >= 0:
            self.kept.open = False
        super().close()
