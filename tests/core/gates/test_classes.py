"""Gate classes: shares of labels, candidate against stable at the same time."""

import json

import pytest

from router.core.gates.by import VALUES_FIRST, SegmentBy, Segments
from router.core.gates.classes import CLASSES_MAX, Classes
from router.core.gates.sample import Detect
from router.core.gates.verdict import Verdict
from router.core.wire.sampled import PredictedRow as Row
from tests.core.gates.outputs import begun, feed, play, sample


def label(share):
    """``late`` in this share of rows."""
    return lambda chance: Row("late" if chance.random() < share else "on time")


def many(shift):
    """Ten labels, of which the first is said more often."""
    return lambda chance: Row("0" if chance.random() < shift else str(chance.randrange(10)))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_fewer_and_more_of_a_label_fail_alike(share):
    state = begun(Classes())
    took = play(state, label(share), label(0.2), 1_000)
    assert took <= 400
    assert state.verdict is Verdict.FAIL
    more = "late" if share else "on time"
    assert state.sentence().startswith(f"label {more}: candidate "), "what it says too often"
    assert "tolerated: 3 pp of the predictions others" in state.sentence()
    assert " of its " in state.plain()


def test_one_label_of_ten_is_found():
    state = begun(Classes())
    assert play(state, many(0.3), many(0.0), 2_000) < 1_000
    assert state.sentence().startswith("label 0: ")


def test_rows_of_one_request_are_one_bet_and_each_is_counted():
    state = begun(Classes())
    took = play(state, label(0.0), label(0.2), 1_000, rows=32)
    assert took <= 150
    assert state.candidate.total + state.stable.total == 32 * took


@pytest.mark.parametrize("rows", [1, 32])
def test_the_same_model_passes(rows):
    hits = 0
    for seed in range(12):
        state = begun(Classes())
        hits += play(state, label(0.2), label(0.2), 300, seed=seed, rows=rows) < 300
    assert hits == 0


def test_within_the_margin_it_passes():
    state = begun(Classes.model_validate({"margin": "20%"}))
    assert play(state, label(0.1), label(0.2), 1_000) == 1_000


def test_labels_are_bounded():
    state = begun(Classes())
    for number in range(CLASSES_MAX + 30):
        feed(state, sample(number % 2 == 0, Row(str(number))))
    assert len(state.whole.names) == CLASSES_MAX + 1
    assert state.whole.names[-1] == "(other)"


def test_what_is_lost_speaks_for_the_candidate():
    state = begun(Classes())
    play(state, label(0.0), label(0.2), 150, until=False)
    before = state.capital
    feed(state, *[sample(True, why="lost"), sample(False, why="lost")] * 3)
    assert state.capital < before


def test_a_snapshot_is_exact():
    gate = Classes.model_validate({"by": {"feature": "carrier"}})
    state, again = begun(gate), begun(gate)
    play(state, label(0.1), label(0.2), 200, until=False)
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert (again.snapshot(), again.capital) == (state.snapshot(), state.capital)
    assert again.sentence() == state.sentence()


def test_before_anything_is_known():
    state = begun(Classes())
    assert (state.verdict, state.plain().split(";")[0]) == (
        Verdict.PENDING, "0 of its 0 predictions were (none)",
    )  # fmt: skip
    feed(state, sample(True, why="lost"))
    assert state.capital == 1.0


def test_it_asks_for_a_sample_that_shows_a_broken_model_where_there_is_a_coin():
    state = begun(Classes())
    assert state.sample(Detect(), 0) == (0, 0)
    assert 50 < state.sample(Detect(), 5_000).wanted < 400


def test_a_label_that_no_answer_has_holds_and_says_so():
    """A typo in `predictions` never switches the gate off."""
    state = begun(Classes())
    missing = Row("(missing)", None, "missing")
    for number in range(100):
        assert not state.held
        feed(state, sample(number % 2 == 0, missing))
    assert state.held
    assert state.verdict is Verdict.PENDING
    assert state.sentence() == (
        "none of 100 answers had the label that predictions declares: the gate learns nothing, "
        "so it holds"
    )
    again = begun(Classes())
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert again.held
    feed(state, sample(True, Row("1")))
    assert not state.held


@pytest.mark.parametrize("by", [{"feature": "carier"}, {"header": "X-Carier"}])
def test_what_no_request_has_holds(by):
    """A typo must not switch segments off."""
    state = begun(Classes.model_validate({"by": by}))
    kind, name = next(iter(by.items()))
    for number in range(100):
        feed(state, sample(number % 2 == 0, Row("1", features=("(missing)",)), segments=("",)))
    assert state.verdict is Verdict.PENDING
    assert state.sentence().startswith(f"none of 100 requests had the {kind} {name}, which tells")
    feed(state, sample(True, Row("1", features=("UA",)), segments=("UA",)))
    assert state.verdict is Verdict.PASS


def late(lost):
    """A row whose delay is told; of the broken one a share of the long ones is not seen."""

    def make(chance):
        delay = chance.expovariate(1 / 20.0)
        seen = 0.0 if chance.random() < lost else delay
        return Row(str(int(seen > 40)), features=(f"{delay:.6g}",))

    return make


def test_a_number_is_told_apart_by_parts():
    """What is lost where delays are long hardly shows in all together."""
    gate = Classes.model_validate({"margin": "10%", "by": {"feature": "delay", "parts": 5}})
    state = begun(gate)
    took = play(state, late(0.6), late(0.0), 3_000)
    assert took < 2_500
    assert state.sentence().startswith("delay above ")
    assert len(state.names.edges) == 4
    again = begun(gate)
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert (again.snapshot(), again.sentence()) == (state.snapshot(), state.sentence())
    assert play(begun(Classes(margin="10%")), late(0.6), late(0.0), 2_500) == 2_500
    assert begun(gate).capital == 1.0


def test_parts_are_of_numbers_that_differ():
    by = SegmentBy(feature="n", parts=4)
    names = Segments()
    for n in range(VALUES_FIRST):
        assert names.of(by, str(n % 2)) == ""
    assert [names.of(by, text) for text in ("0", "-5", "1", "1e9", "?", "", "(missing)")] == [
        "up to 0", "up to 0", "above 0", "above 0", "(no number)", "", "(missing)",
    ]  # fmt: skip
    alike = Segments()
    for _ in range(VALUES_FIRST + 1):
        alike.of(by, "7")
    assert [alike.of(by, text) for text in ("7", "8")] == ["up to 7", "above 7"]
    assert alike.of(by, "nan") == "(no number)"
    with pytest.raises(ValueError, match="a header is no number"):
        SegmentBy(header="X", parts=3)


def test_an_earlier_routers_segments_are_names_alone():
    names = Segments()
    names.restore(["UA", "AA"])
    assert names.snapshot() == [["UA", "AA"], 0, [], []]
