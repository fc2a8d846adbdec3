"""One reader of what others wrote: what is read as what, and what is refused."""

from __future__ import annotations

import json
import math

import pytest

from router.core.foreign import ANSWER, STRICT, Bounds, Unreadable, read
from router.core.payloads import PAYLOADS
from router.core.payloads.answer import LEAVES_MAX, PATHS_CHARS_MAX
from router.core.payloads.chat import CHOICES_MAX
from router.core.payloads.events import EVENTS_MAX, LINES_MAX

SMALL = Bounds(200, 10, 3)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b" [1, 2.5, true, null] ", [1, 2.5, True, None]),
        (b"\xef\xbb\xbf{}", {}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"18446744073709551615", 2**64 - 1),
        (b"18446744073709551616", 1.8446744073709552e19),
        (b"-9223372036854775808", -(2**63)),
        (b"-9223372036854775809", -9.223372036854776e18),
        (b"123456789012345678901", 1.2345678901234568e20),
        (b'["\\ud800", "\\ud83d\\ude00", "\\uDFFF\\ud800"]', ["\ufffd", "😀", "\ufffd\ufffd"]),
        (b'{"\\ud800": [{"\\udc00x": "y\\ud800"}]}', {"\ufffd": [{"\ufffdx": "y\ufffd"}]}),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"[[[[[[[[[[,,,,,,,,,,"', "[[[[[[[[[[,,,,,,,,,,"),
        (b"[[[1]]]", [[[1]]]),
        (b'[{"a":[]}]', [{"a": []}]),
        (b'["]]]]\\"[[[[", "[", [["\\\\"]]]', [']]]]"[[[[', "[", [["\\"]]]),
    ],
)
def test_what_is_read(body, value):
    assert read(body, SMALL) == value


def test_numbers_that_no_double_holds_are_infinite():
    assert read(b"9" * 400) == math.inf
    assert read(b"-" + b"9" * 5_000) == -math.inf
    assert read(b"1e400") == math.inf
    assert math.isnan(read(b"NaN"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "expected JSON, got 0 bytes"),
        (b"{'a': 1}", "expected JSON"),
        (b"{} {}", "Extra data at character 3"),
        (b'"\xed\xa0\x80"', "expected JSON in UTF-8, got another byte at 1"),
        ("[1]".encode("utf-16"), "expected JSON in UTF-8"),
        (b" " * 201, "expected at most 200 bytes of JSON, got 201"),
        (b"[" + b"[]," * 9 + b"1]", "expected at most 10 values"),
        (b"[" + b"{}," * 9 + b"1]", "expected at most 10 values"),
        (b"[1,2,3,4,5,6,7,8,9,10]", "expected at most 10 values"),
        (b"[[[[1]]]]", "expected at most 3 levels"),
        (b'[{"a":[{}]}]', "expected at most 3 levels"),
        (b'{"a":{"b":{"c":{"d":1}}}}', "expected at most 3 levels"),
        (b"[[[[[", "expected JSON"),
        (b'"never ends\\', "expected JSON"),
        (b'[[[["', "expected JSON"),
    ],
)
def test_what_is_unreadable(body, why):
    with pytest.raises(Unreadable, match=why):
        read(body, SMALL)


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4, 9])
def test_levels_are_counted_exactly(depth):
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        body = (opening * depth + "1" + closing * depth).encode()
        if depth <= SMALL.depth_max:
            read(body, SMALL)
        else:
            with pytest.raises(Unreadable):
                read(body, SMALL)


def test_a_deep_text_is_no_stack_overflow():
    for body in (b"[" * 500_000, b'{"a":' * 200_000, b"[" * 300_000 + b"]" * 300_000):
        with pytest.raises(Unreadable):
            read(body, Bounds(2_000_000, 10**7, 10**6))


@pytest.mark.parametrize(
    "body",
    [
        b"NaN", b"[Infinity]", b'{"a":1,"a":1}', b"1234567890123456789", b"1e999",
        b"[" * 9 + b"]" * 9, b'"' + b"x" * 70_000 + b'"',
    ],
)  # fmt: skip
def test_orders_have_one_reading(body):
    with pytest.raises(Unreadable):
        read(body, STRICT)
    assert read(b'{"a": [123456789012345678, 1.5]}', STRICT) == {"a": [123456789012345678, 1.5]}


# --- what payloads make of it ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "body", "why"),
    [
        ("json", b'{"' + b"k" * 200 + b'":[' + b"0," * 9_000 + b"0]}", "names that are shorter"),
        ("json", b'{"' + b"k" * 200 + b'":[' + b"[]," * 9_000 + b"0]}", "names that are shorter"),
        ("v1", b'{"predictions":[' + b"0," * LEAVES_MAX + b"0]}", "values"),
        ("open_inference_v2", {"shape": [0, 10**10], "data": []}, None),
        ("open_inference_v2", {"shape": [0, 30_000_000], "data": []}, None),
        ("open_inference_v2", {"shape": [10**400], "data": []}, "a name and a shape"),
        ("open_inference_v2", {"shape": [1] * 17, "data": [1]}, "at most 16 axes"),
        ("open_inference_v2", {"name": "n" * 2_000, "shape": [900], "data": [0] * 900}, "shorter"),
        ("openai", b'data: {"choices":[{"index":null}]}\n\n', "an index from 0 to 127"),
        ("openai", b'data: {"choices":[{"index":[0]}]}\n\n', "an index from 0 to 127"),
        ("openai", b'data: {"choices":[{"index":-1}]}\n\n', "an index from 0 to 127"),
        ("openai", b'data: {"choices":[]}\n\n' * (EVENTS_MAX + 1), "events"),
        ("openai", b"data\n" * (2 * LINES_MAX + 1) + b"data: {}", "events"),
    ],
)  # fmt: skip
def test_what_is_made_of_an_answer_is_bounded(payload, body, why):
    if isinstance(body, dict):
        body = json.dumps({"outputs": [{"name": "a", "datatype": "FP64"} | body]}).encode()
    if why is None:
        assert PAYLOADS[payload].read(body).leaves == {}
        return
    with pytest.raises(Unreadable, match=why):
        PAYLOADS[payload].read(body)
    assert len(body) < ANSWER.bytes_max
    assert 2 * ANSWER.bytes_max > PATHS_CHARS_MAX


def test_the_text_and_end_of_a_choice_are_texts():
    choices = [{"message": {"content": ["x"]}, "finish_reason": {"a": 1}}] * (CHOICES_MAX + 5)
    leaves = PAYLOADS["openai"].read(json.dumps({"choices": choices}).encode()).leaves
    assert len(leaves) == 2 * CHOICES_MAX
    assert {type(leaf) for leaf in leaves.values()} == {str}
