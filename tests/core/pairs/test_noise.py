"""What differs by itself: learnt from the first pairs, then fixed."""

import json

import pytest

from router.control.told.paired import noise_view
from router.core.pairs.noise import FIELDS_MAX, OTHER, Noise


def learnt(raw, within, *, pairs=100, share_bp=1_000):
    """Noise after ``pairs`` of each kind; counts by field of how many of them differ."""
    noise = Noise(share_bp, pairs)
    for number in range(pairs):
        noise.between(field for field, n in raw.items() if number < n)
        noise.within(field for field, n in within.items() if number < n)
    return noise


@pytest.mark.parametrize(
    ("raw", "within", "silenced"),
    [
        (100, 100, True),  # a timestamp: differs always, whoever answers
        (50, 48, True),  # sampled text
        (44, 30, True),
        (46, 30, False),  # 21 % of both together
        (30, 25, True),
        (5, 0, False),  # a real change
        (3, 1, False),  # once is an accident
        (0, 4, True),
    ],
)
def test_diffys_rule(raw, within, silenced):
    assert ("f" in learnt({"f": raw}, {"f": within}).silenced) == silenced


def test_nothing_is_decided_before_the_declared_number_of_both_kinds():
    noise = Noise(1_000, 20)
    for _ in range(50):
        noise.between(["t"])
    for _ in range(19):
        noise.within(["t"])
    assert (noise.learning, noise.silenced) == (True, frozenset())
    noise.within(["t"])
    assert (noise.learning, noise.silenced) == (False, {"t"})


def test_what_was_learnt_stays_whatever_comes_later():
    noise = learnt({"t": 100, "y": 5}, {"t": 100})
    for _ in range(1_000):
        noise.between(["y"])
        noise.within(["y"])
    assert noise.silenced == {"t"}


def test_without_a_share_nothing_is_learnt_and_every_pair_counts():
    assert (Noise(0, 200).learning, Noise(0, 200).silenced) == (False, frozenset())


def test_fields_are_bounded_and_the_rest_is_never_silenced():
    noise = Noise(1_000, 20)
    for _ in range(20):
        noise.between(f"f{n}" for n in range(FIELDS_MAX + 50))
        noise.within(f"f{n}" for n in range(FIELDS_MAX + 50))
    assert len(noise.raw) == FIELDS_MAX + 1
    assert noise.raw[OTHER] == 20 * 50
    assert OTHER not in noise.silenced
    assert len(noise.silenced) == FIELDS_MAX


def test_a_restart_forgets_nothing():
    noise = learnt({"t": 100, "y": 5}, {"t": 100})
    again = Noise(1_000, 100)
    again.restore(json.loads(json.dumps(noise.snapshot())))
    assert again.snapshot() == noise.snapshot()
    assert noise_view(again).to_json()["fields"][0] == {
        "field": "t", "raw": 100, "noise": 100, "silenced": True,
    }  # fmt: skip
