"""The OpenAI API: chat and legacy completions, whole or streamed, responses, embeddings, rankings.

What was said and what was called decides; ids, times, token usage and reasoning are left out. A
stream whose events end without ``finish_reason`` was cut off although its status was 200; it is
unreadable, which the comparison counts as a failed answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from router.core.payloads.answer import (
    Answer,
    Leaf,
    Unreadable,
    answer_of,
    document,
    mapping,
    rows,
)
from router.core.payloads.events import events, streamed

_DONE = b"[DONE]"
CHOICES_MAX: Final = 128
"""Choices of an answer, and calls of a choice, that are read."""


@dataclass(slots=True)
class _Choice:
    """What one choice has said so far."""

    content: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[int, list[str]] = field(default_factory=dict)
    """Name and arguments of each function that was called."""
    finish: str | None = None

    def leaves(self, where: str) -> dict[str, Leaf]:
        """By path; a refusal and calls only where there are some."""
        found: dict[str, Leaf] = {f"{where}.content": "".join(self.content)}
        if self.refusal:
            found[f"{where}.refusal"] = "".join(self.refusal)
        for place, (_, (name, arguments)) in enumerate(sorted(self.calls.items())):
            found[f"{where}.tool_calls[{place}].name"] = name
            found[f"{where}.tool_calls[{place}].arguments"] = _canonical(arguments)
        return found | {f"{where}.finish_reason": self.finish}

    def add(self, message: dict[str, Any]) -> None:
        """A message, or a piece of one."""
        self.content.append(_text(message.get("content")))
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            self.refusal.append(refusal)
        for place, call in enumerate(rows(message.get("tool_calls") or [], "tool_calls")):
            one = mapping(call, "tool_calls")
            function = mapping(one.get("function") or {}, "function")
            index = _index(one.get("index", place), "tool_calls")
            called = self.calls.setdefault(index, ["", ""])
            called[0] += _text(function.get("name"))
            called[1] += _text(function.get("arguments"))


class OpenAI:
    """See the module."""

    def read(self, body: bytes) -> Answer:
        """``choices[i].content``, ``.finish_reason``, ``.tool_calls[j].name`` and the like."""
        if streamed(body):
            return _streamed(body)
        return _whole(mapping(document(body), "the top"))


def _whole(top: dict[str, Any]) -> Answer:
    if "choices" in top:
        choices: dict[int, _Choice] = {}
        for place, choice in enumerate(rows(top["choices"], "choices")[:CHOICES_MAX]):
            _take(mapping(choice, "choices"), "message", choices, place)
        return _said(choices)
    if "output" in top:
        return _response(top)
    for name in ("data", "results"):  # embeddings; moderations and rankings
        if isinstance(top.get(name), list) and top[name]:
            return answer_of(top[name], name)
    raise Unreadable("expected choices, output, data or results at the top")


def _streamed(body: bytes) -> Answer:
    choices: dict[int, _Choice] = {}
    for name, data in events(body):
        if data.strip() == _DONE:
            continue
        chunk = mapping(document(data), "an event")
        if chunk.get("error") or name == "error":
            raise Unreadable("the stream carries an error event")
        if name == "response.completed":
            return _response(mapping(chunk.get("response"), "response"))
        if name.startswith("response."):
            continue
        for choice in rows(chunk.get("choices"), "choices"):
            _take(mapping(choice, "choices"), "delta", choices, 0)
    if not choices or any(choice.finish is None for choice in choices.values()):
        raise Unreadable("the stream ended without finish_reason")
    return _said(choices)


def _take(choice: dict[str, Any], key: str, choices: dict[int, _Choice], place: int) -> None:
    """One choice of a chat (a message, or its delta), or of a legacy completion (text)."""
    index = _index(choice.get("index", place), "choices")
    if key == "delta" and not choice.get("delta") and "text" not in choice and (
            not choice.get("finish_reason")):  # fmt: skip
        return
    said = choices.setdefault(index, _Choice())
    if "text" in choice:
        said.content.append(_text(choice["text"]))
    elif key == "delta":
        said.add(mapping(choice.get("delta") or {}, "delta"))
    else:
        said.add(mapping(choice.get("message"), f"choices[{index}].message"))
    if choice.get("finish_reason"):
        said.finish = str(choice["finish_reason"])


def _said(choices: dict[int, _Choice]) -> Answer:
    leaves: dict[str, Leaf] = {}
    for index, choice in sorted(choices.items()):
        leaves |= choice.leaves(f"choices[{index}]")
    return Answer(leaves)


def _response(top: dict[str, Any]) -> Answer:
    """The answer of ``/v1/responses``: messages and calls in their order; reasoning left out."""
    if top.get("status") not in (None, "completed", "incomplete"):
        raise Unreadable(f"the response is {_text(top.get('status'))[:20] or 'not completed'}")
    leaves: dict[str, Leaf] = {}
    items = (mapping(item, "output") for item in rows(top.get("output"), "output"))
    spoken = [item for item in items if item.get("type") in ("message", "function_call")]
    for place, item in enumerate(spoken[:CHOICES_MAX]):
        where = f"output[{place}]"
        if item["type"] == "message":
            leaves[f"{where}.content"] = _text(item.get("content"))
        else:
            leaves[f"{where}.name"] = _text(item.get("name"))
            leaves[f"{where}.arguments"] = _canonical(_text(item.get("arguments")))
    return Answer(leaves)


def _index(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value < CHOICES_MAX:
        raise Unreadable(f"expected an index from 0 to {CHOICES_MAX - 1} at {where}")
    return value


def _text(value: Any) -> str:
    """Text, or the texts of its parts."""
    if isinstance(value, list):
        parts = (part.get("text") or part.get("refusal") for part in value if type(part) is dict)
        return "".join(part for part in parts if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _canonical(arguments: str) -> str:
    """Arguments are JSON in a string; the order of keys and blanks say nothing."""
    try:
        value = document(arguments.encode("utf-8", "replace"))
    except Unreadable:
        return arguments
    return json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
