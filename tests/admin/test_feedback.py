"""Labels over HTTP."""

from __future__ import annotations

import pytest

from router.control.fleet.feedback import Label
from router.core.wire.receipt import RECEIPT_CHARS_MAX

PATH = "/api/v1/feedback"


@pytest.fixture
def taken(site):
    seen = []

    def feedback(labels):
        seen.extend(labels)
        return {"accepted": len(labels), "refused": []}

    site.controller.feedback = feedback
    return seen


async def test_labels_and_rewards_are_handed_on(site, taken):
    labels = [{"receipt": "a", "correct": False}, {"receipt": "b", "reward": 0.25}]
    labels.append({"receipt": "c", "correct": True, "truth": "late"})
    answer = await site.post(PATH, {"labels": labels})

    assert answer.status == 200, await answer.text()
    assert await answer.json() == {"accepted": 3, "refused": []}
    assert taken == [
        Label("a", correct=False), Label("b", reward=0.25), Label("c", correct=True, truth="late"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([], "1 to 200"),
        ([{"receipt": "a", "correct": True}] * 201, "1 to 200"),
        (["a"], "labels[0]: expected an object"),
        ([{"correct": True}], "receipt: missing"),
        ([{"receipt": "a"}], "either correct or reward"),
        ([{"receipt": "a", "correct": True, "reward": 1}], "either correct or reward"),
        ([{"receipt": "a", "reward": 1.5}], "0 to 1"),
        ([{"receipt": "a", "reward": True}], "reward: expected a number"),
        ([{"receipt": "a", "correct": 1}], "correct: expected a boolean"),
        ([{"receipt": "a" * (RECEIPT_CHARS_MAX + 1), "correct": True}], "at most "),
        ([{"receipt": "a", "truth": 1}], "either correct or reward"),
        ([{"receipt": "a", "correct": True, "truth": []}], "a boolean or number or string"),
        ([{"receipt": "a", "correct": True, "truth": "x" * 101}], "truth: at most 100"),
        ("all", "labels: expected a array"),
    ],
)
async def test_wrong_labels_are_named_and_nothing_counts(site, taken, labels, says):
    answer = await site.post(PATH, {"labels": labels})

    assert answer.status == 422
    assert says in (await answer.json())["detail"]
    assert taken == []
