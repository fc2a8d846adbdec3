"""Small makers of batches and baselines."""

import random

import pytest

from router.core.wire.baseline import Baseline
from router.core.wire.histogram import BUCKETS, bucket_of
from router.core.wire.outcomes import ArmCounts, Batch, Cell


@pytest.fixture
def past():
    """Stable's past: 5 000 requests, 1 % bad, log-normal around 100 ms, 50 requests a second."""
    draw, buckets = random.Random(1), [0] * BUCKETS
    for _ in range(5_000):
        buckets[bucket_of(draw.lognormvariate(-2.3, 0.5))] += 1
    return Baseline(5_000, 50, tuple(buckets), 50.0)


@pytest.fixture
def batch():
    """Counts of one cell as a batch: ``batch(cb, sb, co, so, weight_bp=500, ...)``."""

    def make(cb=0, sb=0, co=0, so=0, *, weight_bp=500, **more):
        candidate, stable = ArmCounts(ok=co, bad=cb), ArmCounts(ok=so, bad=sb)
        return Batch("route", 1, (Cell(weight_bp, candidate, stable),), **more)

    return make
