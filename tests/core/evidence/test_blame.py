"""What a client brought: never less than nothing, bounded, and exact through a restart."""

import pytest

from router.core.evidence import CompareEvidence
from router.core.evidence.blame import CLIENTS_MAX, Brought
from router.core.evidence.slices import Slice


def test_without_a_client_there_is_what_the_others_brought():
    all_of_them, others = CompareEvidence(0.01), CompareEvidence(0.01)
    for number in range(1, 5):
        all_of_them.book((1, number), Slice(500, 1, 1, 0, 19, 0, 19), ((7 + number % 2,), ()))
        mine = (1, 1, 0) if number % 2 == 0 else (0, 0, 0)
        others.book((1, number), Slice(500, *mine, 19, 0, 19))
    without = all_of_them.capital_without(8)
    assert without == pytest.approx(others.capital, rel=0.01), "a failure releases, whoever's"
    assert without < all_of_them.capital / 2
    assert all_of_them.capital_without(99) == all_of_them.capital


def test_failures_of_stable_set_off_those_of_the_candidate_but_bring_no_credit():
    logs = (1.0, 2.0), (-0.5, -3.0)
    blame = Brought()
    blame.book(None, Slice(500), ((), (5, 5)), logs)
    assert blame.of(5) == [0.0, 0.0]
    blame.book(None, Slice(500), ((5, 5), (5,)), logs)
    assert blame.of(5) == [1.5, 1.0]


def test_a_slice_that_is_told_again_counts_once():
    blame, logs = Brought(), ((1.0,), (-1.0,))
    open_ = Slice(500, 3, 1, 0)
    for failing in (((5,), ()), ((5,), ()), ((5, 6), ())):
        blame.book((1, 1), open_, failing, logs)
    blame.book((1, 1), Slice(500, 3, 2, 1), ((5, 6), ()), logs)
    assert (blame.of(5), blame.of(6)) == ([1.0], [1.0])
    again = Brought()
    again.restore(blame.snapshot())
    assert again.snapshot() == blame.snapshot()


def test_it_keeps_those_who_brought_most():
    blame, logs = Brought(), ((1.0,), (-1.0,))
    blame.book(None, Slice(500), ((1, 1), ()), logs)
    for who in range(2, CLIENTS_MAX + 3):
        blame.book(None, Slice(500), ((who,), ()), logs)
    assert blame.of(1) == [2.0]
    assert len(blame.snapshot()[0]) == CLIENTS_MAX
