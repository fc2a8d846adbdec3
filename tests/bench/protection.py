"""What quotas cost, whom they spare, and how much memory a million clients take."""

import contextlib
import json
import os
import subprocess
import time
from dataclasses import replace

from router.link.quotas import QuotaArea, made
from tests.bench.machine import LOAD_CORE, Stage, compiled
from tests.bench.peers import start_rampway
from tests.bench.rounds import interleave, median, ratio, summary, table

USERS = 100_000
KEYS = 1_000_000
LARGE = "    quota: {by: {header: X-User-Id}, rate: 1000000/s, per_day: 4000000000}\n"
"""Nobody reaches it: what remains is what it costs."""
SMALL = "    quota: {by: {header: X-User-Id}, rate: 50/s, burst: 50}\n"
OTHERS_PER_S, OTHERS, FLOOD = 1_000, 8, 16
"""Requests a second of the other clients, all of different users; connections of both sides."""
STICKY = "    sticky: {header: X-User-Id}\n"
GUARD = "        - guard\n"
EXTRA = {"reading": [(GUARD, GUARD + "        - nulls: {dry_run: true}\n")]}
"""Further edits, by the target's name."""


@contextlib.contextmanager
def routers(stage, backend, **edits):
    """Targets of these names, each with lines added to its route; ended afterwards."""
    inner = Stage(stage.folder)
    inner.backend = stage.backend
    try:
        yield [
            start_rampway(
                name, inner, backend, edits=[(STICKY, STICKY + more), *EXTRA.get(name, ())]
            )
            for name, more in edits.items()
        ]
    finally:
        inner.close()


def protection(stage, backend, args):
    """CPU per request with a quota beside none; others' latency beside a flood; a million keys."""
    return {"cpu": _cpu(stage, backend, args), "flood": _flood(stage, backend, args),
            "keys": _keys()}  # fmt: skip


def _cpu(stage, backend, args):
    with routers(stage, backend, plain="", quota=LARGE) as targets:
        load = {"users": USERS, "path": "/predict"}
        differ = [replace(one, name=f"{one.name}, heads differ", load=load) for one in targets]
        order = [*targets, *differ]
        bursts = interleave(stage, order, args.rounds, seconds=args.seconds)
        rows = summary(bursts, "plain", order)
        differing = "quota, heads differ"
        rows[differing]["cpu_x"] = ratio(bursts[differing], bursts["plain, heads differ"], "cpu_us")
        del rows["plain, heads differ"]["cpu_x"]
    print(table(rows, [("CPU µs", "cpu_us", ".1f"), ("x plain", "cpu_x", ".3f"),
                       ("req/s", "rps", ".0f"), ("bad", "bad", "d")]))  # fmt: skip
    return rows


def _flood(stage, backend, args):
    """Others ask at a steady rate; one client with 16 connections asks as fast as it can."""
    program = compiled("openloop", stage.folder)
    quiet, flooded, refused = [], [], 0
    with routers(stage, backend, quota=SMALL) as (target,):
        others = {"rate": OTHERS_PER_S, "seconds": args.seconds, "connections": OTHERS,
                  "users": USERS, "path": "/predict"}  # fmt: skip
        stage.load(target.port, **others)
        for number in range(args.rounds):
            quiet.append(stage.load(target.port, **others))
            argv = ["taskset", "-c", LOAD_CORE, program, target.port, 0, args.seconds + 1, FLOOD,
                    "/same", 1024, 1]  # fmt: skip
            flood = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True)
            time.sleep(0.5)
            flooded.append(stage.load(target.port, **others))
            refused += _not_2xx(flood)
            print(f"  round {number + 1} of {args.rounds}", flush=True)
    rows = {name: {key: median(seen, key) for key in ("p50_us", "p99_us")}
            for name, seen in (("quiet", quiet), ("beside a flood", flooded))}  # fmt: skip
    rows["beside a flood"]["p99_x"] = ratio(flooded, quiet, "p99_us")
    rows["beside a flood"]["refused"] = refused
    for name, seen in (("quiet", quiet), ("beside a flood", flooded)):
        rows[name]["bad"] = sum(one["errors"] + one["not_2xx"] for one in seen)
    print(table(rows, [("p50 µs", "p50_us", ".0f"), ("p99 µs", "p99_us", ".0f"),
                       ("x quiet", "p99_x", ".2f"), ("bad", "bad", "d"),
                       ("429", "refused", "d")]))  # fmt: skip
    return rows


def _not_2xx(flood):
    return json.loads(flood.communicate(timeout=60)[0])["not_2xx"]


def _keys():
    fd = made(2)
    try:
        area = QuotaArea(fd)
        began = time.process_time()
        for number in range(KEYS):
            area.wait_s(b"route\0key-%d" % number, 10**9, 10**10, 1_000)
        first_us = (time.process_time() - began) / KEYS * 1e6
        rows = {"a million clients": {
            "mb": os.fstat(fd).st_blocks * 512 / 1e6, "us": first_us, "forgotten": area.forgotten,
        }}  # fmt: skip
    finally:
        os.close(fd)
    print(table(rows, [("MB", "mb", ".1f"), ("CPU µs", "us", ".2f"),
                       ("forgotten", "forgotten", "d")]))  # fmt: skip
    return rows
