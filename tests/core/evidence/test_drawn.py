"""Facts of sampled requests reach the gates in the order of drawing, whatever is known first."""

import json
from dataclasses import replace

import pytest

from router.core.evidence.drawn import LATE_S, WAITING_MAX, Drawn
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.sampled import Facts, SampleFacts
from router.core.wire.sampled import PredictedRow as Row


def cell(number, candidate=1, stable=1, source=1, weight_bp=5_000, **more):
    return Cell(
        weight_bp, ArmCounts(arrived=candidate, sampled=candidate),
        ArmCounts(arrived=stable, sampled=stable), source=source, slice=number, **more,
    )  # fmt: skip


def fact(number, *, candidate=True, source=1, score=0.5, unit=0, why=""):
    rows = () if why else (Row("1", score),)
    return SampleFacts(source, number, 5_000, candidate, unit, (), Facts(rows, why))


def batch(*cells, samples=()):
    return Batch("r", 1, tuple(cells), samples=tuple(samples))


def scores(facts):
    return [one.facts.rows[0].score if one.facts.rows else one.facts.why for one in facts]


def test_a_later_slice_waits_for_an_earlier_one():
    drawn = Drawn()
    assert drawn.admit(batch(cell(1), cell(2)), 0.0) == ()
    known = [fact(2, score=0.2), fact(2, candidate=False, score=0.3), fact(1, score=0.4)]
    assert drawn.admit(batch(samples=known), 1.0) == ()
    last = fact(1, candidate=False, score=0.5)
    assert scores(drawn.admit(batch(samples=[last]), 2.0)) == [0.4, 0.5, 0.2, 0.3]


def test_slices_are_ordered_by_their_first_report_whoever_drew():
    drawn = Drawn()
    drawn.admit(batch(cell(7, stable=0, source=2), cell(3, stable=0)), 0.0)
    assert drawn.admit(batch(samples=[fact(3)]), 0.0) == ()
    assert [one.source for one in drawn.admit(batch(samples=[fact(7, source=2)]), 0.0)] == [2, 1]


def test_what_never_comes_is_handed_on_in_doubt_after_a_while():
    drawn = Drawn()
    drawn.admit(batch(cell(1), cell(2, stable=0)), 0.0)
    early = drawn.admit(batch(samples=[fact(1), fact(2)]), LATE_S)
    late = drawn.admit(batch(), LATE_S + 1)
    assert early == ()
    assert [(one.candidate, one.facts.why) for one in late] == [
        (True, ""), (False, "lost"), (True, ""),
    ]  # fmt: skip
    assert drawn.lost == 1


def test_nobody_waits_with_more_than_a_bound():
    drawn = Drawn()
    drawn.admit(batch(cell(1, 0), cell(2, WAITING_MAX + 1, 0)), 0.0)
    found = drawn.admit(batch(samples=[fact(2)] * (WAITING_MAX + 1)), 0.0)
    assert len(found) == WAITING_MAX + 2
    assert scores(found)[0] == "lost"


def test_forced_certain_and_unknown_draws_are_no_evidence():
    drawn = Drawn()
    cells = cell(1, forced=True), cell(2, weight_bp=10_000), cell(3, 0, 0)
    assert drawn.admit(batch(*cells, samples=[fact(1), fact(2), fact(9)]), 0.0) == ()
    assert drawn.admit(batch(cell(3, 1, 0), samples=[fact(3)]), 0.0) == (), "it was told before"


def test_what_was_drawn_and_known_at_once_is_handed_on_at_once():
    at_once = replace(fact(0), slice=0)
    assert Drawn().admit(batch(samples=[at_once]), 0.0) == (at_once,)
    assert Drawn().admit(batch(samples=[replace(at_once, weight_bp=10_000)]), 0.0) == ()


def test_what_is_known_before_its_slice_is_told_of_waits_for_it():
    drawn = Drawn()
    early = fact(2, score=0.2), fact(1, score=0.1), fact(2, candidate=False, score=0.3)
    assert drawn.admit(batch(samples=early), 0.0) == ()
    again = Drawn()
    again.restore(json.loads(json.dumps(drawn.snapshot())))
    for one in (drawn, again):
        assert scores(one.admit(batch(cell(1, stable=0)), 0.1)) == [0.1]
        assert scores(one.admit(batch(cell(2)), 0.2)) == [0.2, 0.3]
        assert one.admit(batch(samples=early), 0.3) == (), "it is over"
    assert drawn.lost == 0


def test_what_is_early_is_bounded_and_goes_with_its_worker():
    drawn = Drawn()
    drawn.admit(batch(samples=[fact(1), *[fact(2)] * WAITING_MAX]), 0.0)
    drawn.abandon(2)
    found = drawn.admit(batch(cell(1, stable=0), cell(2, WAITING_MAX, 0)), 0.1)
    assert scores(found) == [0.5], "one of them had no room, and may still come"
    for source in (1, None):
        drawn = Drawn()
        drawn.admit(batch(samples=[fact(1)]), 0.0)
        drawn.abandon(source)
        assert drawn.admit(batch(cell(1, stable=0)), 0.1) == ()


def test_what_is_early_of_a_slice_that_is_passed_over_takes_no_room():
    drawn = Drawn()
    drawn.admit(batch(samples=[fact(1)] * WAITING_MAX), 0.0)
    drawn.admit(batch(cell(2, 0, 0)), 0.0)
    drawn.admit(batch(samples=[fact(3, score=0.4)]), 0.0)
    assert scores(drawn.admit(batch(cell(3, 1, 0)), 0.1)) == [0.4]


def test_where_users_are_drawn_each_counts_once_in_all_rounds():
    drawn = Drawn(sticky=True)
    drawn.admit(batch(cell(1, 2, 1, sticky=True), cell(2, 2, 0, sticky=True, round=1)), 0.0)
    known = [fact(1, unit=5), fact(1, unit=5), fact(1, candidate=False, unit=6), fact(2, unit=7)]
    found = drawn.admit(batch(samples=[*known, fact(2, unit=5)]), 0.0)
    assert [one.unit for one in found] == [5, 6, 7]


@pytest.mark.parametrize("source", [1, None])
def test_a_worker_that_is_gone_keeps_nobody_waiting(source):
    drawn = Drawn()
    drawn.admit(batch(cell(1), cell(2)), 0.0)
    drawn.admit(batch(samples=[fact(1, score=0.4)]), 0.0)
    drawn.abandon(9)
    assert drawn.admit(batch(), 0.0) == ()
    drawn.abandon(source)
    assert scores(drawn.admit(batch(), 0.0)) == [0.4]
    again = drawn.admit(batch(cell(2, 1, 0), samples=[fact(2)]), 0.0)
    assert len(again) == (source is None), "numbers may begin anew when all are gone"


def test_it_goes_on_after_a_restart():
    drawn = Drawn(sticky=True)
    drawn.admit(batch(cell(1, sticky=True), cell(2, 1, 0, sticky=True)), 0.0)
    drawn.admit(batch(samples=[fact(1, unit=5), fact(2, unit=5)]), 0.0)
    again = Drawn(sticky=True)
    again.restore(json.loads(json.dumps(drawn.snapshot())))
    assert again.snapshot() == drawn.snapshot()
    last = batch(samples=[fact(1, candidate=False, unit=6)])
    assert again.admit(last, 1.0) == drawn.admit(last, 1.0)
    assert "0 slices open" in repr(again)
