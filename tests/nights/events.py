"""What may happen in a night: operators, faults of every part, and time.

A kind is how its details are drawn and what it does. Details are plain values, drawn before the
night: they name what is meant by number, and whoever is not there then is left alone.
"""

from __future__ import annotations

from router.control.state.answers import OrderKey
from router.control.state.errors import ControlError
from router.core.rollout import events
from tests.nights import asks, copies, policies, truths
from tests.nights.disk import FAULTS
from tests.nights.outside import MANNERS

ROUTES = ("a", "a", "a", "b", "a@x", "b@y", "nowhere")
ORDERS = ("promote", "promote", "full", "pause", "resume", "abort", "rollback", "rollback",
          "instant", "to", "retry", "retry", "force", "weight", "weight", "lift")  # fmt: skip


def _event(name, now, number):
    ann = {"actor": "ann", "reason": f"because {number}"}
    return {
        "promote": lambda: events.Promote(**ann),
        "full": lambda: events.Promote(**ann, full=True),
        "pause": lambda: events.Pause(**ann),
        "resume": lambda: events.Resume(**ann),
        "abort": lambda: events.Abort(**ann),
        "rollback": lambda: events.Rollback(**ann),
        "instant": lambda: events.Rollback(**ann, instant=True),
        "to": lambda: events.Rollback(**ann, to=("v1", "v2", "v3")[number % 3]),
        "retry": lambda: events.Retry(**ann),
        "force": lambda: events.Retry(**ann, force=True),
        "weight": lambda: events.SetWeight(
            **ann, weight_bp=(0, 500, 5_000, 10_000)[number % 4], until=now + number % 7
        ),
        "lift": lambda: events.SetWeight(**ann),
    }[name]()


# --- operators ------------------------------------------------------------------------------------


def _draw_order(rng):
    return {
        "route": rng.choice(ROUTES), "name": rng.choice(ORDERS), "number": rng.randrange(1_000),
        "way": rng.choice(["plain", "plain", "plain", "dry", "revision", "key", "again", "twice",
                           "other"]),
    }  # fmt: skip


def order(night, route, name, number, way):
    process = night.control()
    if process is None:
        return
    event = _event(name, process.plane.clock.now(), number)
    options = {}
    if way == "dry":
        options["dry_run"] = True
    elif way == "revision":
        run = process.plane.reconciler.runs.get(route)
        options["if_revision"] = (run.record.revision if run else 0) + number % 2
    elif way in ("key", "again", "twice", "other"):
        name_of_key = f"k{number % 3}"
        options["key"] = OrderKey(name_of_key, f"{type(event).__name__}/{route}")
    night.order(route, event, **options)
    if way in ("again", "twice"):
        night.order(route, event, **options)
    if way == "other":  # another order under the same key
        event = _event(("pause", "rollback", "promote")[number % 3], 0.0, number)
        options["key"] = OrderKey(options["key"].id, f"{type(event).__name__}/{route}")
        night.order(route, event, **options)


def _draw_burst(rng):
    return {
        "route": rng.choice("ab"), "names": [rng.choice(ORDERS) for _ in range(rng.choice([2, 3]))],
        "number": rng.randrange(1_000),
    }  # fmt: skip


def burst(night, route, names, number):
    """Several orders at the same time."""
    for at, name in enumerate(names):
        order(night, route, name, number + at, "plain")


def caller_leaves(night):
    """Whoever waits for an answer goes away."""
    for one in night.orders:
        if one.ended is None and one.task is not None and one.process.alive:
            one.process.call_soon(one.task.cancel)


def freeze(night, frozen, route, lasting):
    process = night.control()
    if process is not None:
        process.create_task(_quiet(process.plane.controller.freeze(
            frozen, actor="ann", route=route, lasting_s=lasting)))  # fmt: skip


async def _quiet(job):
    try:
        return await job
    except ControlError:
        return None


def reload(night, force, way):
    process = night.control()
    if process is None:
        return
    if way == "signal":
        process.call_soon(process.signals.reload.set)
    else:
        process.create_task(_quiet(process.plane.controller.reload(force=force)))


def _draw_edit(rng):
    """Half of them change what a rollout is about."""
    pick = policies.MEANT if rng.random() < 0.5 else range(len(policies.EDITS))
    return {"numbers": [rng.choice(pick) for _ in range(rng.choice([1, 1, 1, 2]))]}


def edit(night, numbers):
    """Some keys of the file; the watch, a reload or the next start finds it."""
    for number in numbers:
        night.policy = policies.edited(night.policy, number)
    night.patient = night.patient or '"30s"' in str(night.policy).replace("'", '"')
    night.files["policy.yaml"] = policies.text_of(night.policy)


