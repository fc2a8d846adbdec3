"""Gate error_rate."""

import json

import pytest

from router.core.evidence import CompareEvidence
from router.core.evidence.users import Users
from router.core.gates import GateContext
from router.core.gates.comparison import FRESH, ROUNDS_MAX
from router.core.gates.error_rate import ErrorRate
from router.core.gates.verdict import Counts, Verdict
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell, UserCounts

FOUR_FAILURES = (4, 11, 53, 1_072)


def test_it_is_the_comparison_with_the_policy_s_tolerance(past, batch):
    state = ErrorRate().start(GateContext(baseline=past, max_duration_s=600.0))
    state.observe(batch(*FOUR_FAILURES))
    alone = CompareEvidence(past.bad_rate, relative=0.1, absolute=0.001, horizon=303)
    alone.observe(500, *FOUR_FAILURES)
    assert state.questions[0].evidence.capital == alone.capital
    refusals = state.questions[1].evidence.capital
    assert state.capital == pytest.approx(0.9 * alone.capital + 0.1 * refusals)
    assert (state.candidate, state.stable) == (Counts(4, 57), Counts(11, 1_083))


def test_the_sentence_has_value_comparison_limit_and_sample_size(past, batch):
    state = ErrorRate().start(GateContext(baseline=past))
    state.observe(batch(*FOUR_FAILURES))
    assert state.sentence() == (
        "failed: candidate 4 of 57 (7.0 %), stable 11 of 1,083 (1.0 %); "
        f"tolerated: stable + 10 % + 0.1 pp; evidence {state.capital:.2g} : 1, limit 100 : 1"
    )


def test_verdicts_follow_the_evidence(past, batch):
    state = ErrorRate().start(GateContext(baseline=past, limit=100.0, min_bad=2))
    state.observe(batch(0, 1, 10, 190))
    assert state.verdict is Verdict.PASS
    state.observe(batch(2, 0, 0, 0))
    assert state.verdict is Verdict.PENDING
    state.observe(batch(2, 0, 0, 0))
    assert state.verdict is Verdict.FAIL


def test_one_bad_answer_convicts_nobody(batch):
    state = ErrorRate().start(GateContext(baseline=Baseline(10**6, 0), limit=10.0))
    state.observe(batch(1, 0, 0, 5_000, weight_bp=10))
    assert state.capital > 10
    assert state.verdict is Verdict.PENDING


def test_sticky_counts_users(past):
    """Half of the capital on first requests, half on first failures; both of one user, once."""
    state = ErrorRate().start(GateContext(baseline=past, sticky=True))
    users = Users()
    mine = UserCounts((5,), bad=(5,), betting=1, first_bad=(5,))
    cell = Cell(
        500, ArmCounts(bad=9, users=mine), ArmCounts(ok=99, users=UserCounts()), sticky=True
    )
    state.observe(Batch("route", 1, (users.admit(cell),)))
    once = state.capital
    assert 1 < once < 100
    assert [q.evidence.pot.events for q in state.questions] == [1, 1, 0]
    state.observe(Batch("route", 1, (users.admit(cell), cell)))
    assert [q.evidence.pot.events for q in state.questions] == [1, 1, 0]
    assert state.capital == pytest.approx(once, rel=0.01), "a failure of his is a good one here"
    assert "of each user the first" in state.sentence()
    assert state.candidate == Counts(1, 1)


def failed(unit, round_):
    """A user of the candidate whose first request of the round fails."""
    mine = UserCounts((unit,), bad=(unit,), betting=1, first_bad=(unit,))
    return Cell(500, ArmCounts(bad=1, arrived=1, users=mine), ArmCounts(users=UserCounts()),
                sticky=True, round=round_)  # fmt: skip


def test_users_who_count_anew_are_asked_about_with_a_part_of_the_capital(past):
    """However often they do, all together begin at 1 and no round has another one's part."""
    state, users = ErrorRate().start(GateContext(baseline=past, sticky=True)), Users()
    for round_ in range(1, 2 * ROUNDS_MAX):
        users.begin(round_)
        state.begin_round(round_)
        assert state.capital == pytest.approx(1.0)
        shares = [q.share for q in state.questions[3:]]
        assert shares[-1] == pytest.approx(FRESH / (round_ * (round_ + 1)) / 2)
        assert len(shares) == 2 * min(round_, ROUNDS_MAX)
    state.observe(Batch("route", 1, (users.admit(failed(7, users.round)),)))
    events = [q.evidence.pot.events for q in state.questions]
    assert events == [1, 0, 0, *[0] * (2 * ROUNDS_MAX - 2), 1, 1], "once in all, once in its round"


def test_a_user_who_was_met_before_fails_in_the_new_round_only(past):
    state, users = ErrorRate().start(GateContext(baseline=past, sticky=True)), Users()
    state.observe(Batch("route", 1, (users.admit(failed(7, 0)),)))
    users.begin(1)
    state.begin_round(1)
    state.observe(Batch("route", 1, (users.admit(failed(7, 1)),)))
    assert [q.evidence.pot.events for q in state.questions] == [1, 1, 0, 1, 1]
    twin = ErrorRate().start(GateContext(baseline=past, sticky=True))
    twin.restore(json.loads(json.dumps(state.snapshot())))
    assert twin.capital == state.capital
    assert twin.snapshot() == state.snapshot()


def test_what_a_forgotten_round_has_come_to_stays(past):
    state, users = ErrorRate().start(GateContext(baseline=past, sticky=True)), Users()
    users.begin(1)
    state.begin_round(1)
    for unit in range(4):
        state.observe(Batch("route", 1, (users.admit(failed(unit, 1)),)))
    before = state.capital
    for round_ in range(2, ROUNDS_MAX + 2):
        state.begin_round(round_)
    assert state.rounds[0] == 2
    assert state.capital == pytest.approx(before)
    twin = ErrorRate().start(GateContext(baseline=past, sticky=True))
    twin.restore(json.loads(json.dumps(state.snapshot())))
    assert (twin.capital, twin.rounds) == (state.capital, state.rounds)


@pytest.mark.parametrize("zero", [{"relative": "0%", "absolute": "0%"}])
def test_no_tolerance_is_legal(zero, past):
    gate = ErrorRate.model_validate({"tolerance": zero})
    assert str(gate.tolerance) == "stable"
    assert gate.start(GateContext(baseline=past)).capital == pytest.approx(1.0)
