"""Feedback over HTTP."""

from __future__ import annotations

import pytest

from router.admin.feedback import LABELS_MAX
from router.control.fleet.feedback import Statement
from router.control.told.answers import StatementsView
from router.core.logged.truth import Truth
from router.core.wire.receipt import RECEIPT_CHARS_MAX

PATH = "/api/v1/feedback"


STATEMENTS = {"accepted": 0, "refused": [], "joined": 0, "waiting": 0, "waiting_ids": [],
              "duplicates": 0}  # fmt: skip


@pytest.fixture
def taken(site):
    seen = []

    async def feedback(given):
        seen.extend(given)
        return StatementsView.of(STATEMENTS | {"accepted": len(given)})

    site.controller.feedback = feedback
    return seen


async def test_statements_are_handed_on(site, taken):
    labels = [
        {"receipt": "a", "correct": False}, {"receipt": "b", "reward": 0.25},
        {"receipt": "c", "correct": True, "truth": "late"},
        {"request_id": "d", "row": 3, "label": 2, "value": 1.5, "source": "human"},
    ]  # fmt: skip
    answer = await site.post(PATH, {"labels": labels})

    assert answer.status == 200, await answer.text()
    assert await answer.json() == STATEMENTS | {"accepted": 4}
    assert taken == [
        Statement(Truth(correct=False), "a"), Statement(Truth(score=0.25), "b"),
        Statement(Truth(correct=True, label="late"), "c"),
        Statement(Truth("d", 3, label=2.0, value=1.5, source="human")),
    ]  # fmt: skip


async def test_one_statement_needs_no_list(site, taken):
    answer = await site.post(PATH, {"request_id": "x", "label": True})
    assert answer.status == 200
    assert taken == [Statement(Truth("x", label=True))]


async def test_ten_thousand_are_taken_at_once(site, taken):
    labels = [{"request_id": f"id-{n:06}", "label": True} for n in range(LABELS_MAX)]
    assert (await site.post(PATH, {"labels": labels})).status == 200
    assert len(taken) == LABELS_MAX
    assert (await site.post(PATH, {"labels": [*labels, labels[0]]})).status == 422


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([], "length >= 1"),
        (["a"], "$.labels[0]"),
        ([{"correct": True}], "labels[0]: expected either receipt or request_id"),
        ([{"receipt": "a", "request_id": "b", "correct": True}], "either receipt or request_id"),
        ([{"receipt": "a"}], "expected one of label, correct, score, value, accepted"),
        ([{"receipt": "a", "reward": 1.5}], "<= 1"),
        ([{"receipt": "a", "reward": True}], "$.labels[0].reward"),
        ([{"receipt": "a", "correct": 1}], "$.labels[0].correct"),
        ([{"receipt": "a" * (RECEIPT_CHARS_MAX + 1), "correct": True}], "length <= "),
        ([{"receipt": "a", "correct": True, "truth": []}], "$.labels[0].truth"),
        ([{"receipt": "a", "correct": True, "truth": "x" * 101}], "$.labels[0].truth"),
        ([{"request_id": "a", "row": -1, "label": 1}], "$.labels[0].row"),
        ([{"request_id": "a", "label": 1, "source": "dog"}], "$.labels[0].source"),
        ([{"request_id": "a\n", "label": 1}], "printable"),
        ([{"request_id": "a", "lable": 1}], "lable"),
        ("all", "$.labels"),
    ],
)
async def test_wrong_statements_are_named_and_nothing_counts(site, taken, labels, says):
    answer = await site.post(PATH, {"labels": labels})

    assert answer.status == 422
    assert says in (await answer.json())["detail"]
    assert taken == []
