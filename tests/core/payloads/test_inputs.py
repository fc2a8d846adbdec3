"""Fields of requests, by payload; and answers that say less."""

from __future__ import annotations

import json
import math

import pytest

from router.core.foreign import ANSWER, Unreadable
from router.core.payloads.inputs import MISSING, READABLE, asked
from router.core.payloads.shaping import shaped

ROWS = [{"age": 3, "who": {"name": "a"}}, {"age": None}, {"who.name": "b"}]
TENSORS = {"inputs": [{"name": "age", "data": [[1, 2], [3, 4]]}, {"name": "x", "data": ["t"]}]}
FRAME = {"dataframe_split": {"columns": ["age", "who.name"], "data": [[1, "a"], [2]]}}


@pytest.mark.parametrize(("payload", "document", "path", "expected"), [
    ("json", ROWS, "age", [3, None, MISSING]),
    ("json", ROWS, "who.name", ["a", MISSING, "b"]),
    ("json", ROWS[0], "age", [3]),
    ("openai", {"temperature": 0.5}, "temperature", [0.5]),
    ("v1", {"instances": ROWS}, "age", [3, None, MISSING]),
    ("v1", {"inputs": {"age": [1, 2]}}, "age", [1, 2]),
    ("v1", {"inputs": {"age": 1}}, "age", [1]),
    ("v1", {"inputs": {"age": 1}}, "size", [MISSING]),
    ("mlflow", {"dataframe_records": ROWS}, "age", [3, None, MISSING]),
    ("mlflow", FRAME, "age", [1, 2]),
    ("mlflow", FRAME, "who.name", ["a", MISSING]),
    ("mlflow", FRAME, "size", [MISSING, MISSING]),
    ("mlflow", {"inputs": ROWS}, "age", [3, None, MISSING]),
    ("open_inference_v2", TENSORS, "age", [1, 2, 3, 4]),
    ("open_inference_v2", TENSORS, "size", [MISSING]),
])  # fmt: skip
def test_values_of_a_field(payload, document, path, expected):
    assert asked(payload, document).column(path, 9) == expected


@pytest.mark.parametrize("payload", READABLE)
@pytest.mark.parametrize("document", [
    None, 3, "text", [3], {"instances": 3}, {"instances": [3]}, {"inputs": 3}, {"inputs": [3]},
    {"dataframe_split": {"columns": ["age"], "data": [3]}}, {"dataframe_split": 3},
    {"dataframe_records": {}}, {"inputs": [{"name": "age", "data": 3}]},
])  # fmt: skip
def test_other_documents_are_none_of_the_payload_or_lack_the_field(payload, document):
    try:
        values = asked(payload, document).column("age", 9_999)
    except Unreadable:
        return
    assert all(value is MISSING for value in values) or payload == "v1"


def less(value, digits=2, drop=()):
    return json.loads(shaped(json.dumps(value).encode(), digits, frozenset(drop), ANSWER))


def test_numbers_are_rounded_and_nothing_else_is():
    said = {"p": [0.123456, 1e-9, -2.675], "n": 12345678, "t": "0.123456", "b": True, "x": None}
    assert less(said) == said | {"p": [0.12, 0.0, -2.67]}
    assert less(said, digits=None) == said
    assert less(0.987, digits=0) == 1.0


def test_what_is_no_number_passes():
    text = shaped(b'{"a":NaN,"b":1e999,"c":123456789012345678901234567890}', 2, frozenset(), ANSWER)
    said = json.loads(text)
    assert math.isnan(said["a"])
    assert said["b"] == math.inf
    assert said["c"] == 1.2345678901234568e29


def test_fields_and_outputs_are_left_out_wherever_they_are():
    said = {
        "label": "a",
        "proba": [0.1],
        "rows": [{"proba": 1, "label": "b"}],
        "in": {"proba": 2},
    }
    assert less(said, drop=["proba"]) == {"label": "a", "rows": [{"label": "b"}], "in": {}}
    outputs = {"outputs": [{"name": "proba", "data": [1]}, {"name": "label", "data": [2]}, "proba"]}
    assert less(outputs, drop=["proba"]) == {"outputs": [{"name": "label", "data": [2]}, "proba"]}


def test_text_stays_as_it_is_written():
    assert shaped('{"ä": "ö\\n"}'.encode(), 2, frozenset(), ANSWER) == '{"ä":"ö\\n"}'.encode()
    with pytest.raises(Unreadable):
        shaped(b"{", 2, frozenset(), ANSWER)
