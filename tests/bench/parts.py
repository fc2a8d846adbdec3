"""What ``make bench`` measures; one function a part, one visible table."""

import contextlib
from dataclasses import replace

from tests.bench.growth import SERIES
from tests.bench.machine import Stage, compiled
from tests.bench.peers import PEERS, Target, start_peer, start_rampway
from tests.bench.protection import protection
from tests.bench.reading import reading
from tests.bench.rounds import interleave, median, ratio, summary, table
from tests.bench.special import bodies, both_sides, secure, streams

SATURATION = [
    ("CPU µs", "cpu_us", ".1f"), ("x nginx", "cpu_x", ".2f"), ("req/s", "rps", ".0f"),
    ("busy", "busy", ".2f"), ("load", "load_busy", ".2f"), ("MB", "mb", ".0f"), ("bad", "bad", "d"),
]  # fmt: skip
"""busy: the proxy's share of its core; load: what load and backend had of the other. Where load is
near 1 and busy is not, the load was the bottleneck; CPU per request holds all the same."""
LATENCY = [
    ("p50 µs", "p50_us", ".0f"), ("added", "added_p50_us", ".0f"), ("p99 µs", "p99_us", ".0f"),
    ("added", "added_p99_us", ".0f"), ("x nginx", "added_p99_x", ".2f"),
    ("CPU µs", "cpu_us", ".1f"), ("busy", "busy", ".2f"), ("load", "load_busy", ".2f"),
    ("bad", "bad", "d"),
]  # fmt: skip
"""added: beyond the same load straight to the backend; x nginx is of the added p99."""
RATES = (2_000, 10_000)


def wanted(args, name):
    return not args.only or name in args.only.split(",") or name == "nginx"


@contextlib.contextmanager
def cast(stage, backend, args, *, mirror=False, ours=("rampway", "rampway, compiled")):
    """The peers that are installed and the router, started; ended afterwards."""
    inner = Stage(stage.folder)
    targets = []
    try:
        for peer in PEERS:
            if not wanted(args, peer.name) or (mirror and not peer.mirror):
                continue
            try:
                targets += start_peer(peer, inner, backend)
            except RuntimeError as missing:
                print(f"  left out: {missing}")
        for name in ours:
            try:
                targets.append(start_rampway(name, inner, backend))
            except RuntimeError as missing:
                print(f"  left out: {missing}")
        yield targets
    finally:
        inner.close()


USERS = 100_000


def varied(target):
    """The same target, asked for 100,000 users in turn: every head and every answer differs."""
    load = {"users": USERS, "path": "/predict"}
    return Target(f"{target.name}, heads differ", target.port, target.pid, load)


def saturation(stage, backend, args):
    """32 connections as fast as answers come back: the proxy's core is the bottleneck.

    First what services see: another user, request id and trace in each request, another id in each
    answer, and a twentieth of the users has the candidate. Then one head again and again.
    Peers also with what the router does beside forwarding: hash of the user, request id kept or
    made, X-Forwarded-*, the version told; and with an access log.
    """
    with cast(stage, backend, args) as targets:
        aside = ("mirror", "streams", "secure")
        plain = [one for one in targets if not one.name.endswith(aside)]
        ours = [one for one in plain if "+ features" not in one.name]
        order = [*map(varied, plain), *(one for one in ours if "log" not in one.name)]
        bursts = interleave(stage, order, args.rounds, seconds=args.seconds)
        rows = summary(bursts, "nginx, heads differ", order)
        for name, row in rows.items():
            if not name.endswith("differ"):
                row["cpu_x"] = ratio(bursts[name], bursts["nginx"], "cpu_us")
    print(table(rows, SATURATION))
    return rows


ENDURANCE_S = 90
"""Longer than a minute: what a process has for its first minute only is used up by then."""


def endurance(stage, backend, args):
    """What a request costs before and after a burst of 90 s: a worker lives longer than a round."""
    rows = {}
    with cast(stage, backend, args) as targets:
        ours = [t for t in targets if t.name.startswith(("nginx", "rampway")) and "+" not in t.name]
        for target in [*map(varied, ours), *ours]:
            before = interleave(stage, [target], args.rounds, seconds=args.seconds)[target.name]
            stage.load(target.port, seconds=ENDURANCE_S, **target.load)
            after = interleave(stage, [target], args.rounds, seconds=args.seconds)[target.name]
            first, then = median(before, "cpu_us"), median(after, "cpu_us")
            rows[target.name] = {"first_us": first, "then_us": then, "then_x": then / first}
    print(table(rows, [("first µs", "first_us", ".1f"), ("then µs", "then_us", ".1f"),
                       ("x first", "then_x", ".2f")]))  # fmt: skip
    return rows


def rates(stage, backend, args):
    """Open loop at 2,000 and 10,000 requests a second: latency from the intended send time."""
    found = {}
    for rate in RATES:
        with cast(stage, backend, args) as targets:
            plain = [t for t in targets if "+" not in t.name and "proxy" not in t.name[-5:]]
            plain = [replace(t, load=varied(t).load) for t in plain]
            plain.insert(0, Target("direct", backend.stable, load=varied(plain[0]).load))
            found[str(rate)] = _added(stage, plain, "nginx", rate, args)
    return found


