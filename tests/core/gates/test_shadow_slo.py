"""Gate shadow_slo: who alone was slow, in mirrored requests."""

import json
import random

import pytest

from router.core.gates import GateContext
from router.core.gates.shadow_slo import ShadowSlo
from router.core.gates.verdict import Counts, Verdict
from router.core.wire.outcomes import Batch, Pairs

SLOW, FAST, LIMIT = 0.4, 0.1, "200ms"


def started(margin="1%"):
    return ShadowSlo.model_validate({"slower_than": LIMIT, "margin": margin}).start(GateContext())


def seen(*times, margin="1%"):
    state = started(margin)
    state.observe(Batch("r", 1, pairs=Pairs(agreed=len(times), times=times)))
    return state


def test_a_candidate_that_is_slow_where_stable_is_not_fails():
    state = seen(*[(FAST, SLOW)] * 12, *[(FAST, FAST)] * 28)
    assert (state.verdict, state.candidate, state.stable) == (
        Verdict.FAIL, Counts(12, 40), Counts(0, 40),
    )  # fmt: skip
    assert state.sentence().startswith(
        "slower than 200ms by the candidate alone: 12, by stable alone: 0 of 40 mirrored requests; "
        "tolerated: stable + 1 pp; evidence"
    )


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([(SLOW, SLOW)] * 200, id="both are slow at once"),
        pytest.param([(SLOW, FAST)] * 200, id="only stable is"),
        pytest.param([(SLOW, FAST), (FAST, SLOW)] * 100, id="each as often"),
        pytest.param([(FAST, 0.2)] * 200, id="at the limit itself"),
    ],
)
def test_what_is_no_slower_than_stable_passes(times):
    assert seen(*times).verdict is Verdict.PASS


def test_the_margin_is_tolerated():
    times = [(FAST, SLOW)] * 60 + [(FAST, FAST)] * 1_000
    assert seen(*times, margin="8%").verdict is Verdict.PASS
    assert seen(*times, margin="1%").verdict is Verdict.FAIL


def test_batches_without_times_say_nothing():
    state = started()
    state.observe(Batch("r", 1))
    state.observe(Batch("r", 1, pairs=Pairs(failed=30, agreed=30)))
    assert (state.verdict, state.candidate.total) == (Verdict.PENDING, 0)


def test_a_snapshot_is_exact():
    state = seen(*[(FAST, SLOW)] * 5, *[(FAST, FAST)] * 90, (SLOW, FAST))
    again = started()
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert (again.capital, again.sentence()) == (state.capital, state.sentence())


def test_candidates_at_the_margin_are_rarely_accused():
    """2 % more slow answers and 2 % tolerated, looked at after every tenth pair: at most one in a
    hundred is ever accused; four of sixty have a chance of less than 1 in 300."""
    chance, accused = random.Random(4), 0
    for _ in range(60):
        state = started("2%")
        for _ in range(200):
            times = tuple(
                (SLOW if chance.random() < 0.05 else FAST, SLOW if chance.random() < 0.07 else FAST)
                for _ in range(10)
            )
            state.observe(Batch("r", 1, pairs=Pairs(agreed=10, times=times)))
            if state.verdict is Verdict.FAIL:
                accused += 1
                break
    assert accused <= 3
