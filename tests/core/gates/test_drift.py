"""Gate drift: hold by default, roll back where the policy says so."""

import pytest

from router.core.gates import GateContext
from router.core.gates.drift import Drift
from router.core.gates.verdict import Counts, Verdict
from router.core.wire.outcomes import Batch, Classes

APART = Classes(500, (60, 0, 0), (300, 400, 440))


def seen(classes=APART, **fields):
    state = Drift.model_validate({"classes": 3} | fields).start(GateContext())
    state.observe(Batch("route", 1, classes=(classes,)))
    return state


def test_proven_drift_holds():
    state = seen()
    assert (state.held, state.capital, state.verdict) == (True, 1.0, Verdict.PENDING)
    assert (state.candidate, state.stable) == (Counts(60, 60), Counts(300, 1_140))
    assert state.sentence().startswith("answered class 0: candidate 60 of 60 (100 %), stable 300")
    assert "tolerated: 5 pp per class" in state.sentence()


def test_the_policy_may_let_it_roll_back():
    state = seen(action="rollback")
    assert (state.held, state.verdict) == (False, Verdict.FAIL)


def test_equality_is_a_choice():
    state = seen(tolerance="0%")
    assert state.evidence.tolerance is None
    assert "no difference" in state.sentence()


def test_alike_passes():
    assert seen(Classes(500, (20, 21, 19), (400, 380, 360))).verdict is Verdict.PASS


def test_another_number_of_classes_is_refused():
    with pytest.raises(ValueError):
        seen(Classes(500, (1, 2), (3, 4)))
