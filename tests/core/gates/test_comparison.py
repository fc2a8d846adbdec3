"""The state of several questions at once."""

import pytest

from router.core.evidence import CompareEvidence
from router.core.gates import GateContext
from router.core.gates.comparison import ComparisonState, Question, Tolerance
from router.core.gates.error_rate import error_rows


def test_capital_is_averaged_and_the_leading_question_speaks(batch):
    quiet = Question(CompareEvidence(0.01), "quiet", "nothing", lambda _: ())
    loud = Question(CompareEvidence(0.01), "loud", "nothing", error_rows)
    state = ComparisonState("both", GateContext(), (quiet, loud))
    state.observe(batch(4, 1, 10, 300))
    assert state.capital == pytest.approx((1.0 + loud.evidence.capital) / 2)
    assert state.leading is loud
    assert state.sentence().startswith("loud: candidate 4 of 14")


def test_a_snapshot_of_another_number_of_questions_is_refused():
    one = Question(CompareEvidence(0.01), "a", "b", error_rows)
    two = ComparisonState("two", GateContext(), (one, one))
    with pytest.raises(ValueError):
        ComparisonState("one", GateContext(), (one,)).restore(two.snapshot())


def test_tolerance_in_words():
    assert str(Tolerance()) == "stable + 10 % + 0.1 pp"
    half = Tolerance.model_validate({"relative": "0%", "absolute": "0.5%"})
    assert (half.rho, half.delta, str(half)) == (0.0, 0.005, "stable + 0.5 pp")