def wreck(night, number):
    night.files["policy.yaml"] = policies.WRECKS[number % len(policies.WRECKS)]


def revert(night):
    night.files["policy.yaml"] = night.first
    night.policy = policies.base(night.setup.base)


def rename(night, old, new):
    """The same version by another name."""
    for route in night.policy.get("routes") or ():
        if isinstance(route, dict) and isinstance(route.get("versions"), dict):
            if old in route["versions"]:
                route["versions"][new] = route["versions"].pop(old)
            rollout = route.get("rollout")
            if isinstance(rollout, dict) and rollout.get("candidate") == old:
                rollout["candidate"] = new
    night.files["policy.yaml"] = policies.text_of(night.policy)


def rename_route(night, said):
    """The first route by another name, which says so or leaves it to be seen; then back again."""
    for route in (night.policy.get("routes") or ())[:1]:
        if isinstance(route, dict) and route.get("name") in ("a", "c"):
            old = route["name"]
            route["name"] = "c" if old == "a" else "a"
            route.pop("formerly", None)
            if said:
                route["formerly"] = old
    night.checks.renamed = True
    night.files["policy.yaml"] = policies.text_of(night.policy)


def listen(night, route):
    """Somebody who subscribes and never reads."""
    process = night.control()
    if process is not None:
        stream = process.plane.controller.subscribe(route)
        process.streams = [*getattr(process, "streams", ()), stream]
        process.create_task(anext(stream))


# --- versions, clients, outside -------------------------------------------------------------------


def _draw_turn(rng):
    return {
        "port": rng.choice([9102, 9102, 9102, 9202, 9103, 9101, 9201, 9112]),
        "rate": rng.choice([0.1, 0.4, 1.0, 1.0]),
        "manners": rng.sample(MANNERS[1:], rng.choice([1, 1, 2])),
        "for_s": rng.choice([0.5, 2.0, 60.0]),
    }  # fmt: skip


def turn(night, port, rate, manners, for_s):
    """A version becomes bad for a time."""
    server = night.net.servers[port]
    server.bad_rate, server.manners = rate, tuple(manners)

    def mend():
        server.bad_rate = 0.0

    night.world.call_later(for_s, mend)


def outside(night, manner):
    night.outside = manner


def traffic(night, rate):
    night.rate = rate


# --- faults ---------------------------------------------------------------------------------------


def _pick(found, number):
    return found[number % len(found)] if found else None


def kill(night, who, number, after):
    found = {"control": night.controls, "worker": night.workers}.get(
        who, lambda: [p for p in night.machine.processes if p.name == who]
    )()
    process = _pick(found, number)
    if process is not None:
        process.dies_after = after


def stop(night, who, number, for_s):
    found = [one for one in night.machine.processes if one.name == who]
    process = _pick(found, number)
    if process is not None:
        night.stop(process, for_s)


def power(night):
    night.power_off()


def terminate(night, number, for_s):
    process = _pick(night.controls(), number)
    if process is not None:
        night.down_until = night.machine.now + for_s
        night.terminate(process)


def hand_over(night, late_s):
    """A second router is started, then the first is told to stop."""
    first = night.control()
    if first is None or len(night.controls()) > 1:
        return
    night.start_router()
    night.world.call_later(late_s, lambda: first.alive and night.terminate(first))


def disk(night, fault, rate, for_s):
    night.disk.fault, night.disk.fault_rate = fault, rate

    def mend():
        night.disk.fault = ""

    night.world.call_later(for_s, mend)


def slow_disk(night, delay_s, for_s):
    night.disk.delay_s = delay_s
    night.hold_up(for_s)

    def mend():
        night.disk.delay_s = 0.001

    night.world.call_later(for_s, mend)


def stuck_disk(night, for_s):
    night.disk.stuck = True
    night.hold_up(for_s)

    def mend():
        night.disk.stuck = False

    night.world.call_later(for_s, mend)


def crash(night, stage):
    """Killed at this stage of the next transaction."""
    night.disk.crash_at = stage


def lies(night):
    night.disk.lies = True


def restore(night):
    """Stopped, an older copy of the store put in its place, started."""
    if night.disk.images and night.disk.images[0]:
        for process in night.controls():
            process.end(-9)
        night.disk.restore(night.disk.sound or night.disk.images[0])
        night.checks.power_lost(lost=True)


def address_taken(night, which, for_s):
    """Another program is on an address, should the router start now."""
    if which == "clients":
        night.net.taken = True
    else:
        night.admin_taken = True

    def free():
        night.net.taken = night.admin_taken = False

    night.world.call_later(for_s, free)
    for process in night.controls():
        process.end(-9)
    for process in night.workers():
        process.end(-9)


