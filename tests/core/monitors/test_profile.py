"""Cells of a reference: numbers, categories, and what is wrong with a value."""

import json

import pytest

from router.core.monitors.profile import MISSING, MISTYPED, Profile, kind_of, profiled
from router.core.monitors.values import type_of

NAN = float("nan")


def test_numbers_are_counted_between_quantiles():
    one = profiled("numeric", list(range(1_001)))
    assert (one.cells, one.low, one.high, one.type) == (10, 0, 1000, "number")
    assert one.counts[:10] == (100.0,) * 9 + (101.0,)
    assert one.place(550) == (5, False)
    assert one.place(-1) == (0, True)
    assert one.place(10**400) == (MISTYPED, False)


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, MISSING), (NAN, MISSING), (float("inf"), MISSING), ("3", MISTYPED), (True, MISTYPED),
     ([], MISTYPED), ({}, MISTYPED)],
)  # fmt: skip
def test_what_is_no_number_is_counted_apart(value, cell):
    assert profiled("numeric", [1, 2, 3]).place(value) == (cell, False)


def test_categories_are_counted_one_by_one():
    one = profiled("categorical", ["b"] * 3 + ["a"] * 2 + [None])
    assert one.names == ("b", "a")
    assert one.counts == (3.0, 2.0, 0.0, 1.0, 0.0, 0.0)
    assert one.place("c") == (2, True)
    assert one.place(3) == (MISTYPED, False)


def test_many_categories_are_not_called_unseen():
    one = profiled("categorical", [f"id-{k}" for k in range(3_000)])
    assert one.place("another") == (len(one.names), False)


def test_three_is_three_however_it_is_written():
    one = profiled("categorical", [3, 4.0])
    assert one.place(3.0) == one.place(3)
    assert one.place(4)[1] is False


def test_a_text_file_knows_no_types():
    one = profiled("categorical", ["3", "true"], typed=False)
    assert one.place(3)[1] is False
    assert one.place(True)[1] is False
    assert one.place([]) == (MISTYPED, False)


def test_kinds_are_told_by_values():
    assert kind_of(["a", "b"]) == "categorical"
    assert kind_of([0, 1] * 50) == "categorical"
    assert kind_of([k / 7 for k in range(50)]) == "numeric"


def test_a_feature_that_is_never_there_has_a_profile_too():
    one = profiled("numeric", [None, None])
    assert one.place(None) == (MISSING, False)
    assert profiled("categorical", []).place("a")[0] in (0, MISTYPED)


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_a_profile_goes_through_json(kind):
    values = [0.5, 1, 2, None] if kind == "numeric" else ["a", "b", None]
    one = profiled(kind, values, 0.5)
    assert Profile.from_json(json.loads(json.dumps(one.to_json()))) == one
    with pytest.raises(ValueError, match="counts"):
        Profile.from_json(one.to_json() | {"counts": [1.0]})
    with pytest.raises(ValueError, match="expected numeric or categorical"):
        Profile.from_json(one.to_json() | {"kind": "x"})


def test_types_are_told():
    assert [type_of(v) for v in (None, 1, "x", True, [])] == [
        "missing", "number", "text", "boolean", "other",
    ]  # fmt: skip
