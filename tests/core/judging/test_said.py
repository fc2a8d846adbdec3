"""What a judge says, however it says it."""

import json

import pytest

from router.core.judging.said import ANSWER_BYTES_MAX, JudgeSaid, said


def chat(content, **more):
    return {"choices": [{"message": {"content": content}}]} | more


@pytest.mark.parametrize(
    ("document", "first"),
    [
        ({"better": "first"}, 1.0),
        ({"better": "Second "}, -1.0),
        ({"better": "tie"}, 0.0),
        ({"score": 0.25}, 0.25),
        ({"score": -1}, -1.0),
        ({"score": 1.5}, None),
        ({"score": True}, None),
        ({"score": float("nan")}, None),
        ({"better": "v2"}, None),
        ({"better": ["first"]}, None),
        ([], None),
        ("first", None),
    ],
)
def test_a_service(document, first):
    assert said(json.dumps(document).encode(), chat=False).first == first


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ('{"better": "first"}', 1.0),
        ('```json\n{"better": "second"}\n```', -1.0),
        ('<think>{"better": "first"}?</think> {"better": "tie"}', 0.0),
        ('{"better": "first"} or {so}', 1.0),
        ("the first", None),
        (None, None),
        (["{}"], None),
    ],
)
def test_a_model(content, first):
    assert said(json.dumps(chat(content)).encode(), chat=True).first == first


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"{" * 100_000, b"x" * (ANSWER_BYTES_MAX + 1), b'{"choices": [3]}',
     b'{"choices": {}}', b"null"],
)  # fmt: skip
def test_anything_else_is_no_verdict(body):
    for shape in (True, False):
        found = said(body, chat=shape)
        assert found.first is None
        assert found.why.startswith("its answer ")


@pytest.mark.parametrize(
    ("usage", "tokens", "cost"),
    [
        ({"total_tokens": 310, "cost": 0.5}, 310, 0.5),
        ({"total_tokens": -3, "cost": "free"}, 0, 0.0),
        ({"total_tokens": 1e300, "cost": float("inf")}, 10**9, 0.0),
        ([], 0, 0.0),
    ],
)
def test_what_it_cost_counts_with_or_without_a_verdict(usage, tokens, cost):
    for document, first in (({"better": "tie"}, 0.0), ({}, None)):
        found = said(json.dumps({**document, "usage": usage}).encode(), chat=False)
        assert found._replace(why="") == JudgeSaid(first, "", tokens, cost)
