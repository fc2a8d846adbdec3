"""The recorder on the hot path: what it costs, and that nothing in it grows."""

import gc
import tracemalloc

from router.core.wire.outcomes import Outcome
from router.telemetry.recorder import Recorder
from tests.bench.evidence import counting_ns, entry

COST_NS = 500.0
LOADED = 4.0
"""A machine that runs other tests meanwhile is slower; the exact figure is the benchmark's."""


def test_counting_a_good_request_costs_less_than_half_a_microsecond():
    assert counting_ns() < COST_NS * LOADED


def test_nothing_grows_with_good_requests():
    recorder = Recorder()
    cell, stats = recorder.cell(entry()), recorder.version("r", "v1", "stable")
    good = int(Outcome.OK)

    def requests(number):
        for i in range(number):
            arm = cell.candidate if i % 20 == 0 else cell.stable
            arm.arrive()
            stats.begin()
            stats.end(good, 200, 0.05, 0.04)
            arm.end(good, 0.05, 0, 0)
            if i % 250 == 249:
                recorder.delta()

    requests(1_000)
    gc.collect()
    tracemalloc.start()
    requests(250)  # the counters themselves, which are made anew at each report
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    requests(100_000)
    gc.collect()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"100,000 requests: {after - before} bytes more, {peak - before} at most")
    assert after - before < 4_096
    assert peak - before < 262_144


def test_arrivals_reach_the_report_of_their_weight():
    recorder = Recorder()
    cell = recorder.cell(entry())
    for _ in range(7):
        cell.candidate.arrive()
    cell.stable.arrive()
    cell.candidate.end(int(Outcome.CLIENT_ABORT), 0.01, 0, 0)
    (batch,) = recorder.delta().batches
    (counted,) = batch.cells
    assert counted.weight_bp == 500
    assert (counted.candidate.arrived, counted.stable.arrived) == (7, 1)
    assert counted.candidate.ok == counted.candidate.bad == 0