def secure_rates(stage, backend, args):
    """The same with TLS from the client and to the version; "direct" is TLS to the backend."""
    try:
        compiled("openloop", stage.folder, tls=True)
    except RuntimeError as missing:
        print(f"  left out: {missing}")
        return {}
    found = {}
    for rate in RATES:
        with both_sides(stage, backend) as (inner, targets):
            ends = [Target("direct", backend.secure), *targets]
            ends = [replace(one, load=varied(one).load | {"tls": True}) for one in ends]
            found[str(rate)] = _added(inner, ends, "nginx + secure", rate, args)
    return found


def _added(stage, targets, reference, rate, args):
    """Rows at one rate: what each target adds to the one called direct."""
    bursts = interleave(stage, targets, args.rounds, rate=rate, seconds=args.seconds)
    rows = summary(bursts, reference, targets)
    for row in rows.values():
        for key in ("p50_us", "p99_us"):
            row[f"added_{key}"] = row[key] - rows["direct"][key]
    for name, row in rows.items():
        if name != "direct" and rows[reference]["added_p99_us"]:
            row["added_p99_x"] = row["added_p99_us"] / rows[reference]["added_p99_us"]
    print(f"  at {rate} requests/s\n{table(rows, LATENCY)}", flush=True)
    return rows


def mirror(stage, backend, args):
    """Everything mirrored to a third version, beside the same proxies without mirror."""
    ours = (
        "rampway", "rampway + mirror", "rampway + mirror, nothing compared",
        "rampway + mirror, compiled", "rampway + mirror, nothing compared, compiled",
    )  # fmt: skip
    with cast(stage, backend, args, mirror=True, ours=ours) as started:
        aside = ("features", "log", "streams", "secure")
        named = [one for one in started if not one.name.endswith(aside)]
        targets = [replace(one, load=varied(one).load) for one in named]
        bursts = interleave(stage, targets, args.rounds, seconds=args.seconds)
        rows = summary(bursts, "nginx", targets)
        for name, row in rows.items():
            for peer in ("nginx + mirror", "envoy + mirror"):
                if peer in bursts:
                    row[peer] = ratio(bursts[name], bursts[peer], "cpu_us")
    beside = [(f"x {peer.split()[0]} +", peer, ".2f") for peer in rows["nginx"] if "+" in peer]
    print(table(rows, [*SATURATION, *beside]))
    return rows


def features(stage, backend, args):
    """What each part of the policy costs, relative to the router without a rollout.

    The whole policy also for users in turn, beside the router without a rollout for the same.
    """
    ours = (
        "rampway without rollout", "rampway without gates", "rampway without sticky", "rampway",
        "rampway + rescue", "rampway + rescue by schema", "rampway + recording",
        "rampway + access log",
    )  # fmt: skip
    with cast(stage, backend, args, ours=ours) as targets:
        own = [t for t in targets if t.name.startswith("rampway") or t.name == "nginx"]
        whole = ("rampway", "rampway without rollout")
        own += [varied(target) for target in own if target.name in whole]
        bursts = interleave(stage, own, args.rounds, seconds=args.seconds)
        rows = summary(bursts, "nginx", own)
    for name, row in rows.items():
        users = ", heads differ" if name.endswith("differ") else ""
        row["base_x"] = ratio(bursts[name], bursts[f"rampway without rollout{users}"], "cpu_us")
    print(table(rows, [*SATURATION, ("x base", "base_x", ".2f")]))
    return rows


def workers(stage, backend, args):
    """More worker processes on one core: what scaling out costs per request.

    A process with fewer connections finds fewer of them ready at a time, whoever its neighbours
    are; so one worker is measured with their share of the connections too.
    """
    inner = Stage(stage.folder)
    try:
        targets = [
            start_rampway(f"rampway {n} workers", inner, backend, workers=n) for n in (1, 2, 4)
        ]
        one = targets[0]
        for connections in (16, 8):
            name = f"{one.name}, {connections} connections"
            targets.append(Target(name, one.port, one.pid, {"connections": connections}))
        results = interleave(stage, targets, args.rounds, seconds=args.seconds)
        rows = summary(results, one.name, targets)
        for n, same in ((2, 16), (4, 8)):
            own, alone = results[f"rampway {n} workers"], results[f"{one.name}, {same} connections"]
            rows[f"rampway {n} workers"]["alone_x"] = ratio(own, alone, "cpu_us")
    finally:
        inner.close()
    print(table(rows, [*SATURATION, ("x alone", "alone_x", ".2f")]))
    return rows


def growth(stage, backend, args):
    """How cost and memory follow routes, versions, connections, bodies, users, rows, scrapes."""
    found = {}
    for name, series in SERIES.items():
        found[name] = series(stage, backend, args)
        columns = [(key, key, ",.1f") for key in next(iter(found[name].values()))]
        print(f"  {name}\n{table(found[name], columns)}", flush=True)
    return found


PARTS = {
    "saturation": saturation,
    "endurance": endurance,
    "rates": rates,
    "secure_rates": secure_rates,
    "mirror": mirror,
    "features": features,
    "streams": streams,
    "secure": secure,
    "bodies": bodies,
    "workers": workers,
    "growth": growth,
    "protection": protection,
    "reading": reading,
}
"""Every part by name; a new one is a function and a line."""

__all__ = ["PARTS", "median"]
