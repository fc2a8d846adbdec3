"""How many tokens an answer says it took: ``usage`` of the OpenAI API, whole or streamed.

``prompt_tokens`` and ``completion_tokens`` of chats and completions, ``input_tokens`` and
``output_tokens`` of responses (https://platform.openai.com/docs/api-reference); of a stream the
last event that has it, which clients ask for by ``stream_options: {include_usage: true}``. A
stream that never says it is counted: each event with something in it is a token, as servers send
them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from router.core.foreign import ANSWER, Unreadable, read
from router.core.payloads.events import events, streamed

TOKENS_MAX: Final = 100_000_000
"""Of one answer; a number above is none."""


class Tokens(NamedTuple):
    """Of one request and its answer."""

    input: int
    output: int


def tokens_of(body: bytes) -> Tokens | None:
    """What the answer says; None where it says nothing, or cannot be read."""
    try:
        return _streamed(body) if streamed(body) else _usage(read(body, ANSWER))
    except Unreadable:
        return None


def _streamed(body: bytes) -> Tokens | None:
    said, pieces = None, 0
    for name, data in events(body):
        if data.strip() == b"[DONE]":
            continue
        chunk = read(data, ANSWER)
        said = _usage(chunk) or said
        pieces += _speaks(name, chunk)
    return said or (Tokens(0, pieces) if pieces else None)


def _usage(document: Any) -> Tokens | None:
    """Of a document, or of the response that an event carries."""
    top = document if isinstance(document, dict) else {}
    inner = top.get("response")
    usage = top.get("usage") or (inner.get("usage") if isinstance(inner, dict) else None)
    if not isinstance(usage, dict):
        return None
    before = usage.get("prompt_tokens", usage.get("input_tokens", 0))
    after = usage.get("completion_tokens", usage.get("output_tokens", 0))
    if not isinstance(before, int) or not isinstance(after, int):
        return None
    fit = 0 <= before <= TOKENS_MAX and 0 <= after <= TOKENS_MAX
    return Tokens(int(before), int(after)) if fit else None


def _speaks(name: str, chunk: Any) -> bool:
    """Whether an event of a stream brings a piece of what is said."""
    if name.endswith(".delta"):
        return True
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return False
    delta = first.get("delta")
    said = delta if isinstance(delta, dict) else first
    return bool(said.get("content") or said.get("tool_calls") or said.get("text"))
