"""What a second kind of traffic costs: event streams, TLS on both sides, large bodies."""

import contextlib
import dataclasses
import json
import re
import shutil
import subprocess

from tests.bench.machine import HERE, LOAD_CORE, Stage, compiled, cpu_s
from tests.bench.peers import PEERS, start_peer, start_rampway
from tests.bench.rounds import interleave, median, ratio, summary, table

STREAMS, EVENTS_PER_S, STREAM_S = 1_000, 20, 5
CONNECTIONS = 32
BODIES_KB = (1_024, 10_240, 65_536)
OURS = ("rampway", "rampway, compiled")
"""With their full policy."""


@contextlib.contextmanager
def beside_nginx(stage, backend, wanted, edits=()):
    """nginx's target of this name, and the router's, started; ended afterwards."""
    inner = Stage(stage.folder)
    inner.backend = stage.backend
    try:
        nginx = next(peer for peer in PEERS if peer.name == "nginx")
        targets = [one for one in start_peer(nginx, inner, backend) if one.name == wanted]
        for name in OURS:
            try:
                targets.append(start_rampway(name, inner, backend, edits=edits))
            except RuntimeError as missing:
                print(f"  left out: {missing}")
        yield inner, targets
    finally:
        inner.close()


def streams(stage, backend, args):
    """1,000 streams of 20 events a second: CPU per event, and how much later they arrive."""
    program = compiled("sse", stage.folder)
    inner = Stage(stage.folder)
    try:
        inner.start([program, "serve", backend.sse, EVENTS_PER_S], "sse", LOAD_CORE, backend.sse)
        source = dataclasses.replace(backend, stable=backend.sse, candidate=backend.sse)
        with beside_nginx(stage, source, "nginx + streams") as (_, targets):
            found = {"direct": []} | {target.name: [] for target in targets}
            for _ in range(args.rounds):
                found["direct"].append(_watch(program, backend.sse))
                for target in targets:
                    before = cpu_s(target.pid)
                    seen = _watch(program, target.port)
                    seen["cpu_us"] = (cpu_s(target.pid) - before) / seen["requests"] * 1e6
                    found[target.name].append(seen)
    finally:
        inner.close()
    rows = {}
    for name, seen in found.items():
        rows[name] = {key: median(seen, key) for key in ("rps", "p50_us", "p99_us")}
        rows[name]["lost"] = sum(one["errors"] for one in seen)
        if name != "direct":
            rows[name]["cpu_us"] = median(seen, "cpu_us")
            rows[name]["cpu_x"] = ratio(seen, found["nginx + streams"], "cpu_us")
    print(table(rows, [
        ("CPU µs/event", "cpu_us", ".1f"), ("x nginx", "cpu_x", ".2f"), ("events/s", "rps", ".0f"),
        ("p50 µs", "p50_us", ".0f"), ("p99 µs", "p99_us", ".0f"), ("lost", "lost", "d"),
    ]))  # fmt: skip
    return rows


def _watch(program, port):
    argv = ["taskset", "-c", LOAD_CORE, program, "watch", port, STREAMS, STREAM_S, "/stream"]
    out = subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, timeout=STREAM_S + 60, check=True
    )
    return json.loads(out.stdout)


def both_sides(stage, backend):
    """nginx and the router, both with TLS from the client and to the version."""
    run = stage.folder
    shown = f"tls: {{certificate: {run}/bench.pem, key: {run}/bench.key}}\n"
    edits = [
        ("listen: 127", f"{shown}listen: 127"),
        *((f'["http://127.0.0.1:{{{name}}}"]',
           f'["https://127.0.0.1:{backend.secure}"], tls: {{ca: {run}/ca.pem}}')
          for name in ("stable", "candidate")),
    ]  # fmt: skip
    return beside_nginx(stage, backend, "nginx + secure", edits)


def secure(stage, backend, args):
    """TLS from the client and to the version, every head another one; load by wrk."""
    if shutil.which("wrk") is None:
        print("  left out: needs wrk (Debian: wrk)")
        return {}
    with both_sides(stage, backend) as (_, targets):
        found = {target.name: [] for target in targets}
        for _ in range(args.rounds):
            for target in targets:
                before = cpu_s(target.pid)
                seen = _wrk(target.port, args.seconds)
                seen["cpu_us"] = (cpu_s(target.pid) - before) / max(1, seen["requests"]) * 1e6
                found[target.name].append(seen)
    rows = {}
    for name, seen in found.items():
        rows[name] = {key: median(seen, key) for key in ("cpu_us", "rps", "p99_us")}
        rows[name]["cpu_x"] = ratio(seen, found["nginx + secure"], "cpu_us")
        rows[name]["bad"] = sum(one["bad"] for one in seen)
    print(table(rows, [
        ("CPU µs", "cpu_us", ".1f"), ("x nginx", "cpu_x", ".2f"), ("req/s", "rps", ".0f"),
        ("p99 µs", "p99_us", ".0f"), ("bad", "bad", "d"),
    ]))  # fmt: skip
    return rows


UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


def _wrk(port, seconds):
    whole = f"{max(1, round(seconds))}s"
    argv = ["taskset", "-c", LOAD_CORE, "wrk", "-t", 1, "-c", CONNECTIONS, "-d", whole, "--latency"]
    argv += ["-s", HERE / "conf" / "users.lua", f"https://127.0.0.1:{port}"]
    out = subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, timeout=seconds + 60, check=True
    ).stdout
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    odd = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    lost = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", out)
    return {
        "requests": int(re.search(r"(\d+) requests in", out)[1]),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        "p99_us": float(late[1]) * UNITS[late[2]],
        "bad": int(odd[1] if odd else 0) + sum(map(int, lost.groups() if lost else ())),
    }


def bodies(stage, backend, args):
    """1, 10 and 64 MB both ways, beside nginx: CPU per megabyte."""
    found = {}
    with beside_nginx(stage, backend, "nginx") as (inner, targets):
        for kilobytes in BODIES_KB:
            for way in ("up", "down"):
                up = way == "up"
                load = {"body": 1_024 * kilobytes if up else 0,
                        "path": "/upload" if up else f"/files/{kilobytes}"}  # fmt: skip
                loaded = [dataclasses.replace(one, load=load) for one in targets]
                bursts = interleave(inner, loaded, args.rounds, seconds=args.seconds, connections=4)
                for name, row in summary(bursts, "nginx", loaded).items():
                    row["cpu_us_mb"] = row["cpu_us"] * 1_024 / kilobytes
                    found[f"{name}, {kilobytes // 1_024} MB {way}"] = row
    print(table(found, [("CPU µs/MB", "cpu_us_mb", ".0f"), ("x nginx", "cpu_x", ".2f"),
                        ("MB", "mb", ".0f"), ("bad", "bad", "d")]))  # fmt: skip
    return found
