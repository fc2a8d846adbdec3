"""The judge of the demo: its rule, and both shapes in which it is asked."""

import json

import pytest

from prediction_services.judge import HABITS, better, usable, verdict
from router.core.judging.question import JudgeAsked, Told
from router.core.judging.said import said

GOOD = {"predict[0,0]": 1, "predict_proba[0,0]": 0.2, "predict_proba[0,1]": 0.8}
TWO = {"predict[0]": 1, "predict_proba[0,1]": 0.8, "predict[1]": 0, "predict_proba[1,1]": None}


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        (GOOD, 1.0),
        (TWO, 0.5),
        (GOOD | {"predict_proba[0,1]": None}, 0.0),
        (GOOD | {"predict[0,0]": 0}, 0.0),
        (GOOD | {"predict[0,0]": "late"}, 0.0),
        ({}, 0.0),
        ("text", 0.0),
    ],
)
def test_a_row_can_be_used_when_its_label_fits_its_score(answer, share):
    assert usable(answer) == share


def test_which_is_better():
    assert [better(GOOD, TWO), better(TWO, GOOD), better(GOOD, GOOD)] == ["first", "second", "tie"]


@pytest.mark.parametrize("model", [None, "m"])
@pytest.mark.parametrize(
    ("habit", "first"), [("rule", 1.0), ("first", 1.0), ("second", -1.0), ("tie", 0.0)]
)
def test_it_understands_the_router_and_the_router_it(model, habit, first):
    assert habit in HABITS
    told = Told('{"why": "-----"}', json.dumps(GOOD), json.dumps(TWO))
    asked = json.loads(JudgeAsked(model).body(told, stable_first=True))
    answer = said(json.dumps(verdict(asked, habit)).encode(), chat=model is not None)
    assert (answer.first, answer.tokens > 0) == (first, True)
