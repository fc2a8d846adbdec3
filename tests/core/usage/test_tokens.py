"""Tokens of answers of the OpenAI API, whole and streamed."""

import json

import pytest

from router.core.usage.tokens import tokens_of


def stream(*chunks):
    lines = [f"data: {json.dumps(one)}\n\n" for one in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


CHAT = {"usage": {"prompt_tokens": 12, "completion_tokens": 30, "total_tokens": 42}}
RESPONSE = (
    b'event: response.output_text.delta\ndata: {"delta": "x"}\n\n'
    b"event: response.completed\n"
    b'data: {"response": {"usage": {"input_tokens": 3, "output_tokens": 4}}}\n\n'
)
PIECE = {"choices": [{"delta": {"content": "hi"}}]}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (json.dumps(CHAT).encode(), (12, 30)),
        (b'{"usage": {"input_tokens": 5, "output_tokens": 6}}', (5, 6)),
        (b'{"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}', (8, 0)),
        (stream(PIECE, PIECE, {"choices": [], **CHAT}), (12, 30)),
        (stream(PIECE, PIECE, {"choices": [{"delta": {}, "finish_reason": "stop"}]}), (0, 2)),
        (RESPONSE, (3, 4)),
        (b'{"usage": {"prompt_tokens": -1, "completion_tokens": 2}}', None),
        (b'{"usage": {"prompt_tokens": "12"}}', None),
        (b'{"usage": null}', None),
        (b"[1, 2]", None),
        (b"no json", None),
        (b"data: [broken\n\n", None),
        (b"", None),
    ],
)  # fmt: skip
def test_tokens(body, found):
    assert tokens_of(body) == found
