"""Gate agreement: a band around what two versions may have in common."""

import pytest
from pydantic import ValidationError

from router.core.gates import GateContext
from router.core.gates.agreement import DIFFERING_MIN, Agreement
from router.core.gates.verdict import Counts, Verdict
from router.core.judge import Judge, JudgeSettings
from router.core.rollout.events import Action
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import Batch, Pairs
from router.core.wire.paired import PairRow, PairRows


def seen(gate, **pairs):
    state = gate.start(GateContext())
    state.observe(Batch("route", 1, pairs=Pairs(**pairs)))
    return state


def test_too_many_disagreements_fail():
    state = seen(Agreement(), agreed=80, disagreed=20)
    assert (state.verdict, state.candidate) == (Verdict.FAIL, Counts(20, 100))
    assert state.sentence().startswith(
        "disagreed with stable: 20 of 100 (20.0 %) compared answers; "
        "tolerated: at least 98 % agreement; evidence"
    )


def test_within_the_band_it_passes():
    assert seen(Agreement(), agreed=990, disagreed=10).verdict is Verdict.PASS


def test_a_failed_copy_does_not_agree():
    assert seen(Agreement(), failed=9).verdict is Verdict.FAIL


def test_a_new_version_that_never_differs_is_the_old_one():
    gate = Agreement.model_validate({"at_least": "90%", "at_most": "99%"})
    assert seen(gate, agreed=970, disagreed=30).verdict is Verdict.PASS
    state = seen(gate, agreed=2_000)
    assert state.verdict is Verdict.PENDING  # min_bad: nothing bad was ever seen
    assert state.capital > 100
    assert "at most 99 %" in state.sentence()


@pytest.mark.parametrize(
    "band", [{"at_least": "98%", "at_most": "97%"}, {"at_least": "100%"}, {"at_least": "1%"}]
)
def test_impossible_bands_are_refused(band):
    with pytest.raises(ValidationError):
        Agreement.model_validate(band)


def judged(disagreed, agreed=0, **pairs):
    judge = Judge([Agreement()], JudgeSettings(), Baseline(), 0.0)
    judge.observe(Batch("route", 1, pairs=Pairs(agreed, disagreed, **pairs)), 1.0)
    return judge


def test_two_of_two_hold_and_five_of_five_take_back():
    """Neighbours are often alike, and nobody meets a candidate that only gets copies."""
    two = judged(2)
    assert two.capital > 100
    assert (two.conviction, two.tick(1.0)) == ("", Action.HOLD)
    assert two.judgement().reports[0].verdict is Verdict.PENDING
    assert judged(4).conviction == ""
    assert judged(3, failed=2).conviction
    assert judged(DIFFERING_MIN).tick(1.0) is Action.ROLLBACK


def test_rows_of_one_request_are_one():
    row = PairRow(agreed=False)
    many = PairRows((row,) * 32)
    judge = Judge([Agreement()], JudgeSettings(), Baseline(), 0.0)
    for number in range(DIFFERING_MIN):
        assert judge.conviction == "", number
        judge.observe(Batch("route", 1, pairs=Pairs(disagreed=1, rows=(many,))), 1.0)
    assert judge.conviction


def test_what_was_seen_of_it_survives_a_restart():
    state = seen(Agreement(), disagreed=3)
    again = Agreement().start(GateContext())
    again.restore(state.snapshot())
    assert (again.differing, again.enough) == (3, False)
    old = state.snapshot()
    del old["differing"]
    again.restore(old)
    assert again.enough, "of a judge from before it was counted"
