"""Gate streams: when answers began, and how long they were silent."""

import json

import pytest

from router.core.gates.streams import Streams
from router.core.gates.verdict import Counts, Verdict
from router.core.wire.sampled import Facts, PredictedRow, SampleFacts
from tests.core.gates.outputs import begun, feed

GATE = {"first_token": "500ms", "gap": "2s"}


def answer(candidate, *, first_s=0.1, gap_s=0.1, why="", segment="de", waits=True):
    told = Facts(
        (PredictedRow(),) if not why else (), why, None, (first_s, gap_s) if waits else None
    )
    return SampleFacts(0, 0, 5_000, candidate, 0, (segment,), told)


@pytest.mark.parametrize("late", [{"first_s": 0.9}, {"gap_s": 3.0}], ids=["first token", "gap"])
def test_waits_beyond_stables_fail_and_say_which(late):
    state = begun(Streams.model_validate(GATE))
    for number in range(60):
        feed(state, answer(True, **late if number % 2 else {}), answer(False))
    assert state.verdict is Verdict.FAIL
    assert (state.candidate, state.stable) == (Counts(30, 60), Counts(0, 60))
    assert state.sentence().startswith(
        "first token after 500ms or silent for 2s: candidate 30 of 60 (50.0 %), stable 0 of 60 ("
    )
    assert "tolerated: stable + 1 pp" in state.sentence()
    assert state.plain().startswith("30 of its 60 answers were late (first token after 500ms")


def test_a_burst_that_falls_on_both_convicts_nobody():
    state = begun(Streams.model_validate(GATE))
    for _ in range(200):
        feed(state, answer(True, first_s=3.0), answer(False, first_s=3.0))
    assert state.verdict is Verdict.PASS


def test_what_cannot_be_read_still_took_its_time_and_what_has_no_answer_none():
    state = begun(Streams.model_validate({"gap": "2s"}))
    feed(state, answer(True, gap_s=9.0, why="unreadable"), answer(True, why="none", waits=False))
    assert state.candidate == Counts(1, 1)


def test_what_is_lost_speaks_for_the_candidate():
    state = begun(Streams.model_validate(GATE))
    for _ in range(12):
        feed(state, answer(True, first_s=3.0), answer(False))
    before = state.capital
    feed(state, *[answer(False, why="lost", waits=False)] * 3)
    assert state.capital < before


def test_one_segment_is_named_and_a_snapshot_is_exact():
    gate = Streams.model_validate(GATE | {"by": {"header": "X-Country"}})
    state, again = begun(gate), begun(gate)
    for number in range(200):
        land = "fr" if number % 4 == 0 else "de"
        slow = 3.0 if land == "fr" else 0.1
        feed(state, answer(True, first_s=slow, segment=land), answer(False, segment=land))
    assert state.sentence().startswith("X-Country fr: first token")
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert (again.capital, again.sentence()) == (state.capital, state.sentence())


def test_something_has_to_be_asked():
    with pytest.raises(ValueError, match="first_token or gap"):
        Streams.model_validate({})
