"""What a judge is told of a pair: what is compared, no version's name, nothing that is hidden."""

import gzip
import json

import pytest

from router.core.pairs.comparison import Likeness
from router.link.reading import Read, Reading
from router.reader.judged import CHARS_MAX, told_of


def told(stable, other, request=b"", *, payload="json", hidden=(), ignore=(), codings=("", "")):
    reading = Reading("r", payload, Likeness(ignore=ignore), hidden=hidden)
    read = Read(1, "r", stable, other, codings, request=request, judged=True)
    found = told_of(read, reading)
    return tuple(map(json.loads, found)) if found is not None else None


def dumped(value):
    return json.dumps(value).encode()


def chat(text, model):
    message = {"message": {"content": text}, "finish_reason": "stop"}
    return dumped({"id": f"of-{model}", "model": model, "choices": [message], "usage": {}})


def test_a_chat_is_told_without_who_said_it():
    request = dumped({"messages": [{"role": "user", "content": "why?"}]})
    question, *both = told(chat("so", "v1"), chat("thus", "v2"), request, payload="openai")
    assert question == json.loads(request)
    assert both == [
        {"choices[0].content": text, "choices[0].finish_reason": "stop"} for text in ("so", "thus")
    ]


def test_tensors_are_told_without_the_model_s_version():
    def answer(version):
        output = {"name": "y", "shape": [1], "datatype": "FP64", "data": [0.5]}
        return dumped({"model_name": "m", "model_version": version, "outputs": [output]})

    _, *both = told(answer("1"), answer("2"), payload="open_inference_v2")
    assert both == [{"y[0]": 0.5}] * 2


def test_what_is_redacted_or_ignored_is_told_nobody():
    answer = dumped({"user": {"email": "a@b"}, "rows": [{"email": "c@d", "y": 1}], "version": 2})
    request = dumped({"email": "a@b", "age": 3})
    found = told(answer, answer, request, hidden=("email",), ignore=("version",))
    assert found == ({"age": 3}, {"rows[0].y": 1}, {"rows[0].y": 1})
    assert told(answer, answer, b"not json", hidden=("email",)) is None


@pytest.mark.parametrize(
    ("request_", "question"),
    [(b"", ""), (b"plain \xff", "plain \ufffd"), (b'{"x": NaN}', '{"x": NaN}'), (b"[1]", [1])],
)
def test_a_request_of_any_kind(request_, question):
    assert told(b"{}", b"{}", request_) == (question, {}, {})


def test_numbers_that_json_has_no_word_for_are_told_as_text():
    assert told(b'{"y": NaN}', b'{"y": 1e999}')[1:] == ({"y": "nan"}, {"y": "inf"})


def test_bytes_are_told_as_they_are_unless_something_is_hidden():
    assert told(b"a", b"b", payload="opaque")[1:] == ("a", "b")
    assert told(b"a", b"b", payload="opaque", hidden=("x",)) is None


def test_what_is_long_or_cannot_be_unpacked_is_not_told():
    packed = gzip.compress(b'{"y": 1}')
    assert told(packed, b'{"y": 2}', codings=("gzip", ""))[1] == {"y": 1}
    assert told(packed, b'{"y": 2}', codings=("br", "")) is None
    assert told(dumped({"y": "x" * CHARS_MAX}), b"{}") is None
    assert told(b"no", b"{}") is None
