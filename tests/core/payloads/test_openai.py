"""What is read of the OpenAI API, and what server-sent events look like in the wild."""

from __future__ import annotations

import json
import random

import pytest

from router.core.payloads import PAYLOADS, Unreadable
from router.core.payloads.events import events, streamed

READ = PAYLOADS["openai"].read


def body(**fields):
    return json.dumps(fields).encode()


def delta(index=0, finish=None, **said):
    choice = {"index": index, "delta": said, "finish_reason": finish}
    return json.dumps({"choices": [choice]}).encode()


def message(**fields):
    return body(choices=[{"message": fields, "finish_reason": "stop"}])


PLAIN = [delta(content="Par"), delta(content="is"), delta(finish="stop")]
SAID = {"choices[0].content": "Paris", "choices[0].finish_reason": "stop"}


@pytest.mark.parametrize(
    "text",
    [
        b"".join(b"data: %b\n\n" % one for one in PLAIN) + b"data: [DONE]\n\n",
        b": PROCESSING\n\n" + b"".join(b"data: %b\n\n" % one for one in PLAIN),
        b"\xef\xbb\xbf" + b"".join(b"data:%b\r\n\r\n" % one for one in PLAIN),
        b"".join(b"event: chunk\nid: 7\ndata: %b\n\n" % one for one in PLAIN),
        b"retry: 10\n\n" + b"\r".join(b"data: %b\r" % one for one in PLAIN) + b"\r",
        b"".join(b"data: %b\n\n" % one.replace(b", ", b",\ndata: ") for one in PLAIN),
        b"".join(b"data: %b\n\n" % one for one in PLAIN)[:-2],  # no blank line at the end
    ],
)
def test_streams_in_every_legal_form(text):
    assert streamed(text)
    assert READ(text).leaves == SAID


def test_events_as_the_standard_reads_them():
    """The examples of WHATWG section 9.2.6."""
    assert list(events(b"data: YHOO\ndata: +2\ndata: 10\n\n")) == [("", b"YHOO\n+2\n10")]
    text = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third\n\n"
    assert [data for _, data in events(text)] == [b"first event", b"second event", b" third"]
    assert list(events(b"data\n\ndata\ndata\n\ndata:")) == [("", b""), ("", b"\n"), ("", b"")]
    assert list(events(b"event: a\n\ndata: b\n\n")) == [("", b"b")], "a type without data is none"


def call(name, arguments):
    return {"tool_calls": [{"index": 0, "function": {"name": name, "arguments": arguments}}]}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (message(**call("w", '{"a": 1, "b": 2}')), message(**call("w", '{"b":2,"a":1}')), True),
        (message(**call("w", '{"c":"Paris"}')), message(**call("w", '{"c":"Rome"}')), False),
        (message(**call("w", "{}")), message(**call("x", "{}")), False),
        (message(content=None, refusal="no"), message(content=""), False),
        (message(content="a"), message(content=[{"type": "text", "text": "a"}]), True),
        (message(content="a", reasoning="x"), message(content="a", reasoning="y"), True),
        (body(choices=[{"text": "hello"}]), body(choices=[{"text": "bye"}]), False),
        (body(data=[{"embedding": [1, 2, 3]}]), body(data=[{"embedding": [1, 2, 4]}]), False),
        (body(results=[{"relevance_score": 1}]), body(results=[{"relevance_score": 2}]), False),
        (
            body(output=[{"type": "message", "content": [{"text": "hi"}]}], id="1"),
            body(
                output=[{"type": "reasoning"}, {"type": "message", "content": [{"text": "hi"}]}],
                id="2",
            ),
            True,
        ),
        (
            body(output=[{"type": "function_call", "name": "f", "arguments": "{}"}]),
            body(output=[{"type": "function_call", "name": "g", "arguments": "{}"}]),
            False,
        ),
    ],
)
def test_what_was_said_and_called_decides(first, second, same):
    assert (READ(first).leaves == READ(second).leaves) is same


def test_a_streamed_call_reads_like_the_whole():
    pieces = [
        delta(role="assistant", **call("weather", "")),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city": '}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '"Paris"}'}}]),
        delta(finish="tool_calls"),
    ]
    text = b"".join(b"data: %b\n\n" % one for one in pieces)
    whole = body(
        choices=[{"message": call("weather", '{"city":"Paris"}'), "finish_reason": "tool_calls"}]
    )
    assert READ(text).leaves == READ(whole).leaves


def test_streamed_completions_and_responses():
    legacy = [
        body(choices=[{"index": 0, "text": "he", "finish_reason": None}]),
        body(choices=[{"index": 0, "text": "llo", "finish_reason": "stop"}]),
    ]
    said = READ(b"".join(b"data: %b\n\n" % one for one in legacy)).leaves
    assert said == {"choices[0].content": "hello", "choices[0].finish_reason": "stop"}
    answer = {"output": [{"type": "message", "content": [{"text": "hi"}]}], "status": "completed"}
    text = b'event: response.created\ndata: {"type": "response.created"}\n\n'
    text += b"event: response.completed\ndata: %b\n\n" % body(response=answer)
    assert READ(text).leaves == READ(body(**answer)).leaves == {"output[0].content": "hi"}


@pytest.mark.parametrize(
    "text",
    [
        b"data: %b\n\n" % PLAIN[0],
        b"event: error\ndata: {}\n\n",
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b"data: %b\n\n" % delta(index=None, content="a"),
        b"data: %b\n\n" % delta(index="0", content="a"),
        b"data: %b\n\n" % delta(index=[0], content="a"),
        b"data: %b\n\n" % delta(index=1 << 70, content="a"),
        b"data: [1]\n\n",
        b"data: [DONE]\n\n",
        b": nothing\n\n",
        body(object="list"),
        body(choices="no"),
        body(choices=[{"message": 1}]),
        body(choices=[{"message": {"tool_calls": [1]}}]),
        body(output=[1]),
        body(output=[], status="failed"),
        b"data: {}\n\n" * 5_001,
        b"event: response.created\ndata: {}\n\n",
    ],
)
def test_what_is_no_answer_is_unreadable(text):
    with pytest.raises(Unreadable):
        READ(text)


def test_whatever_comes_it_is_an_answer_or_unreadable():
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    base = b"".join(b"data: %b\n\n" % one for one in PLAIN) + message(**call("f", '{"a": [1]}'))
    words = [
        b"data:",
        b"event: response.completed\n",
        b"null",
        b"[",
        b"{",
        b'"index":',
        b"-1",
        b"\n",
    ]
    for _ in range(2_000):
        text = bytearray(base)
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(text))
            text[place : place + rng.randint(0, 8)] = rng.choice(words)
        try:
            READ(bytes(text))
        except Unreadable:
            continue
