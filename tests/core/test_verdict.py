"""Verdicts, and the one sentence."""

import pytest

from router.core.gates.verdict import (
    Counts,
    GateReport,
    Verdict,
    compared,
    convicted,
    of,
    tolerance_text,
)
from router.core.words import odds


def test_a_verdict_is_a_word_to_people():
    assert [v.word for v in Verdict] == ["pass", "pending", "inconclusive", "error", "fail"]


@pytest.mark.parametrize(
    ("evidence", "text"),
    [(0.5, "0.5 : 1"), (9.94, "9.9 : 1"), (143.2, "143 : 1"), (20_000, "20,000 : 1"),
     (1e9, "over 1,000,000 : 1")],
)  # fmt: skip
def test_odds(evidence, text):
    assert odds(evidence) == text


def test_counts_in_words():
    assert of(Counts()) == "0 of 0 (0 %)"
    assert (
        compared(Counts(4, 57), Counts(11, 1_083), "failed")
        == "failed: candidate 4 of 57 (7.0 %), stable 11 of 1,083 (1.0 %)"
    )
    assert tolerance_text(0.1, 0.001) == "stable + 10 % + 0.1 pp"


def test_a_conviction_is_one_sentence_with_everything():
    report = GateReport("error_rate", Verdict.FAIL, "S", 143.0, 100.0, Counts(4, 57))
    sentence = convicted(report, 143.2, 0.01)
    assert sentence == (
        "error_rate: S; all gates together 143 : 1, limit 100 : 1, which a candidate within "
        "tolerance reaches in at most 1 % of rollouts; 57 candidate requests"
    )
    assert "\n" not in sentence
