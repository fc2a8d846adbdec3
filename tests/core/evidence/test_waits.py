"""From what age on a client that leaves was failed."""

import pytest

from router.core.evidence.waits import (
    ANSWERS_MIN,
    SLOW_ABORT_MIN_S,
    SLOW_ABORT_UNKNOWN_S,
    Waits,
)
from router.core.wire.baseline import Baseline
from router.core.wire.histogram import BUCKETS, bucket_of


def past(seconds, answers):
    buckets = [0] * BUCKETS
    buckets[bucket_of(seconds)] = answers
    return Baseline(answers, 0, tuple(buckets), 10.0)


@pytest.mark.parametrize(
    ("seconds", "answers", "slow_s", "known"),
    [
        (2.0, ANSWERS_MIN, 2.0, True),
        (0.003, ANSWERS_MIN, SLOW_ABORT_MIN_S, True),
        (2.0, ANSWERS_MIN - 1, SLOW_ABORT_UNKNOWN_S, False),
    ],
)
def test_the_age_comes_from_stables_past(seconds, answers, slow_s, known):
    waits = Waits.of(past(seconds, answers))
    assert waits.known is known
    assert waits.slow_abort_s == pytest.approx(slow_s, rel=0.3)
