"""Truth that judges both answers of one request."""

import json

import pytest

from router.core.pairs import labelled
from router.core.pairs.compare import Compare
from router.core.pairs.comparison import Likeness
from router.core.pairs.labelled import KeptPairs, counted
from router.core.wire.outcomes import LabelledPairs


def said(stable, candidate, **settings):
    bodies = [json.dumps(one).encode() for one in (stable, candidate)]
    found = Likeness.of(Compare.model_validate(settings)).compare("json", *bodies)
    return found.stable_says, found.candidate_says


@pytest.mark.parametrize(
    ("stable", "candidate", "settings", "expected"),
    [
        ({"y": 1}, {"y": 0}, {}, (1, 0)),
        ({"y": "late", "p": 0.7}, {"y": "late", "p": 0.8}, {"decide_on": ["y"]}, ("late", "late")),
        ({"y": 1, "p": 0.7}, {"y": 1, "p": 0.2}, {"score": "p"}, (0.7, 0.2)),
        ({"y": 1, "p": 0.7}, {"y": 1, "p": 0.2}, {}, (None, None)),  # two things are said
        ({"y": [1, 0]}, {"y": [1, 1]}, {"decide_on": ["y"]}, (None, None)),  # two predictions
        ({"y": 1}, {"z": 1}, {"decide_on": ["y"]}, (1, None)),
    ],
)
def test_answers_that_say_one_thing(stable, candidate, settings, expected):
    assert said(stable, candidate, **settings) == expected


@pytest.mark.parametrize(
    ("one", "truth", "expected"),
    [
        (0.7, True, True),
        (0.7, False, False),
        (1, True, True),
        (3, 3, True),
        (3.0000001, 3, True),
        (3, 7, False),
        ("late", "late", True),
        ("late", "early", False),
        ("1", 1, None),  # a text is no number
        (1, "1", None),
        ("late", True, None),
        (None, 1, None),
        (float("nan"), 1.0, False),
    ],
)
def test_who_was_right(one, truth, expected):
    assert Likeness.of(Compare()).right(one, truth) is expected


def test_only_one_of_two_says_something():
    assert counted(True, True) == counted(False, False) == LabelledPairs(same=1)
    assert counted(True, False) == LabelledPairs(worse=1)
    assert counted(False, True) == LabelledPairs(better=1)


def test_kept_pairs_are_bounded_and_given_once(monkeypatch):
    monkeypatch.setattr(labelled, "KEPT_MAX", 10)
    kept = KeptPairs()
    found = Likeness.of(Compare()).compare("json", b'{"y": 1}', b'{"y": 0}')
    for nonce in range(1, 51):
        kept.add(nonce, found)
    assert len(kept) == 10
    assert kept.take(40) is None, "the oldest ones went"
    assert kept.take(41) == (1, 0)
    assert kept.take(41) is None
    kept.add(0, found)
    kept.add(
        51, Likeness.of(Compare()).compare("json", b'{"y": "%s"}' % (b"x" * 101), b'{"y": "a"}')
    )
    assert len(kept) == 9


def test_truths_that_came_early_are_bounded(monkeypatch):
    monkeypatch.setattr(labelled, "EARLY_MAX", 3)
    kept = KeptPairs()
    for nonce in range(1, 6):
        kept.wait(nonce, nonce)
    kept.wait(0, 1)
    kept.wait(9, "x" * 1_000)
    assert sorted(kept._early) == [3, 4, 5]
