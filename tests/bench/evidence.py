"""What evidence costs per good request, in place: the recorder's own calls, and the judge's share.

    python -m tests.bench.evidence

A worker counts the request when it is drawn and when it ends; the control process judges batches.
The least processor time of several rounds is told: other programs only add to it.
"""

import sys
import timeit
from time import process_time

from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.wire.baseline import Baseline
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Outcome
from router.core.wire.table import MatchEntry, RouteEntry, VersionEntry
from router.telemetry.recorder import Recorder

ROUNDS = 7
REQUESTS = 100_000
BATCHES = 400
PER_BATCH = 250
LIMIT_NS = 500.0
"""The promise: evidence costs at most this per good request."""

THRESHOLDS_S = (0.1, 0.25, 0.32)


def entry(thresholds_s=THRESHOLDS_S):
    """A route at 5 %."""
    versions = tuple(VersionEntry(name, (EndpointEntry("127.0.0.1", 9),)) for name in ("v1", "v2"))
    return RouteEntry(
        "r", MatchEntry(path="/*"), versions, 0, weights_bp=(9_500, 500), candidate=1,
        rollout_id="r-1", revision=1, thresholds_s=thresholds_s, slow_tolerance=0.1,
    )  # fmt: skip


def counting_ns(thresholds_s=THRESHOLDS_S):
    """``Arm.arrive`` and ``Arm.end`` of one good request, less an empty loop."""
    arm = Recorder().cell(entry(thresholds_s)).stable
    names = {"arrive": arm.arrive, "end": arm.end, "good": int(Outcome.OK), "age": 0.05}
    timer = timeit.Timer("arrive(); end(good, age, 0, 0)", timer=process_time, globals=names)
    empty = timeit.Timer("pass", timer=process_time)
    taken = min(timer.repeat(ROUNDS, REQUESTS)) - min(empty.repeat(ROUNDS, REQUESTS))
    return taken / REQUESTS * 1e9


def judging_ns(*gates):
    """The judge's share of one request, at 1,000 a second in four batches."""
    made = [GATES[kind]() for kind in gates]
    buckets = tuple(50 for _ in range(100))
    judge = Judge(made, JudgeSettings(), Baseline(5_000, 50, buckets, 1_000.0), 0.0)
    limits = judge.thresholds_s
    arms = (
        ArmCounts(12, 0, (12,) * len(limits), (0,) * len(limits), arrived=12),
        ArmCounts(238, 0, (238,) * len(limits), (0,) * len(limits), arrived=238),
    )
    batch = Batch("r", 1, (Cell(500, *arms, limits, judge.tolerance),))

    def one():
        judge.observe(batch, 1.0)
        judge.tick(1.0)

    return (
        min(timeit.Timer(one, timer=process_time).repeat(ROUNDS, BATCHES))
        / BATCHES
        / PER_BATCH
        * 1e9
    )


def rows():
    """(what, nanoseconds) of every part."""
    return [
        ("counting in the worker, no latency gate", counting_ns(())),
        ("counting in the worker, three thresholds", counting_ns()),
        ("judging error_rate and guard", judging_ns("error_rate", "guard")),
        ("judging error_rate, latency and guard", judging_ns("error_rate", "latency", "guard")),
    ]


def main():
    found = rows()
    print("## Cost of evidence per good request\n\n| part | nanoseconds |\n| --- | --- |")
    for what, ns in found:
        print(f"| {what} | {ns:.0f} |")
    hot = found[1][1]
    print(f"\n- {'met' if hot <= LIMIT_NS else 'MISSED'}: on the hot path, nanoseconds: {hot:.0f} "
          f"(goal: at most {LIMIT_NS:g})")  # fmt: skip
    return 0 if hot <= LIMIT_NS else 1


if __name__ == "__main__":
    sys.exit(main())
