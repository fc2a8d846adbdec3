"""OpenAI chat completions, whole or streamed as server-sent events.

A stream whose events end without ``finish_reason`` was cut off although its status was 200; it is
unreadable, which the comparison counts as a failed answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from router.core.foreign import ANSWER
from router.core.payloads.answer import Answer, Leaf, Unreadable, document, kind, mapping, rows

EVENTS_MAX = 5_000
"""Events of one stream that are read; a token is one, as a rule."""
LINES_MAX = 4 * EVENTS_MAX
CHOICES_MAX = 128
"""Alternatives of one answer; the protocol's ``n`` goes as far."""

_DATA = b"data:"
_DONE = b"[DONE]"


class OpenAI:
    """What was said and why it ended, per choice; ids, times and token usage are left out."""

    def read(self, body: bytes) -> Answer:
        """``choices[i].content`` and ``choices[i].finish_reason``; streams are joined."""
        streamed = body.lstrip().startswith(_DATA)
        choices = _streamed(body) if streamed else _whole(body)
        leaves: dict[str, Leaf] = {}
        for index, (content, finish) in sorted(choices.items()):
            leaves[f"choices[{index}].content"] = content
            leaves[f"choices[{index}].finish_reason"] = finish
        return Answer(leaves)


def _whole(body: bytes) -> dict[int, tuple[str, str | None]]:
    top = mapping(document(body), "the top")
    choices = {}
    for index, choice in enumerate(rows(top.get("choices"), "choices")[:CHOICES_MAX]):
        message = mapping(mapping(choice, "choices").get("message"), f"choices[{index}].message")
        finish = choice.get("finish_reason")
        choices[index] = (
            str(message.get("content") or ""),
            finish if finish is None else str(finish),
        )
    return choices


def _streamed(body: bytes) -> dict[int, tuple[str, str | None]]:
    said: dict[int, list[str]] = {}
    ended: dict[int, str] = {}
    for event in _events(body):
        chunk = mapping(document(event), "an event")
        if "error" in chunk:
            raise Unreadable("the stream carries an error event")
        for choice in rows(chunk.get("choices"), "choices"):
            _append(mapping(choice, "choices"), said, ended)
    if set(said) - set(ended) or not ended:
        raise Unreadable("the stream ended without finish_reason")
    return {index: ("".join(said.get(index, [])), ended[index]) for index in ended}


def _events(body: bytes) -> Iterator[bytes]:
    """The data of each event. Raises Unreadable when there are too many."""
    if body.count(b"\n") + body.count(b"\r") > LINES_MAX or len(body) > ANSWER.bytes_max:
        raise Unreadable(f"expected at most {EVENTS_MAX} events")
    seen = 0
    for line in body.splitlines():
        event = line[len(_DATA) :].strip()
        if line.startswith(_DATA) and event != _DONE:
            seen += 1
            if seen > EVENTS_MAX:
                raise Unreadable(f"expected at most {EVENTS_MAX} events")
            yield event


def _append(choice: dict[str, Any], said: dict[int, list[str]], ended: dict[int, str]) -> None:
    index = choice.get("index", 0)
    if type(index) is not int or not 0 <= index < CHOICES_MAX:
        raise Unreadable(f"expected the index of a choice, got {kind(index)}")
    content = mapping(choice.get("delta") or {}, "delta").get("content")
    if isinstance(content, str):
        said.setdefault(index, []).append(content)
    if choice.get("finish_reason"):
        ended[index] = str(choice["finish_reason"])
