"""Gate scores: where the scores lie, candidate against stable at the same time."""

import json

import pytest

from router.core.gates.scores import FIRST_REQUESTS, STAGES, Scale, ScoresGate, shares
from router.core.gates.verdict import Verdict
from router.core.wire.sampled import PredictedRow as Row
from tests.core.gates.outputs import begun, feed, play, sample


def score(change=lambda s: s):
    """Scores as of a model that knows most cases: many low ones, some near 1."""

    def make(chance):
        known = chance.random()
        return Row(None, change(0.9 + 0.1 * chance.random() if known < 0.2 else 0.3 * known))

    return make


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (lambda s: s * 0.9, 1_500), (lambda s: min(s + 0.1, 1.0), 600), (lambda _s: 0.2, 600),
        (lambda s: 1.0 - s, 400),
    ],
    ids=["scaled", "offset", "constant", "turned"],
)  # fmt: skip
def test_scores_that_moved_fail(change, most):
    state = begun(ScoresGate())
    assert play(state, score(change), score(), most) < most
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("scores ")
    assert "; mean " in state.sentence()
    assert state.plain().startswith("its scores are others: ")


def test_a_little_either_way_passes():
    """A better model moves many scores, most of them by less than the tolerated distance."""
    state = begun(ScoresGate())
    better = score(lambda s: min(max(s * 1.02 - 0.003, 0.0), 1.0))
    assert play(state, better, score(), 1_500) == 1_500


@pytest.mark.parametrize("rows", [1, 16])
def test_the_same_model_passes(rows):
    hits = sum(
        play(begun(ScoresGate()), score(), score(), 200, seed=seed, rows=rows) < 200
        for seed in range(8)
    )
    assert hits == 0


def test_the_unit_of_the_score_does_not_matter():
    state = begun(ScoresGate())
    minutes = score(lambda s: 500 * s)
    assert play(state, score(lambda s: 500 * s * 0.9), minutes, 1_500) < 1_500


def test_the_scale_is_made_of_stables_first_scores_and_finer_of_more():
    scale, number = Scale(0.05), 0
    for stage, (scores, parts) in enumerate(STAGES):
        while number < scores:
            assert scale.stage == stage
            scale.learn([number / 300])
            number += 1
        assert len(scale.marks) == parts - 1
        assert scale.shift == pytest.approx(0.05 * 0.9 * scores / 300, rel=0.02)
    marks = list(scale.marks)
    scale.learn([9.0])
    assert (scale.marks, scale.final) == (marks, True)


def test_many_rows_make_the_scale_sooner_but_not_of_one_request():
    scale = Scale(0.05)
    for number in range(FIRST_REQUESTS):
        assert not scale.marks
        scale.learn([number + i / 1_000 for i in range(500)])
    assert scale.final


def test_a_mark_belongs_to_the_bin_below_it():
    assert shares([0.1, 0.2, 9.0], [0.1, 0.5]) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert shares([0.1, 0.2, 9.0], [0.1, 0.5], 0.4) == pytest.approx([0.0, 1 / 3, 2 / 3])


def test_one_score_for_everything_is_a_scale_too():
    state = begun(ScoresGate())
    same = lambda _chance: Row(None, 0.5)  # noqa: E731 - a row
    assert play(state, same, same, 300) == 300
    state = begun(ScoresGate())
    assert play(state, score(), same, 600) < 600


def test_rows_without_a_score_and_lost_ones():
    state = begun(ScoresGate())
    feed(state, sample(True, Row()), sample(False, Row()), sample(False, why="lost"))
    assert state.candidate.total == 0
    play(state, score(lambda _s: 0.2), score(), 300, until=False)
    before = state.capital
    feed(state, *[sample(True, why="lost"), sample(False, why="lost")] * 3)
    assert state.capital < before


def test_a_snapshot_is_exact_while_it_learns_and_later():
    gate = ScoresGate.model_validate({"by": {"header": "X-Country"}})
    state = begun(gate)
    for count in (30, 300):
        play(state, score(lambda s: s * 0.8), score(), count, until=False)
        feed(state, sample(True, Row(None, 0.5), segments=("se",)))
        again = begun(gate)
        again.restore(json.loads(json.dumps(state.snapshot())))
        assert (again.snapshot(), again.capital) == (state.snapshot(), state.capital)
        assert again.sentence() == state.sentence()


def test_a_score_that_no_answer_has_holds():
    state = begun(ScoresGate())
    feed(state, *[sample(True, Row("1", None, "text")), sample(False, Row("1"))] * 50)
    assert state.held
    assert "none of 100 answers had the score" in state.sentence()
