from __future__ import annotations

import json

import pytest

from router.control.compare import Reading, compared, judge
from router.core.comparison import Compare
from router.core.counts import PairSample
from router.core.outcomes import Pairs

JSON = "application/json"


def sample(primary, shadow, *, kind=JSON, status=200, shadow_status=200, epoch=3, route="r"):
    def body(value):
        return value if isinstance(value, bytes) else json.dumps(value).encode()

    return PairSample(
        route, "v2", epoch, "id", status, shadow_status, body(primary), body(shadow), kind
    )


@pytest.mark.parametrize(
    ("primary", "shadow", "expected"),
    [
        ({"y": [0.25, 1]}, {"y": [0.25, 1]}, ("agreed",)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ("agreed",)),
        ({"y": 0.3}, {"y": 0.1 + 0.2}, ("agreed",)),
        ({"id": "1", "y": 1}, {"id": "2", "y": 1}, ("agreed",)),
        ({"y": 0.5}, {"y": 0.4}, ("disagreed", "stricter")),
        ({"y": 0.5}, {"y": 0.6}, ("disagreed", "looser")),
        ({"y": 0.5}, {"y": 0.5, "z": 1}, ("disagreed",)),
        ({"y": [1, 2]}, {"y": [1, 2, 3]}, ("disagreed",)),
        ({"y": True}, {"y": 1}, ("disagreed",)),
        ({"y": "a"}, {"y": "b"}, ("disagreed",)),
        ({"y": None}, {"y": 0}, ("disagreed",)),
        (b'{"y": NaN}', b'{"y":NaN}', ("agreed",)),
        (b'{"y": NaN}', b'{"y": 1}', ("disagreed",)),
        (b"{}", b"{", ("disagreed",)),
        (b"[" * 100_000, b"[" * 100_001, ("disagreed",)),
        ([[[1]]] * 70_000, [[[1]]] * 70_000 + [2], ("disagreed",)),
    ],
)
def test_answers_are_compared_by_structure(primary, shadow, expected):
    assert judge(sample(primary, shadow)) == expected


@pytest.mark.parametrize(
    ("status", "shadow_status", "expected"),
    [
        (200, 0, ("failed",)),
        (200, 503, ("failed",)),
        (200, 422, ("disagreed",)),
        (422, 422, ("agreed",)),
        (500, 200, None),
        (0, 200, None),
    ],
)
def test_statuses_come_first(status, shadow_status, expected):
    assert judge(sample({"y": 1}, {"y": 1}, status=status, shadow_status=shadow_status)) == expected


def test_other_content_is_compared_byte_by_byte():
    assert judge(sample(b"abc", b"abc", kind="text/plain")) == ("agreed",)
    assert judge(sample(b"1.0", b"1.00", kind="text/plain")) == ("disagreed",)


def test_counts_go_into_one_batch_for_each_route_and_epoch():
    batches = compared(
        [
            sample({"y": 1}, {"y": 1}),
            sample({"y": 1}, {"y": 2}),
            sample({"y": 1}, {"y": 1}, epoch=4),
            sample({"y": 1}, {"y": 1}, status=500),
        ],
        undelivered=7,
    )
    assert [(b.epoch, b.pairs) for b in batches] == [
        (3, Pairs(agreed=1, disagreed=1, looser=1, undelivered=7)),
        (4, Pairs(agreed=1)),
    ]


def prediction(label, late):
    """One answer of the flight-delay services."""
    return {
        "model_name": "flight-delay", "id": "1",
        "outputs": [
            {"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [label]},
            {"name": "predict_proba", "shape": [1, 2], "datatype": "FP64",
             "data": [1 - late, late]},
        ],
    }  # fmt: skip


BY_LABEL = Reading(
    "open_inference_v2",
    Compare.model_validate({"decide_on": ["predict"], "score": "predict_proba"}),
)


@pytest.mark.parametrize(
    ("primary", "shadow", "expected"),
    [
        (prediction(0, 0.30), prediction(0, 0.42), ("agreed",)),
        (prediction(0, 0.45), prediction(1, 0.55), ("disagreed", "looser")),
        (prediction(1, 0.80), prediction(0, 0.10), ("disagreed", "stricter")),
        (prediction(0, 0.30), {"outputs": []}, ("disagreed",)),
        (prediction(0, 0.30), {"error": "no"}, ("disagreed",)),
        ({"error": "no"}, prediction(0, 0.30), None),
    ],
)
def test_predictions_are_compared_as_the_rollout_says(primary, shadow, expected):
    assert judge(sample(primary, shadow), BY_LABEL) == expected


def test_answers_that_are_no_predictions_are_compared_by_structure():
    refused = sample({"error": "month"}, {"error": "month"}, status=422, shadow_status=422)

    assert judge(refused, BY_LABEL) == ("agreed",)


def test_every_route_has_its_own_reading():
    pair = prediction(0, 0.30), prediction(0, 0.42)
    batches = compared(
        [sample(*pair, route="labels"), sample(*pair, route="plain")],
        readings={"labels": BY_LABEL},
    )

    assert {batch.route: batch.pairs.agreed for batch in batches} == {"labels": 1, "plain": 0}
