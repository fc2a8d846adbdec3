"""What may go wrong in a fleet: which seed draws what, and what it does."""

from __future__ import annotations

import random
from dataclasses import dataclass

from router.control.state import lease
from router.control.state import postgres_exchange as exchange
from router.control.state import postgres_layout as layout
from tests.fleets.server import Aim

PAUSES_S = (0.2, 0.9, 1.6, 2.4, 4.0)
"""Around the 1.5 s of a lease, and the 2 s of a statement."""


@dataclass
class Setup:
    """What a fleet begins with."""

    replicas: int
    horizon_s: float
    rate: float
    """Requests a second at each replica, for each route."""
    failing: float
    """Share of what the bad candidate gets that fails."""
    stable_failing: float
    gates: tuple = ("guard",)
    hold: str = "1s"
    """Of the second step. A long one: nothing is told after what the faults were about."""
    workers: int = 1
    events: tuple = ()
    narrow: bool = False


BETTING_EVERY = 4
"""One seed of so many has a gate that bets: half of the time goes into its sums."""
CALM_EVERY = 8
"""One seed of so many has no fault: what many count must be what one would have."""
CALM_RATE = 60.0
"""There failures come so often that routers are asked again before they have answered."""
LONG_EVERY = 16
"""One of so many lasts longer than ``control_silence`` and a lease, without the database."""
LONG_S = 8.0


def setup(seed, replicas):
    """The story of a seed."""
    rng = random.Random(f"{seed}/{replicas}/fleet")
    hold = rng.choice(["1s", "1h"])
    horizon = rng.choice([2.0, 3.0, 5.0] if hold == "1s" else [5.0, 7.0])
    made = Setup(
        replicas, horizon, rate=rng.choice([3.0, 5.0, 8.0]) * min(1.0, 10 / replicas),
        failing=rng.choice([0.5, 1.0, 1.0]), stable_failing=rng.choice([0.0, 0.02]), hold=hold,
    )  # fmt: skip
    if seed % BETTING_EVERY == 0:
        made.gates = ("error_rate", "guard")
    if seed % CALM_EVERY:
        count = rng.choice([1, 2, 4, 7])
        times = sorted(rng.uniform(0.3, horizon) for _ in range(count))
        made.events = tuple((at, *draw(rng)) for at in times)
    else:
        made.rate, made.horizon_s = CALM_RATE * min(1.0, 10 / replicas), min(horizon, 5.0)
    if seed % LONG_EVERY == 1:
        made.horizon_s, made.hold, made.workers = 2.0 + LONG_S, "1h", rng.choice([1, 2])
        apart = rng.choice([("away", {}), ("cut", {"who": "many", "number": rng.randrange(1_000)})])
        made.events = ((rng.uniform(0.6, 2.0), apart[0], apart[1] | {"for_s": LONG_S}),)
    return made


# --- routers --------------------------------------------------------------------------------------


