"""Late, bundled, doubled and lost reports; what is open counts for the accused."""

import json
import random

import pytest

from router.core.evidence import CompareEvidence, GuardEvidence
from router.core.evidence.ledger import Addition, Ledger
from router.core.evidence.slices import OPEN_MAX, Slice, Slices
from router.core.wire.outcomes import ArmCounts, Cell


def final(draw, weight_bp=2_500):
    """One slice as it is in the end."""
    c, s = draw.randrange(4), draw.randrange(1, 12)
    cb, sb = (sum(draw.random() < 0.1 for _ in range(n)) for n in (c, s))
    return Slice(weight_bp, c, cb, c - cb, s, sb, s - sb)


def partial(draw, whole):
    """The same with some of it still open."""
    some = [draw.randint(0, n) for n in (whole[2], whole[3], whole[5], whole[6])]
    return Slice(whole[0], whole[1], some[0], some[1], whole[4], some[2], some[3])


@pytest.mark.parametrize("seed", range(5))
def test_however_reports_are_bundled_delayed_doubled_or_lost_the_end_is_the_same(seed):
    draw = random.Random(seed)
    slices = [final(draw) for _ in range(40)]
    straight, wild = CompareEvidence(0.05), CompareEvidence(0.05)
    for number, whole in enumerate(slices, 1):
        straight.book((1, number), whole)
    for number, whole in enumerate(slices, 1):
        wild.book((1, number), partial(draw, whole))
        for _ in range(draw.randrange(3)):
            other = draw.randrange(number)
            wild.book((1, other + 1), slices[other])
    for number in draw.sample(range(1, 41), 40):
        wild.book((1, number), slices[number - 1])
        wild.book((1, number), slices[number - 1])
    assert wild.capital == straight.capital
    assert (wild.candidate_bad, wild.stable_ok) == (straight.candidate_bad, straight.stable_ok)
    assert len(wild.slices) == 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("make", [lambda: CompareEvidence(0.05), lambda: GuardEvidence(0.05)])
def test_what_is_claimed_while_some_is_open_is_reached_by_settled_capital(seed, make):
    """The theorem's inequality, path by path: the claim never exceeds the largest M so far."""
    draw = random.Random(seed)
    slices = [final(draw) for _ in range(30)]
    known, settled, most = make(), make(), 1.0
    for number, whole in enumerate(slices, 1):
        settled.book(None, whole)
        most = max(most, settled.capital)
        known.book((1, number), partial(draw, whole))
        assert known.capital <= most * (1 + 1e-9)
        if draw.random() < 0.5:
            known.book((1, number), whole)
            assert known.capital <= most * (1 + 1e-9)


def test_a_hanging_candidate_is_not_accused_by_stables_answers():
    evidence = CompareEvidence(0.01)
    evidence.book((1, 1), Slice(500, 60, 0, 0, 1_200, 0, 1_200))
    assert evidence.capital <= 1
    assert (evidence.candidate_bad, evidence.candidate_ok) == (0, 0)


def test_fast_failures_wait_for_slow_answers_of_stable_and_the_hasty_do_not():
    strict, hasty = CompareEvidence(0.01), CompareEvidence(0.01, hasty=True)
    for one in (strict, hasty):
        one.book((1, 1), Slice(500, 3, 3, 0, 57, 0, 0))
    assert strict.capital <= 1
    assert hasty.capital > 100
    for one in (strict, hasty):
        one.book((1, 1), Slice(500, 3, 3, 0, 57, 0, 57))
    assert strict.capital == hasty.capital > 100


def test_the_best_prefix_ends_before_what_is_slow():
    evidence = CompareEvidence(0.01)
    evidence.book((1, 1), Slice(500, 3, 3, 0, 57, 0, 56))
    evidence.book((1, 2), Slice(500, 0, 0, 0, 60, 0, 0))
    assert evidence.capital > 30
    assert len(evidence.slices) == 2


def test_many_open_slices_are_merged_by_weight_and_settle_all_the_same():
    slices = Slices()
    for number in range(1, 201):
        slices.put((1, number), Slice(500 if number < 150 else 900, 1, 0, 0, 2, 1, 0))
    assert len(slices) <= OPEN_MAX
    assert sum(s.candidate for s in slices) == 200
    assert slices.take_settled() == []
    twin = Slices()
    twin.restore(json.loads(json.dumps(slices.snapshot())))
    for one in (slices, twin):
        for number in range(1, 201):
            one.put((1, number), Slice(500 if number < 150 else 900, 1, 0, 1, 2, 1, 1))
        done = one.take_settled()
        assert sum(s.stable_good for s in done) == 200
        assert {s.weight_bp for s in done} == {500, 900}
    assert slices.snapshot() == twin.snapshot()


def test_who_is_gone_left_and_a_successor_goes_on():
    slices = Slices()
    slices.put((1, 7), Slice(500, 2, 1, 0, 9, 0, 3))
    slices.put((2, 4), Slice(500, 1, 0, 0, 0, 0, 0))
    slices.abandon(1)
    (mine,) = slices.take_settled()
    assert mine == Slice(500, 2, 1, 1, 9, 0, 9)
    assert slices.put((1, 7), Slice(500, 2, 2, 0, 9, 9, 0)) == Slice(500, 2, 2, 0, 9, 9, 0)
    assert len(slices) == 1, "what it says afterwards is ignored"
    slices.abandon(None)
    assert len(slices.take_settled()) == 1
    slices.put((1, 1), Slice(500, 1, 0, 1, 0, 0, 0))
    assert len(slices.take_settled()) == 1, "numbers begin anew with everybody"


def cell(number, candidate, stable, source=1, **more):
    return Cell(500, candidate, stable, source=source, slice=number, **more)


def test_the_ledger_tells_what_is_new():
    ledger = Ledger()
    first = cell(1, ArmCounts(bad=1, arrived=3), ArmCounts(ok=4, arrived=9, left=1))
    assert ledger.book(first) == Addition(3, 1, 1, 0, 9, 0, 4, 1)
    assert ledger.book(first) == Addition()
    twin = Ledger()
    twin.restore(json.loads(json.dumps(ledger.snapshot())))
    last = cell(1, ArmCounts(bad=1, ok=2, arrived=3), ArmCounts(ok=8, arrived=9, left=1))
    for one in (ledger, twin):
        assert one.book(last) == Addition(0, 0, 2, 0, 0, 0, 4, 0)
        assert one.book(last) == Addition(), "it has ended"
        assert one.snapshot()["known"] == []
    ledger.book(cell(2, ArmCounts(arrived=1), ArmCounts()))
    ledger.book(cell(2, ArmCounts(arrived=1), ArmCounts(), source=2))
    ledger.abandon(2)
    assert len(ledger.snapshot()["known"]) == 1
    ledger.abandon(None)
    assert ledger.snapshot() == {"known": [], "newest": []}
    assert ledger.book(Cell(500, ArmCounts(ok=1), ArmCounts())).candidate_answers == 1
