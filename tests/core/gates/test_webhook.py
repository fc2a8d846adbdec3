"""Gate webhook: yes, no, and no clear answer."""

import pytest

from router.core.gates import GateContext, Measurement
from router.core.gates.verdict import Verdict
from router.core.gates.webhook import Webhook

YES, NO = Measurement((1.0,)), Measurement((0.0,))
VAGUE, ERROR = Measurement((0.3,)), Measurement(error="timeout after 5s")


@pytest.mark.parametrize(
    ("ask", "answers", "expected"),
    [
        ("confirm", [NO, YES, NO], ["pending", "pass", "pending"]),
        ("rollback", [NO, YES, NO], ["pass", "fail", "fail"]),
        ("confirm", [ERROR, ERROR, VAGUE], ["pending", "error", "error"]),
        ("rollback", [VAGUE, NO], ["pending", "pass"]),
        ("confirm", [Measurement((1.0, 1.0))], ["pending"]),
    ],
)
def test_answers(ask, answers, expected):
    gate = Webhook.model_validate(
        {"url": "https://127.0.0.1/", "ask": ask, "consecutive_error_limit": 1}
    )
    state = gate.start(GateContext())
    found = []
    for answer in answers:
        state.measure(answer, 0.0)
        found.append(state.verdict.word)
    assert found == expected
    assert state.held is (state.verdict is not Verdict.PASS)


def test_the_sentence_says_what_was_asked():
    state = Webhook.model_validate({"url": "https://127.0.0.1/"}).start(GateContext())
    state.measure(NO, 0.0)
    assert state.sentence() == (
        "the hook said no to 'may it go on?'; asked 1 time, 0 failed in a row, limit 4"
    )
