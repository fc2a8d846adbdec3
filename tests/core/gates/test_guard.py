"""Gate guard: absolute, but not against an innocent candidate."""

import pytest

from router.core.evidence.users import Users
from router.core.gates import GateContext
from router.core.gates.error_rate import ErrorRate
from router.core.gates.guard import ALARM, WITNESS, Guard
from router.core.gates.verdict import Counts, Verdict
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Pairs, UserCounts


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


def test_where_nothing_can_be_compared_it_asks_for_a_trial(state, batch):
    state.observe(batch(10, 200, 10, 200))
    assert not state.wants_trial, "at 5 % the arms are being compared"
    state.observe(batch(1, 0, 1, 0, weight_bp=10_000))
    assert state.wants_trial
    assert state.capital <= 1
    state.begin_trial(1)
    assert (state.on_trial, state.wants_trial, state.held) == (True, False, True)
    assert state.sentence().endswith("on trial at 5 %, no answer of the candidate since")


def test_failed_copies_of_a_shadow_count(state, batch):
    state.observe(Batch("route", 1, pairs=Pairs(agreed=5, disagreed=1, failed=6)))
    assert state.candidate == Counts(6, 12)
    assert state.capital > 100
    before = state.candidate
    state.observe(batch(0, 0, 1, 9, pairs=Pairs(failed=50)))
    assert state.candidate == Counts(before.bad, before.total + 1)


def test_sticky_uses_users_for_the_witness(past):
    """One user with twenty failures breaks the limit, and is one witness."""
    state = Guard().start(GateContext(baseline=past, sticky=True, limit=100.0))
    one = UserCounts((5,), bad=(5,), betting=1, first_bad=(5,))
    many = UserCounts(tuple(range(10, 149)), bad=tuple(range(10, 50)))
    arms = ArmCounts(bad=20, users=one), ArmCounts(ok=99, bad=40, users=many)
    state.observe(Batch("route", 1, (Users().admit(Cell(500, *arms, sticky=True)),)))
    assert state.absolute.capital > 100
    assert [evidence.pot.events for _, evidence in state.witnesses] == [41, 1]
    assert state.held


def test_where_stable_breaks_the_limit_itself_the_guard_adds_nothing(state, batch):
    state.observe(batch(5, 10, 0, 50))
    assert state.absolute.capital > 100
    assert WITNESS < state.relative < 100
    assert state.held
    state.observe(batch(1, 0, 0, 0))
    assert state.relative > 100
    assert not state.held
    assert state.capital > 100


def test_what_is_open_counts_for_the_accused(state):
    """Three failures of the candidate among fifty that are under way say nothing yet."""
    slow = ArmCounts(bad=3, arrived=53), ArmCounts(arrived=900)
    state.observe(Batch("route", 1, (Cell(500, *slow, source=1, slice=1),)))
    assert state.capital <= 1
    quick = ArmCounts(bad=4, arrived=4), ArmCounts(arrived=90)
    state.observe(Batch("route", 1, (Cell(500, *quick, source=1, slice=2),)))
    assert state.capital < 2
    state.abandon(1)
    assert [len(one.slices) for one in (state.absolute, state.stables)] == [0, 0]


def test_only_a_guard_tries_anybody(past):
    with pytest.raises(TypeError, match="tries nobody"):
        ErrorRate().start(GateContext(baseline=past)).begin_trial(1)


def test_the_alarm_for_a_trial_comes_before_a_conviction_could(past, batch):
    """A trial can be taken back: three bad answers at 100 % begin it, one does not."""
    state = Guard().start(GateContext(baseline=past, limit=200.0))
    state.observe(batch(1, 0, 20, 0, weight_bp=10_000))
    assert not state.wants_trial
    state.observe(batch(2, 0, 0, 0, weight_bp=10_000))
    assert ALARM <= state.absolute.capital < 200.0
    assert state.wants_trial


def test_a_trial_of_users_waits_until_a_comparison_has_no_more_to_say(past, batch):
    """It makes everybody new, which would end the comparison that is going on."""
    state = Guard().start(GateContext(baseline=past, sticky=True, limit=200.0))
    state.observe(batch(2, 0, 0, 0, weight_bp=5_000))
    assert state.absolute.capital >= ALARM
    assert not state.wants_trial
