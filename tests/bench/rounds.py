"""Interleaved rounds (A B C A B C ...), so that a noisy neighbour hits all targets alike."""

import statistics
import time

from tests.bench.machine import cpu_s, memory_mb


def measure(stage, target, **load):
    """One burst: the generator's figures and the CPU per request of the process tree, µs."""
    before, started = (cpu_s(target.pid) if target.pid else 0.0), time.monotonic()
    behind = cpu_s(stage.backend) if stage.backend else 0.0
    result = stage.load(target.port, **(load | target.load))
    spent = (cpu_s(target.pid) - before) if target.pid else 0.0
    behind = (cpu_s(stage.backend) - behind) if stage.backend else 0.0
    result["load_busy"] = (result["own_s"] + behind) / (time.monotonic() - started)
    result["cpu_us"] = spent / max(1, result["requests"]) * 1e6
    result["busy"] = spent / (time.monotonic() - started)
    return result


def interleave(stage, targets, rounds, **load):
    """Bursts per target name, in round order; one warm-up burst each is thrown away."""
    for target in targets:
        first = {"seconds": 0.5, "connections": load.get("connections", 32)}
        stage.load(target.port, **(first | target.load))
    results = {target.name: [] for target in targets}
    for number in range(rounds):
        for target in targets:
            results[target.name].append(measure(stage, target, **load))
        print(f"  round {number + 1} of {rounds}", flush=True)
    return results


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def ratio(rows, reference, key):
    """Median over rounds of the ratio to the reference in the same round."""
    pairs = [(row[key], ref[key]) for row, ref in zip(rows, reference, strict=True) if ref[key]]
    return statistics.median(a / b for a, b in pairs) if pairs else float("nan")


def summary(results, reference, targets):
    """Medians and ratios per target, ready for the table and the results file."""
    pids = {target.name: target.pid for target in targets}
    rows = {}
    for name, bursts in results.items():
        rows[name] = {key: median(bursts, key) for key in ("cpu_us", "rps", "p50_us", "p99_us")}
        rows[name]["cpu_x"] = ratio(bursts, results[reference], "cpu_us")
        rows[name]["busy"] = median(bursts, "busy")
        rows[name]["load_busy"] = median(bursts, "load_busy")
        rows[name]["bad"] = sum(b["errors"] + b["not_2xx"] for b in bursts)
        rows[name]["mb"] = memory_mb(pids[name]) if pids[name] else 0.0
    return rows


def table(rows, columns):
    """Text table; ``columns`` are (title, key, format)."""
    lines = [f"{'':44s}" + "".join(f"{title:>11s}" for title, _, _ in columns)]
    for name, row in rows.items():
        cells = (f"{row[key]:>11{form}}" if key in row else f"{'':11s}" for _, key, form in columns)
        lines.append(f"{name:44s}" + "".join(cells))
    return "\n".join(lines)
