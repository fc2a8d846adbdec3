"""Rows of requests and answers, by payload."""

from __future__ import annotations

import json
import math
import struct

import pytest

from router.core.foreign import ANSWER, Unreadable
from router.core.payloads import Beyond, paths, tables
from router.core.predictions.rows import (
    CELLS_MAX,
    MISSING,
    ROWS_MAX,
    Declared,
    answer_rows,
    class_of,
    leaf_name,
    number_of,
    request_rows,
)

AGES = [{"age": 3, "who": {"name": "a"}}, {"age": None}]
AGE = Declared(features=(("age", "numeric"), ("who.name", "categorical")))
FEATURES = [{"age": 3, "who.name": "a"}, {"age": None, "who.name": MISSING}]
SPLIT = {"columns": ["age", "who.name"], "data": [[3, "a"], [None]]}


def tensor(name, shape, data, **more):
    return {"name": name, "shape": shape, "datatype": "FP64", "data": data, **more}


@pytest.mark.parametrize(("payload", "body"), [
    ("json", AGES),
    ("csv", b"age,who.name,z\r\n3,a,1\r\n"),
    ("v1", {"instances": AGES}),
    ("tensorflow", {"inputs": {"age": [3, None], "who.name": ["a"]}}),
    ("mlflow", {"dataframe_records": AGES}),
    ("mlflow", {"dataframe_split": SPLIT}),
    ("mlflow", {"instances": AGES}),
    ("mlflow", {"inputs": AGES}),
    ("mlflow", b"who.name,age\na,3\n"),
    ("openai", AGES[0]),
    ("json", b'{"age": 3, "who": {"name": "a"}}\n{"age": null}\n\n'),
    ("open_inference_v2", {"inputs": [
        tensor("age", [2], [3, None]), tensor("who.name", [2, 1], [["a"], [MISSING]]),
    ]}),
])  # fmt: skip
def test_features_of_a_request(payload, body):
    if not isinstance(body, bytes):
        body = json.dumps(body, default=lambda _: "gone").encode()
    found = [row.features for row in request_rows(payload, body, AGE)]
    assert found[0] == {"age": 3, "who.name": "a"} or payload == "tensorflow"
    assert len(found) == 1 or found[1]["age"] is None


def test_features_that_have_no_names_have_places():
    declared = Declared(features=(("x[0]", "numeric"), ("x[-1]", "numeric")))
    body = json.dumps({"inputs": [tensor("x", [2, 3], [1, 2, 3, 4, 5, 6])]}).encode()
    rows = request_rows("open_inference_v2", body, declared)
    assert [list(row.features.values()) for row in rows] == [[1, 3], [4, 6]]
    declared = Declared(features=(("[1]", "numeric"), ("[7]", "numeric")))
    (row,) = request_rows("v1", b'{"instances": [[5, 6]]}', declared)
    assert row.features == {"[1]": 6, "[7]": MISSING}


def said(payload, body, **declared):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return [(r.label, r.score) for r in answer_rows(payload, body, Declared(**declared))]


ROWS = [{"label": 1, "p": [0.1, 0.9]}, {"label": 0, "p": None}]


@pytest.mark.parametrize(("payload", "body", "label", "score", "expected"), [
    ("v1", {"predictions": ROWS}, "label", "p", [(1, 0.9), (0, None)]),
    ("v1", {"predictions": ROWS}, "predictions.label", "p[0]", [(1, 0.1), (0, MISSING)]),
    ("v1", {"predictions": [0.2, 0.8]}, "", "predictions", [(MISSING, 0.2), (MISSING, 0.8)]),
    ("v1", {"predictions": [[0.2, 0.8]]}, "", "predictions[1]", [(MISSING, 0.8)]),
    ("tensorflow", {"outputs": {"label": [1, 0], "p": [[0.1, 0.9], [1, 0]]}}, "label", "outputs.p",
     [(1, 0.9), (0, 0)]),
    ("tensorflow", {"outputs": [[0.1], [0.2]]}, "", "outputs", [(MISSING, 0.1), (MISSING, 0.2)]),
    ("mlflow", {"predictions": {"label": [1, 0], "p": [0.5, 0.25]}}, "label", "p",
     [(1, 0.5), (0, 0.25)]),
    ("mlflow", {"predictions": {"label": "a"}}, "label", "p", [("a", MISSING)]),
    ("mlflow", {"predictions": 0.75}, "", "predictions", [(MISSING, 0.75)]),
    ("open_inference_v2", {"outputs": [
        tensor("p", [2, 2], [[0.1, 0.9], [1, 0]]), tensor("label", [2, 1], [1, 0]),
    ]}, "label", "p", [(1, 0.9), (0, 0)]),
    ("open_inference_v2", {"outputs": [
        tensor("p", [2, 2], [0.1, 0.9, 1, 0]), tensor("label", [1], [1]),
    ]}, "label", "p[0]", [(MISSING, 0.1), (MISSING, 1)]),
    ("open_inference_v2", {"outputs": [tensor("p", [], [0.5])]}, "label", "p", [(MISSING, 0.5)]),
    ("open_inference_v2", {"outputs": [tensor("p", [0, 3], [])]}, "", "p", []),
    ("json", {"label": 1, "score": 0.5}, "label", "score", [(1, 0.5)]),
    ("json", {"label": [1], "p": [0.1, 0.9]}, "label", "p", [(1, 0.9)]),
    ("json", ROWS, "label", "p", [(1, 0.9), (0, None)]),
    ("json", {"rows": ROWS, "v": 2}, "rows.label", "v", [(1, 2), (0, 2)]),
    ("json", {"labels": [1, 0], "p": [0.5, 0.25]}, "labels[]", "p[]", [(1, 0.5), (0, 0.25)]),
    ("json", b'{"label": 1}\n{"label": 0}', "label", "", [(1, MISSING), (0, MISSING)]),
    ("csv", b"p,label\n0.5,a\n,b\n", "label", "p", [("a", 0.5), ("b", None)]),
    ("csv", b"0.5,a\nNaN,b\n", "[1]", "[0]", [("a", 0.5), ("b", math.nan)]),
])  # fmt: skip
def test_label_and_score_of_an_answer(payload, body, label, score, expected):
    assert str(said(payload, body, label=label, score=score)) == str(expected)


