"""Equal answers read equal, whatever their protocol does with order, nesting and ids."""

import json

import pytest

from router.core.payloads import PAYLOADS, Unreadable


def read(payload, body):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return PAYLOADS[payload].read(body)


def oip(*outputs, **top):
    return {"model_name": "m", "id": "1", "outputs": list(outputs)} | top


def tensor(name, shape, data):
    return {"name": name, "shape": shape, "datatype": "FP64", "data": data}


def test_tensors_are_reshaped_and_matched_by_name():
    flat = read(
        "open_inference_v2", oip(tensor("p", [2, 2], [1, 2, 3, 4]), tensor("y", [1], ["a"]))
    )
    nested = read(
        "open_inference_v2",
        oip(tensor("y", [1], ["a"]), tensor("p", [2, 2], [[1, 2], [3, 4]]), id="other"),
    )
    assert flat == nested
    assert flat.leaves == {"p[0,0]": 1, "p[0,1]": 2, "p[1,0]": 3, "p[1,1]": 4, "y[0]": "a"}


def test_rows_of_scores_are_vectors():
    answer = read("open_inference_v2", oip(tensor("p", [2, 3], [0.1, 0.2, 0.7, 1, 0, 0])))
    assert answer.vectors == {"p[0]": (0.1, 0.2, 0.7), "p[1]": (1.0, 0.0, 0.0)}
    assert read("v1", {"predictions": [[1, 2, 3]]}).vectors == {"predictions[0]": (1.0, 2.0, 3.0)}
    assert read("json", {"a": {"b": [1, 2, 3]}}).vectors == {"a.b": (1.0, 2.0, 3.0)}


@pytest.mark.parametrize(
    ("payload", "body", "leaves"),
    [
        (
            "v1",
            {"predictions": [1, {"late": True}]},
            {"predictions[0]": 1, "predictions[1].late": True},
        ),
        ("mlflow", {"predictions": ["a"]}, {"predictions[0]": "a"}),
        ("json", {"a": [{"b": None}], "c": 1.5}, {"a[0].b": None, "c": 1.5}),
        ("json", [1], {"[0]": 1}),
        (
            "openai",
            {"id": "x", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]},
            {"choices[0].content": "Hi", "choices[0].finish_reason": "stop"},
        ),
    ],
)
def test_leaves(payload, body, leaves):
    assert read(payload, body).leaves == leaves


def sse(*events):
    return (
        b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events) + b"data: [DONE]\n\n"
    )


def test_a_stream_reads_like_the_whole():
    stream = sse(
        {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "He"}}]},
        {"id": "1", "choices": [{"index": 0, "delta": {"content": "llo"}}]},
        {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "1", "choices": [], "usage": {"total_tokens": 3}},
    )
    whole = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    assert read("openai", stream) == read("openai", whole)


def test_opaque_reads_bytes():
    assert read("opaque", b"\x00\x01") == read("opaque", b"\x00\x01")
    assert read("opaque", b"\x00\x01") != read("opaque", b"\x00\x02")


UNREADABLE = [
    ("json", b"{", "expected JSON, got 1 bytes"),
    ("json", b"[" * 100_000, "at most 25,000 values"),
    ("json", b"[" * 40 + b"1" + b"]" * 40, "at most 32 levels"),
    ("json", json.dumps([0] * 20_001).encode(), "at most 20000 values"),
    ("v1", [], "expected an object at the top, got list"),
    ("v1", {"error": "x"}, "expected a list at predictions, got null"),
    ("v1", {"predictions": "x"}, "expected a list at predictions, got text"),
    ("open_inference_v2", {"outputs": 3}, "expected a list at outputs, got number"),
    ("open_inference_v2", {"outputs": [True]}, r"expected an object at outputs\[0\], got boolean"),
    ("open_inference_v2", oip(tensor(1, [1], [1])), "a name and a shape"),
    ("open_inference_v2", oip(tensor("p", [-1], [1])), "a name and a shape"),
    ("open_inference_v2", oip(tensor("p", [2], [1])), "expected 2 values"),
    ("open_inference_v2", oip(tensor("p", [1], [{}])), "got an object"),
    ("open_inference_v2", oip(tensor("p", [20_001], [0] * 20_001)), "at most 20000 values"),
    ("open_inference_v2", oip(tensor("p", [1], json.loads("[" * 20 + "]" * 20))), "16 axes"),
    ("openai", {"choices": [{"message": None}]}, "expected an object at choices"),
    ("openai", sse({"choices": [{"delta": {"content": "He"}}]}), "without finish_reason"),
    ("openai", sse({"error": {"message": "boom"}}), "error event"),
    ("openai", b"data: [DONE]\n", "without finish_reason"),
]


@pytest.mark.parametrize(("payload", "body", "why"), UNREADABLE)
def test_what_is_no_answer_is_unreadable(payload, body, why):
    with pytest.raises(Unreadable, match=why):
        read(payload, body)
