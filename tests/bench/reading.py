"""What it costs the worker that a tenth of the live requests is read by another process."""

from pathlib import Path

from router.link.spare import NAME
from tests.bench.machine import cpu_s
from tests.bench.protection import routers
from tests.bench.rounds import median, ratio, table

READ = """    payload: json
    predictions: {score: "predictions[0]", sample: 10%}
"""
USERS = 100_000


def worker_of(pid):
    """The process that carries the traffic of a router."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        # The first one was forked from control; others are programs of their own.
        if Path(f"/proc/{child}/comm").read_text().strip() == NAME or (
            b"router.proxy.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        ):
            return int(child)
    raise LookupError(f"{pid} has no worker")


def reading(stage, backend, args):
    """CPU of a request: of the worker alone and of all processes, without and with reading."""
    load = {"users": USERS, "path": "/predict"}
    bursts = {"plain": [], "reading": []}
    with routers(stage, backend, plain="", reading=READ) as (plain, other):
        targets = {"plain": plain, "reading": other}
        workers = {name: worker_of(target.pid) for name, target in targets.items()}
        for number in range(args.rounds + 1):
            for name, target in targets.items():
                before = cpu_s(workers[name]), cpu_s(target.pid)
                found = stage.load(target.port, seconds=args.seconds, **load)
                spent = cpu_s(workers[name]) - before[0], cpu_s(target.pid) - before[1]
                if number:
                    bursts[name].append({
                        "worker_us": spent[0] / found["requests"] * 1e6,
                        "all_us": spent[1] / found["requests"] * 1e6,
                        "rps": found["rps"],
                    })  # fmt: skip
    rows = {
        name: {key: median(found, key) for key in found[0]}
        | {f"{key}_x": ratio(found, bursts["plain"], f"{key}_us") for key in ("worker", "all")}
        for name, found in bursts.items()
    }
    print(table(rows, [("worker µs", "worker_us", ".1f"), ("x plain", "worker_x", ".3f"),
                       ("all µs", "all_us", ".1f"), ("x plain", "all_x", ".3f"),
                       ("req/s", "rps", ".0f")]))  # fmt: skip
    return rows
