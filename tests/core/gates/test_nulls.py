"""Gate nulls: faulty rows of live answers."""

import json
import random

import pytest

from router.core.gates.nulls import Nulls
from router.core.gates.sample import Detect
from router.core.gates.verdict import Counts, Verdict
from router.core.wire.sampled import PredictedRow as Row
from tests.core.gates.outputs import begun, feed, play, sample

GOOD = Row("1", 0.7)


def faulty(share, fault="null"):
    return lambda chance: Row(None, None, fault) if chance.random() < share else GOOD


def seen(faults=20, of=400, fault="null", **gate):
    state = begun(Nulls.model_validate(gate))
    for number in range(of):
        feed(state, sample(True, Row(None, None, fault) if number % (of // faults) == 0 else GOOD))
        feed(state, sample(False, GOOD))
    return state


@pytest.mark.parametrize(
    ("fault", "word"),
    [("null", "null"), ("nan", "NaN"), ("unknown", "of an unknown label"), ("range", "out of")],
)
def test_each_fault_fails_and_is_named(fault, word):
    state = seen(fault=fault)
    assert (state.verdict, state.candidate) == (Verdict.FAIL, Counts(20, 400))
    assert state.stable == Counts(0, 400)
    assert state.sentence().startswith(
        "faulty rows: candidate 20 of 400 (5.0 %), stable 0 of 400 (0 %); mostly " + word
    )
    assert f"most of them {word}" in state.plain()


def test_none_passes_and_says_so():
    state = begun(Nulls())
    assert state.verdict is Verdict.PENDING
    feed(state, sample(True, GOOD), sample(False, GOOD))
    assert state.verdict is Verdict.PASS
    assert state.plain().startswith("0 of its 1 predictions were faulty, most of them none")


def test_answers_that_cannot_be_read_are_faults_and_those_without_a_prediction_are_not():
    state = begun(Nulls())
    for _ in range(30):
        feed(state, sample(True, why="unreadable"), sample(False, GOOD))
    assert state.verdict is Verdict.FAIL
    assert "not of the payload" in state.sentence()
    state = begun(Nulls())
    for _ in range(30):
        feed(state, sample(True, why="none"), sample(False, GOOD))
    assert (state.capital <= 1.0, state.candidate) == (True, Counts(0, 0))


def test_what_was_read_for_its_tokens_alone_says_nothing():
    state = begun(Nulls.model_validate({"by": {"feature": "carrier"}}))
    feed(state, sample(True), sample(False))
    assert (state.candidate, state.capital) == (Counts(0, 0), 1.0)


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_a_shared_cause_convicts_nobody(share):
    """Both have the same share of faulty rows: the coin alone says whose they are."""
    hits = sum(
        play(begun(Nulls()), faulty(share), faulty(share), 400, seed=seed) < 400
        for seed in range(40)
    )
    assert hits == 0


def test_faults_of_a_shared_cause_that_all_fall_on_the_candidate_are_a_matter_of_luck_up_to_six():
    """``2 ** -6`` is more than one in a hundred: no rule may convict by them."""
    state = begun(Nulls())
    feed(state, *[sample(False, GOOD)] * 20, *[sample(True, Row(fault="null"))] * 6)
    assert state.capital < 100
    feed(state, *[sample(True, Row(fault="null"))] * 2)
    assert state.capital > 100


@pytest.mark.parametrize(("gate", "most"), [({}, 550), ({"limit": "0.1%"}, 300)])
def test_one_in_twenty_is_found_within_some_hundred_requests(gate, most):
    took = sorted(
        play(begun(Nulls.model_validate(gate), limit=200.0), faulty(0.05), faulty(0.0), 2_000,
             seed=seed)
        for seed in range(21)
    )  # fmt: skip
    assert took[10] <= most, took


def test_a_limit_is_the_operators_own_whoever_causes_the_faults():
    """Both have one in twenty, and one in a hundred is what may be."""
    state = begun(Nulls.model_validate({"limit": "1%"}))
    assert play(state, faulty(0.05), faulty(0.05), 2_000) < 1_000
    assert "tolerated: stable + 0.1 pp, in all 1 %" in state.sentence()
    within = begun(Nulls.model_validate({"limit": "10%"}))
    assert play(within, faulty(0.05), faulty(0.05), 1_000) == 1_000


def test_rows_of_one_request_are_one_bet():
    """32 faulty rows in one request say less than 32 requests with one."""
    many, one = begun(Nulls()), begun(Nulls())
    feed(many, *[sample(True, *[Row(fault="nan")] * 32)] * 2)
    feed(one, *[sample(True, Row(fault="nan"))] * 2)
    assert many.capital == one.capital
    assert many.candidate == Counts(64, 64)
    part = begun(Nulls())
    feed(part, *[sample(True, Row(fault="nan"), *[GOOD] * 31)] * 2)
    assert 1.0 < part.capital < one.capital


def test_what_is_lost_speaks_for_the_candidate():
    state = seen(faults=4, of=40)
    before = state.capital
    feed(state, *[sample(True, why="lost")] * 3, *[sample(False, why="lost")] * 3)
    assert state.capital < before
    assert "6 samples lost, in doubt for it" in state.sentence()


def test_one_segment_is_enough_and_is_named():
    gate = Nulls.model_validate({"by": {"header": "X-Country"}})
    state, chance = begun(gate), random.Random(1)
    for number in range(3_000):
        country = "se" if number % 20 == 0 else f"c{number % 7}"
        bad = country == "se" and (candidate := chance.random() < 0.5)
        candidate = bad if country == "se" else chance.random() < 0.5
        row = Row(fault="null") if bad else GOOD
        feed(state, sample(candidate, row, segments=(country,)))
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("X-Country se: faulty rows: candidate ")
    assert state.plain().endswith("(where X-Country is se)")


def test_segments_are_bounded():
    gate = Nulls.model_validate({"by": {"feature": "carrier"}})
    state = begun(gate)
    for number in range(500):
        feed(state, sample(number % 2 == 0, Row("1", 0.5, "", (f"c{number}",))))
    feed(state, sample(True, Row("1", 0.5)))  # of no segment
    assert len(state.parts) == 21
    assert state.names.name(20) == "(other)"
    again = begun(gate)
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert again.snapshot() == state.snapshot()


@pytest.mark.parametrize("gate", [{}, {"limit": "1%"}])
def test_a_snapshot_is_exact(gate):
    state, again = seen(**gate), begun(Nulls.model_validate(gate))
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert (again.capital, again.sentence()) == (state.capital, state.sentence())


def test_it_asks_for_as_many_as_its_limit_takes_where_there_is_a_coin():
    state = seen()
    assert state.sample(Detect(), 10_000) == (0, 0)
    seen_, wanted = state.sample(Detect(), 5_000)
    assert (seen_, 20 < wanted < 300) == (400, True)


@pytest.mark.parametrize("by", [{}, {"header": "a", "feature": "b"}])
def test_segments_are_told_apart_by_one_thing(by):
    with pytest.raises(ValueError, match="exactly one of header, feature"):
        Nulls.model_validate({"by": by})