def test_binary_tensors_have_rows():
    head = {"outputs": [{"name": "p", "shape": [2, 2], "datatype": "FP32",
                         "parameters": {"binary_data_size": 16}}]}  # fmt: skip
    body = json.dumps(head).encode() + struct.pack("<4f", 0.5, 0.25, 1, 0)
    assert said("open_inference_v2", body, score="p") == [(MISSING, 0.25), (MISSING, 0)]


def test_choices_of_a_language_model_are_rows():
    answer = {"choices": [
        {"index": n, "message": {"content": text}, "finish_reason": "stop"}
        for n, text in enumerate("ab")
    ]}  # fmt: skip
    rows = answer_rows("openai", json.dumps(answer).encode(), Declared(label="choices.content"))
    assert [row.label for row in rows] == ["a", "b"]
    assert rows[1].values == {"content": "b", "finish_reason": "stop"}


def test_lists_of_different_lengths_are_no_rows():
    with pytest.raises(Unreadable, match="one length"):
        said("json", {"a": [1, 2], "b": [1]}, label="a[]", score="b[]")
    with pytest.raises(Unreadable, match="as many values"):
        said("csv", b"a,b\n1\n", label="a")


def test_only_the_first_rows_are_read():
    many = {"predictions": [1] * (ROWS_MAX + 5)}
    assert len(said("v1", many, label="predictions")) == ROWS_MAX
    wide = Declared(features=tuple((f"f{n}", "numeric") for n in range(64)))
    assert len(request_rows("v1", b'{"instances": [' + b"0," * 999 + b"0]}", wide)) == 312


def test_beyond_and_unreadable_are_told_apart():
    with pytest.raises(Beyond):
        request_rows("opaque", b"", AGE)
    with pytest.raises(Beyond):
        request_rows("json", b" " * (ANSWER.bytes_max + 1), AGE)
    with pytest.raises(Unreadable):
        request_rows("json", b"{", AGE)
    with pytest.raises(Unreadable):
        answer_rows("v1", b"{}", Declared(label="label"))


@pytest.mark.parametrize(("value", "name"), [
    (1, "1"), (1.0, "1"), ("1", "1"), (True, "true"), (False, "false"), (None, "(null)"),
    (MISSING, "(missing)"), ([1], "(list)"), ({}, "(object)"), (0.123456789, "0.123457"),
    (math.nan, "nan"), (math.inf, "inf"), ("x" * 99, "x" * 64), (10**18, "1" + "0" * 18),
])  # fmt: skip
def test_classes_are_short_texts(value, name):
    assert class_of(value) == name


@pytest.mark.parametrize(("value", "number"), [
    (1, 1.0), (True, 1.0), (0.5, 0.5), (math.nan, None), (math.inf, None), (None, None),
    ("0.5", None), (MISSING, None),
])  # fmt: skip
def test_numbers(value, number):
    assert number_of(value) == number


@pytest.mark.parametrize(("payload", "path", "name"), [
    ("v1", "label", "predictions.label"), ("v1", "predictions", "predictions"),
    ("v1", "p[1]", "predictions.p"), ("mlflow", "predictions.label", "predictions.label"),
    ("tensorflow", "outputs.p", "outputs.p"), ("openai", "content", "choices.content"),
    ("open_inference_v2", "predict_proba[1]", "predict_proba"), ("json", "rows[].a", "rows.a"),
    ("v1", "[0]", "predictions"),
])  # fmt: skip
def test_a_path_names_the_field_of_the_whole_answer(payload, path, name):
    assert leaf_name(payload, path) == name


@pytest.mark.parametrize("body", [
    b'{"instances": [' + b",".join([b"0.1"] * 5_000) + b"]}",
    b'{"inputs": {"a": [' + b",".join([b"[0]"] * 5_000) + b"]}}",
    b'{"inputs": [' + b",".join([b'{"a": {}}'] * 5_000) + b"]}",
])  # fmt: skip
def test_of_many_rows_with_many_features_only_those_that_are_told_are_looked_at(body, monkeypatch):
    walks = []
    monkeypatch.setattr(tables, "walk", lambda value, _steps: walks.append(1) or value)
    monkeypatch.setattr(tables, "at", lambda value, _path: walks.append(1) or value)
    features = tuple((f"a[{n}]", "numeric") for n in range(64))
    found = request_rows("v1", body, Declared(features=features))
    assert len(found) == CELLS_MAX // 64
    assert len(walks) <= CELLS_MAX


def test_lists_that_many_paths_cross_are_walked_through_as_far_as_rows_are_told(monkeypatch):
    walks = []
    walk = paths.walk
    monkeypatch.setattr(paths, "walk", lambda value, steps: walks.append(1) or walk(value, steps))
    body = b'{"rows": [' + b",".join([b'{"a":1}'] * 5_000) + b"]}"
    features = (*((f"rows[].f{n}", "numeric") for n in range(63)), ("rows[].a", "numeric"))
    found = request_rows("json", body, Declared(features=features))
    assert len(found) == CELLS_MAX // 64
    assert found[-1].features["rows[].a"] == 1
    assert len(walks) <= CELLS_MAX + 3 * 64