def _who(fleet, who, number):
    """Replicas that are meant: the leader, one by number, or some of many."""
    if who == "leader":
        leader = fleet.leader()
        return [leader.replica] if leader else []
    names = fleet.names
    size = 1 if who == "one" else max(len(names) // 3, 1)
    return [names[(number + n) % len(names)] for n in range(size)]


def kill(fleet, who, number, after, whole):
    """kill -9 after some callbacks; ``whole``: with its workers."""
    for name in _who(fleet, who, number):
        for process in fleet.of(name, whole=whole):
            process.dies_after = after


def worker_ends(fleet, number):
    for process in fleet.workers(fleet.names[number % len(fleet.names)]):
        process.end(-9)


def pause(fleet, who, number, for_s, whole):
    """SIGSTOP and SIGCONT, between any two statements."""
    for name in _who(fleet, who, number):
        for process in fleet.of(name, whole=whole):
            fleet.stop(process, for_s)


def terminate(fleet, who, number):
    """Told to stop, and started again: a rolling upgrade."""
    for name in _who(fleet, who, number):
        for process in fleet.of(name):
            process.call_soon(process.signals.asked_to_stop)


def order(fleet, name):
    """A person's order, at who leads."""
    fleet.order("a" if name == "promote" else "b", name)


def skew(fleet, number, step_s):
    """The wall clock of one replica is set; all that it has goes by the monotonic one."""
    fleet.skews[fleet.names[number % len(fleet.names)]] = step_s


# --- the database and the ways to it --------------------------------------------------------------


def cut(fleet, who, number, for_s):
    """Some replicas do not reach the database; it, and they, go on."""
    names = _who(fleet, who, number)
    fleet.server.cut |= set(names)
    fleet.later(for_s, lambda: fleet.server.cut.difference_update(names))


def away(fleet, for_s):
    fleet.server.go_away()

    def back():
        fleet.server.away = False

    fleet.later(for_s, back)


def stands(fleet, for_s):
    """The server is stopped; what waits in its sockets happens when it goes on."""
    fleet.server.stands_until = max(fleet.server.stands_until, fleet.machine.now + for_s)


def _rate(name):
    def happens(fleet, rate, for_s):
        setattr(fleet.server, name, rate)
        fleet.later(for_s, lambda: setattr(fleet.server, name, 0.0))

    return happens


def server_clock(fleet, step_s):
    fleet.server.clock_s += step_s


def _whom(rng):
    return {"who": rng.choice(["leader", "leader", "one", "many"]), "number": rng.randrange(1_000)}


def _for(rng):
    return {"for_s": rng.choice(PAUSES_S)}


def _rates(rng):
    return {"rate": rng.choice([0.02, 0.2, 0.7]), "for_s": rng.choice([1.0, 4.0])}


# --- at a moment ----------------------------------------------------------------------------------

STATEMENTS = {
    "lead": lease._TAKE, "renew": lease._RENEW, "write": layout.COMMIT, "put": exchange._PUT,
    "tell": exchange._TELL, "take": exchange._TAKE,
}  # fmt: skip


def aimed(fleet, at, name, *, skipped, before, about):
    """A fault of who says a statement, just before or after that happens."""

    def happens(db):
        fleet.say(f"  {name} {'before' if before else 'after'} {db.process.replica} says {at}")
        if name == "dropped":
            db.lose()
        else:
            whom = {"who": "one", "number": fleet.names.index(db.process.replica)}
            KINDS[name][1](fleet, **about | (whom if "who" in about else {}))

    fleet.server.aims.append(Aim(STATEMENTS[at], skipped, before, happens))


def locked(fleet, at, for_s):
    """Somebody holds a lock: statements of one kind are cancelled, the others go on."""
    text = STATEMENTS[at]
    fleet.server.locked.add(text)
    fleet.later(for_s, lambda: fleet.server.locked.discard(text))


def flip(fleet, after_s, for_s):
    """The leader is cut off till another one has led for a moment; then it alone is not."""
    old = fleet.leader()
    if old is None:
        return
    cut = fleet.server.cut
    cut.add(old.replica)

    def look():
        new = fleet.leader()
        if old.replica in cut:
            fleet.later(0.05, look) if new in (None, old) else fleet.later(after_s, turn)

    def turn():
        if old.replica in cut:
            others = set(fleet.names) - {old.replica}
            cut.clear()
            cut.update(others)
            fleet.later(for_s, lambda: cut.difference_update(others))

    look()


def _aim(rng):
    name = rng.choice(["cut", "cut", "pause", "kill", "away", "stands", "dropped"])
    about = {} if name == "dropped" else KINDS[name][2](rng)
    return {"at": rng.choice(list(STATEMENTS)), "skipped": rng.randrange(8),
            "before": rng.random() < 0.5, "name": name,
            "about": about | ({"after": 1} if name == "kill" else {})}  # fmt: skip


KINDS = {
    "kill": (8, kill, lambda rng: _whom(rng) | {"after": rng.randrange(1, 80),
                                                "whole": rng.random() < 0.5}),
    "worker_ends": (2, worker_ends, lambda rng: {"number": rng.randrange(1_000)}),
    "pause": (10, pause, lambda rng: _whom(rng) | _for(rng) | {"whole": rng.random() < 0.3}),
    "terminate": (3, terminate, _whom),
    "order": (3, order, lambda rng: {"name": rng.choice(["promote", "rollback"])}),
    "skew": (2, skew, lambda rng: {"number": rng.randrange(1_000),
                                   "step_s": rng.choice([-86_400.0, -3.0, 3.0, 86_400.0])}),
    "cut": (8, cut, lambda rng: _whom(rng) | {"for_s": rng.choice([*PAUSES_S, 8.0])}),
    "away": (4, away, lambda rng: {"for_s": rng.choice([0.1, *PAUSES_S, 8.0])}),
    "stands": (4, stands, _for),
    "slow_s": (3, _rate("slow_s"), lambda rng: {"rate": rng.choice([0.02, 0.1, 0.4]),
                                                "for_s": rng.choice([1.0, 4.0])}),
    "aimed": (14, aimed, _aim),
    "locked": (8, locked, lambda rng: {"at": rng.choice(list(STATEMENTS)),
                                       "for_s": rng.choice([1.6, 4.0])}),
    "flip": (7, flip, lambda rng: {"after_s": rng.choice([0.0, 0.3, 1.0]),
                                   "for_s": rng.choice([2.4, 4.0])}),
    "refused": (4, _rate("refused"), _rates),
    "lost": (5, _rate("lost"), _rates),
    "unheard": (4, _rate("unheard"), lambda rng: {"rate": rng.choice([0.3, 1.0]), "for_s": 4.0}),
    "server_clock": (2, server_clock, lambda rng: {"step_s": rng.choice([-2.0, 0.4, 2.0])}),
}  # fmt: skip
"""Kind -> (how often, what it does, how its details are drawn)."""


def draw(rng):
    """(kind, details)."""
    kind = rng.choices(list(KINDS), [often for often, _, _ in KINDS.values()])[0]
    return kind, KINDS[kind][2](rng)