def away(night, for_s):
    """The whole machine stands still, and its clocks do not."""
    night.machine.now += for_s
    night.hold_up(0.5)
    for process in night.machine.processes:
        process.stood_s = getattr(process, "stood_s", 0.0) + for_s
        process.awake_since = night.machine.now


def clock(night, step_s):
    night.machine.wall_s += step_s


KINDS = {
    "order": (14, order, _draw_order),
    "burst": (5, burst, _draw_burst),
    "caller_leaves": (2, caller_leaves, lambda _rng: {}),
    "freeze": (3, freeze, lambda rng: {"frozen": rng.random() < 0.6, "route": rng.choice(["", "a"]),
                                       "lasting": rng.choice([None, 2.0])}),
    "reload": (3, reload, lambda rng: {"force": rng.random() < 0.5,
                                       "way": rng.choice(["signal", "order"])}),
    "edit": (12, edit, _draw_edit),
    "wreck": (1, wreck, lambda rng: {"number": rng.randrange(9)}),
    "revert": (2, revert, lambda _rng: {}),
    "rename": (2, rename, lambda rng: {"old": rng.choice(["v2", "v3"]), "new": "v7"}),
    "rename_route": (2, rename_route, lambda rng: {"said": rng.random() < 0.5}),
    "label": (8, truths.label, truths.draw_label),
    "data": (5, truths.data, truths.draw_data),
    "accept": (2, truths.accept, lambda rng: {"route": rng.choice(ROUTES)}),
    "log_disk": (2, truths.log_disk, lambda rng: {"rate": rng.choice([0.3, 1.0]),
                                                  "for_s": rng.choice([1.0, 4.0])}),
    "log_kill": (2, truths.log_kill, lambda _rng: {}),
    "listen": (1, listen, lambda rng: {"route": rng.choice([None, "a"])}),
    "turn": (12, turn, _draw_turn),
    "outside": (5, outside, lambda rng: {"manner": rng.choice(
        ["yes", "no", "nothing", "garbage", "slow", "refuse", "redirect", "broken", "mixed"])}),
    "traffic": (1, traffic, lambda rng: {"rate": rng.choice([0.5, 15.0])}),
    "kill": (7, kill, lambda rng: {"who": rng.choice(["control", "control", "worker", "reader"]),
                                   "number": rng.randrange(4), "after": rng.randrange(1, 60)}),
    "stop": (5, stop, lambda rng: {"who": rng.choice(["control", "worker", "reader"]),
                                   "number": rng.randrange(4),
                                   "for_s": rng.choice([0.3, 1.2, 3.5, 6.5])}),
    "power": (2, power, lambda _rng: {}),
    "terminate": (3, terminate, lambda rng: {"number": rng.randrange(2),
                                             "for_s": rng.choice([0.0, 1.0])}),
    "hand_over": (3, hand_over, lambda rng: {"late_s": rng.choice([0.02, 0.5, 1.5])}),
    "disk": (6, disk, lambda rng: {"fault": rng.choice(FAULTS), "rate": rng.choice([0.2, 1.0]),
                                   "for_s": rng.choice([0.5, 3.0, 8.0])}),
    "slow_disk": (4, slow_disk, lambda rng: {"delay_s": rng.choice([0.05, 0.5, 2.0]),
                                             "for_s": rng.choice([2.0, 9.0])}),
    "stuck_disk": (3, stuck_disk, lambda rng: {"for_s": rng.choice([1.0, 5.0, 14.0])}),
    "crash": (5, crash, lambda rng: {"stage": rng.choice(["begin", "written", "committed"])}),
    "lies": (1, lies, lambda _rng: {}),
    "restore": (1, restore, lambda _rng: {}),
    "address_taken": (2, address_taken, lambda rng: {"which": rng.choice(["clients", "admin"]),
                                                     "for_s": rng.choice([1.0, 4.0])}),
    "ask": (5, asks.everything, lambda rng: {"number": rng.randrange(400)}),
    "copied": (1, copies.copied, lambda rng: {"how": rng.choice(["itself", "copy", "older"])}),
    "damaged": (1, copies.damaged, lambda rng: {"what": rng.choice(list(copies.DAMAGES))}),
    "aged": (1, copies.aged, lambda _rng: {}),
    "away": (2, away, lambda rng: {"for_s": rng.choice([1.5, 12.0, 70.0])}),
    "clock": (2, clock, lambda rng: {"step_s": rng.choice([-86_400.0, -30.0, 30.0, 86_400.0])}),
}  # fmt: skip
"""Kind -> (how often, what it does, how its details are drawn)."""

_NAMES = tuple(KINDS)
_OFTEN = tuple(often for often, _, _ in KINDS.values())


def draw(rng):
    """(kind, details)."""
    kind = rng.choices(_NAMES, _OFTEN)[0]
    return kind, KINDS[kind][2](rng)
