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


def test_its_totals_say_what_no_other_gate_counts(state, batch, past):
    """`guard` said 5 of 159 beside `error_rate`'s 5 of 55, with no word why."""
    state.observe(Batch("route", 1, pairs=Pairs(agreed=104)))
    state.observe(batch(5, 0, 50, 335))
    found = "failed: candidate 5 of 159 (3.1 %), stable 0 of 335 (0 %), with 104 copies; tolerated"
    assert found in state.sentence()
    forced = Cell(10_000, ArmCounts(ok=6, bad=1), ArmCounts(), forced=True)
    state.observe(Batch("route", 1, (forced,)))
    again = Guard().start(GateContext(baseline=past, limit=100.0))
    again.restore(state.snapshot())
    assert ", with 104 copies and 7 sent undrawn; tolerated" in again.sentence()
    assert again.sentence() == state.sentence()


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


def refused(candidate, stable=(0, 0), weight_bp=10_000, round_=0):
    """(refused, all) answers of both arms."""
    arms = (ArmCounts(ok=n, arrived=n, refused=r) for r, n in (candidate, stable))
    return Batch("route", 1, (Cell(weight_bp, *arms, round=round_),))


def test_who_refuses_most_where_stable_is_not_seen_is_put_on_trial(state):
    state.observe(refused((2, 4)))
    assert not state.wants_trial, "half may be the clients' fault"
    state.observe(refused((10, 10)))
    assert (state.wants_trial, state.capital) == (True, 1.0), "an alarm blames nobody"
    state.begin_trial(1)
    assert (state.on_trial, state.of_refusals, state.fails) == (True, True, False)
    assert state.candidate == Counts(12, 14)
    assert state.sentence().startswith("refused (4xx) or empty: candidate 12 of 14")
    assert state.sentence().endswith("on trial at 5 %, no answer of the candidate since")


def test_what_stable_takes_in_the_trial_convicts(state):
    state.observe(refused((14, 14)))
    state.begin_trial(1)
    state.observe(refused((8, 8), (0, 72), 1_000, 1))
    assert state.capital > 100
    assert "since then refused (4xx) or empty: candidate 8 of 8" in state.sentence()


def test_what_stable_refuses_as_well_ends_the_trial_and_blames_nobody(state):
    state.observe(refused((14, 14)))
    state.begin_trial(1)
    state.observe(refused((8, 8), (72, 72), 1_000, 1))
    assert (state.on_trial, state.wants_trial) == (False, False)
    assert state.capital <= 1.0
    state.observe(refused((50, 50)))
    assert not state.wants_trial, "stable is known to refuse"


def test_a_trial_of_refusals_ends_when_they_do_and_survives_a_restart(state, past):
    state.observe(refused((14, 14)))
    state.begin_trial(1)
    state.observe(refused((3, 3), (0, 10), 1_000, 1))
    again = Guard().start(GateContext(baseline=past, limit=100.0))
    again.restore(state.snapshot())
    assert (again.capital, again.sentence()) == (state.capital, state.sentence())
    again.observe(refused((0, 60), (0, 500), 1_000, 1))
    assert not again.on_trial


def test_failures_come_before_refusals(state, batch):
    """What fails is no refusal: the trial asks for failures where those break the limit."""
    state.observe(refused((14, 14)))
    state.observe(batch(5, 0, 0, 0, weight_bp=10_000))
    state.begin_trial(1)
    assert (state.of_refusals, state.fails) == (False, True)
