"""Gate guard: absolute, but not against an innocent candidate."""

import pytest

from router.core.gates import GateContext
from router.core.gates.guard import Guard
from router.core.gates.verdict import Counts, Verdict
from router.core.wire.outcomes import Pairs


@pytest.fixture
def state(past):
    return Guard().start(GateContext(baseline=past, limit=100.0))


def test_a_failing_candidate_beside_a_sound_stable_counts(state, batch):
    state.observe(batch(5, 1, 5, 180))
    assert state.capital > 100
    assert (state.held, state.verdict) == (False, Verdict.FAIL)
    assert (state.candidate, state.stable) == (Counts(5, 10), Counts(1, 181))
    assert "tolerated: 5 % whatever stable does" in state.sentence()


def test_a_shared_outage_holds_and_convicts_nobody(state, batch):
    state.observe(batch(10, 200, 10, 200))
    assert state.absolute.capital > 100
    assert state.capital <= 1
    assert (state.held, state.verdict) == (True, Verdict.PENDING)
    assert state.sentence().endswith("so it holds")


def test_where_nothing_can_be_compared_it_counts_alone(state, batch):
    state.observe(batch(10, 200, 10, 200))
    state.observe(batch(1, 0, 1, 0, weight_bp=10_000))
    assert state.capital > 100
    state.observe(batch(0, 0, 1, 30))
    assert state.capital <= 1


def test_failed_copies_of_a_shadow_count(state, batch):
    from router.core.wire.outcomes import Batch

    state.observe(Batch("route", 1, pairs=Pairs(agreed=5, disagreed=1, failed=6)))
    assert state.candidate == Counts(6, 12)
    assert state.capital > 100
    before = state.candidate
    state.observe(batch(0, 0, 1, 9, pairs=Pairs(failed=50)))
    assert state.candidate == Counts(before.bad, before.total + 1)


def test_sticky_uses_users_for_the_witness(past, batch):
    state = Guard().start(GateContext(baseline=past, sticky=True, limit=100.0))
    state.observe(batch(20, 40, 0, 99, units=((5,) * 20, tuple(range(10, 50)))))
    assert state.absolute.capital > 100
    assert state.relative.pot.events == 41
    assert state.held
