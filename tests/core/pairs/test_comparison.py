"""When two answers agree, and what is said when they do not."""

import json
import math
from dataclasses import replace

import pytest

from router.core.pairs.compare import Compare
from router.core.pairs.comparison import Direction, Kind, Likeness
from router.core.predictions.rows import Declared


def bodies(*values):
    return [json.dumps(value).encode() for value in values]


def compared(stable, candidate, payload="json", **settings):
    return Likeness.of(Compare(**settings)).compare(payload, *bodies(stable, candidate))


AGREE = [
    ({"a": 1.0}, {"a": 1.0000001}, {}),
    ({"a": 100.0}, {"a": 101.0}, {"relative": "1%"}),
    ({"a": 1.0}, {"a": 1.04}, {"absolute": 0.05}),
    ({"a": 1, "t": 5}, {"a": 1, "t": 6}, {"ignore": ["t"]}),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"decide_on": ["a.b"]}),
    ({"a": math.nan}, {"a": math.nan}, {}),
    ({"a": "x", "b": [1, 2]}, {"b": [1, 2], "a": "x"}, {}),
    ({"s": [9, 8, 7, 1]}, {"s": [7, 9, 8, 0]}, {"top_k": 3}),
    ({"s": [9, 8, 7, 1]}, {"s": [9, 8, 1, 7]}, {"top_k": 3, "top_k_overlap": "66%"}),
    ({"s": [9, 8, 7, 1], "y": 1}, {"s": [0, 1, 7, 9], "y": 1}, {"top_k": 1, "ignore": ["s"]}),
    ({"s": [9, 8, 7], "y": 1}, {"s": [0, 8, 7], "y": 1}, {"top_k": 1, "decide_on": ["y"]}),
]


@pytest.mark.parametrize(("stable", "candidate", "settings"), AGREE)
def test_agreement(stable, candidate, settings):
    assert compared(stable, candidate, **settings).agreed


def test_what_is_declared_stands_elsewhere_in_another_payload():
    """A route of `open_inference_v2` whose V1 answers have the label in `predictions`."""
    declared = Declared("label", "p")
    own = Likeness.of(Compare(decide_on=["label"], score="p"), declared)
    like = own.read_by("open_inference_v2", "v1")
    assert (like.decide_on, like.score) == (("predictions.label",), "predictions.p")
    said = bodies(*({"predictions": [{"label": 1, "p": p}]} for p in (0.5, 0.75)))
    found = like.compare("v1", *said)
    assert (found.agreed, found.score_distance) == (True, 0.25)
    assert own.read_by("v1", "v1") is own
    other = replace(own, decide_on=("mine",), score=None).read_by("open_inference_v2", "v1")
    assert (other.decide_on, other.score) == (("mine",), None)


DISAGREE = [
    ({"a": 1.0}, {"a": 1.1}, {}, ("a", Kind.NUMBER, "1", "1.1")),
    ({"a": "x"}, {"a": "y"}, {}, ("a", Kind.TEXT, "x", "y")),
    ({"a": 1}, {"a": "1"}, {}, ("a", Kind.TYPE, "1", "1")),
    ({"a": True}, {"a": 1}, {}, ("a", Kind.TYPE, "True", "1")),
    ({"a": 1, "b": 2}, {"a": 1}, {}, ("b", Kind.MISSING, "2", "")),
    ({"a": 1}, {"a": 1, "b": 2}, {}, ("b", Kind.EXTRA, "", "2")),
    ({"a": 1}, {"a": math.nan}, {}, ("a", Kind.NUMBER, "1", "nan")),
    ({"s": [9, 8, 7]}, {"s": [7, 8, 9]}, {"top_k": 1}, ("s", Kind.RANKING, "top 1", "0% overlap")),
    ({"a": "x" * 99}, {"a": ""}, {}, ("a", Kind.TEXT, "x" * 57 + "...", "")),
]


@pytest.mark.parametrize(("stable", "candidate", "settings", "expected"), DISAGREE)
def test_disagreement(stable, candidate, settings, expected):
    finding = compared(stable, candidate, **settings)
    assert not finding.agreed
    (difference,) = finding.differences
    assert (difference.path, difference.kind, difference.stable, difference.candidate) == expected


def answer(label, probability):
    outputs = [
        {"name": "predict", "shape": [1, 1], "data": [label]},
        {"name": "predict_proba", "shape": [1, 2], "data": [1 - probability, probability]},
    ]
    return {"outputs": outputs}


@pytest.mark.parametrize(
    ("stable", "candidate", "agreed", "direction"),
    [
        (answer(1, 0.9), answer(1, 0.6), True, Direction.NONE),
        (answer(1, 0.9), answer(0, 0.4), False, Direction.STRICTER),
        (answer(0, 0.2), answer(1, 0.6), False, Direction.LOOSER),
    ],
)
def test_a_label_decides_while_its_score_is_measured(stable, candidate, agreed, direction):
    finding = compared(
        stable, candidate, "open_inference_v2", decide_on=["predict"], score="predict_proba"
    )
    assert (finding.agreed, finding.direction) == (agreed, direction)
    gap = abs(stable["outputs"][1]["data"][1] - candidate["outputs"][1]["data"][1])
    assert finding.score_distance == pytest.approx(gap)
    assert finding.stable_positive == (stable["outputs"][0]["data"][0] == 1)
    assert finding.candidate_positive == (candidate["outputs"][0]["data"][0] == 1)


def test_tensors_by_ranking():
    def scores(*values):
        return {"outputs": [{"name": "p", "shape": [1, len(values)], "data": list(values)}]}

    assert compared(scores(5, 1, 2), scores(9, 2, 1), "open_inference_v2", top_k=1).agreed
    assert not compared(scores(5, 1, 2), scores(1, 9, 2), "open_inference_v2", top_k=1).agreed


def test_words_have_no_direction_and_no_distance():
    finding = compared({"a": "x"}, {"a": "y"})
    assert (finding.direction, finding.score_distance, finding.stable_positive) == ("", None, None)
    assert compared({"a": 1, "b": "x"}, {"a": 1, "b": "y"}).direction is Direction.NONE


def test_unreadable_answers_are_told_apart():
    broken = Likeness.of(Compare()).compare("v1", b'{"predictions": [1]}', b"<html>")
    assert (broken.agreed, broken.candidate_unreadable) == (False, True)
    assert broken.differences[0].kind is Kind.UNREADABLE
    nothing = Likeness.of(Compare()).compare("v1", b"<html>", b'{"predictions": [1]}')
    assert (nothing.stable_unreadable, nothing.candidate_unreadable) == (True, False)


def test_kept_differences_are_bounded():
    many = {str(n): n for n in range(100)}
    finding = compared(many, {key: value + 1 for key, value in many.items()})
    assert len(finding.differences) == 20
