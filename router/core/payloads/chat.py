"""OpenAI chat completions, whole or streamed as server-sent events.

A stream whose events end without ``finish_reason`` was cut off although its status was 200; it is
unreadable, which the comparison counts as a failed answer.
"""

from __future__ import annotations

from typing import Any

from router.core.payloads.answer import Answer, Leaf, Unreadable, document, mapping, rows

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
    for index, choice in enumerate(rows(top.get("choices"), "choices")):
        message = mapping(mapping(choice, "choices").get("message"), f"choices[{index}].message")
        choices[index] = (str(message.get("content") or ""), choice.get("finish_reason"))
    return choices


def _streamed(body: bytes) -> dict[int, tuple[str, str | None]]:
    said: dict[int, list[str]] = {}
    ended: dict[int, str] = {}
    for line in body.splitlines():
        event = line[len(_DATA) :].strip()
        if not line.startswith(_DATA) or event == _DONE:
            continue
        chunk = mapping(document(event), "an event")
        if "error" in chunk:
            raise Unreadable("the stream carries an error event")
        for choice in rows(chunk.get("choices"), "choices"):
            _append(mapping(choice, "choices"), said, ended)
    if set(said) - set(ended) or not ended:
        raise Unreadable("the stream ended without finish_reason")
    return {index: ("".join(said.get(index, [])), ended[index]) for index in ended}


def _append(choice: dict[str, Any], said: dict[int, list[str]], ended: dict[int, str]) -> None:
    index = choice.get("index", 0)
    content = mapping(choice.get("delta") or {}, "delta").get("content")
    if isinstance(content, str):
        said.setdefault(index, []).append(content)
    if choice.get("finish_reason"):
        ended[index] = str(choice["finish_reason"])
