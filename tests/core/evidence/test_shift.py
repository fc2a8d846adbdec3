"""The bet on kinds: at most 1 in the mean under its statement, whatever it has learned."""

import json
import random
from itertools import accumulate

import pytest

from router.core.evidence.shift import LEARN_MIN, ShiftEvidence

KINDS = 6


def shares_of(chance):
    parts = [chance.random() ** 3 for _ in range(KINDS)]
    return [part / sum(parts) for part in parts]


def only(kind, kinds=KINDS):
    return [float(place == kind) for place in range(kinds)]


def taught(chance, margin, order):
    """Evidence that has seen two arms that have nothing to do with what comes."""
    evidence = ShiftEvidence(margin, order=order)
    mine, others = shares_of(chance), shares_of(chance)
    for _ in range(60):
        for candidate, known in ((True, mine), (False, others)):
            kind = chance.choices(range(KINDS), known)[0]
            evidence.learn(candidate, only(kind))
    return evidence


def beyond(mine, others, order):
    """By how much the set with the largest excess has more: what the statement limits."""
    excess = [c - s for c, s in zip(mine, others, strict=True)]
    if order is None:
        return sum(max(one, 0.0) for one in excess)
    sums = list(accumulate(excess if order == "first" else excess[::-1]))
    return max(*sums, 0.0)


def mean_growth(evidence, weight_bp, mine, others):
    """Of one request of one row: exactly, over arms and kinds."""
    w, total = weight_bp / 10_000, 0.0
    kept = json.dumps(evidence.snapshot())
    for candidate, known in ((True, mine), (False, others)):
        for kind, share in enumerate(known):
            evidence.restore(json.loads(kept))
            before, cash = sum(evidence.pot.shares), evidence.pot.cash
            evidence.observe(weight_bp, candidate, only(kind))
            after = sum(evidence.pot.shares) - (cash - evidence.pot.cash)  # what was released
            total += (w if candidate else 1 - w) * share * after / before
    evidence.restore(json.loads(kept))
    return total


@pytest.mark.parametrize("order", [None, "first", "last"])
@pytest.mark.parametrize("seed", range(8))
def test_it_wins_nothing_within_the_margin_and_something_may_be_won_beyond(order, seed):
    chance = random.Random(f"{order} {seed}")
    margin, weight_bp = chance.choice((0.0, 0.02, 0.2)), chance.randrange(50, 9_950)
    evidence = taught(chance, margin, order)
    others, far = shares_of(chance), shares_of(chance)
    for step in range(20):  # from stable's own shares towards others, up to the border
        part = step / 20
        mine = [(1 - part) * s + part * f for s, f in zip(others, far, strict=True)]
        if beyond(mine, others, order) <= margin:
            assert mean_growth(evidence, weight_bp, mine, others) <= 1.0 + 1e-9


@pytest.mark.parametrize("order", ["first", "last"])
def test_what_moves_the_other_way_is_not_its_matter(order):
    chance, evidence = random.Random(1), ShiftEvidence(0.0, order=order)
    for _ in range(400):
        candidate = chance.random() < 0.5
        kind = chance.randrange(3) + (3 if candidate is (order == "first") else 0)
        evidence.observe(5_000, candidate, only(kind))
    assert evidence.capital <= 1.0


@pytest.mark.parametrize("order", [None, "first", "last"])
def test_rows_that_are_all_others_are_found_at_a_bit_a_request(order):
    evidence = ShiftEvidence(0.02, order=order)
    first = order != "last"
    for number in range(40):
        candidate = number % 2 == 0
        evidence.observe(5_000, candidate, only(0 if candidate is first else KINDS - 1))
    assert evidence.capital > 1_000


def test_a_stake_is_never_more_than_there_is():
    for weight_bp in (1, 500, 9_999):
        evidence = ShiftEvidence(0.0)
        for number in range(400):
            evidence.observe(weight_bp, number % 2 == 0, only(number % 2))
        evidence.doubt(weight_bp, True)
        for candidate in (True, False):
            for kind in range(KINDS):
                evidence.observe(weight_bp, candidate, only(kind))
                assert all(share > 0.0 for share in evidence.pot.shares)


def test_what_is_lost_is_the_worst_for_the_evidence():
    chance = random.Random(5)
    for candidate in (True, False):
        evidence = taught(chance, 0.0, None)
        kept = json.dumps(evidence.snapshot())
        found = []
        for kind in range(KINDS):
            evidence.restore(json.loads(kept))
            evidence.observe(5_000, candidate, only(kind))
            found.append(evidence.capital)
        evidence.restore(json.loads(kept))
        evidence.doubt(5_000, candidate)
        assert evidence.capital <= min(found) + 1e-12


def test_without_a_coin_it_learns_and_bets_nothing():
    evidence = ShiftEvidence(0.0)
    for number in range(100):
        evidence.observe(10_000, True, only(number % KINDS))
        evidence.observe(0, False, only(0))
    assert (evidence.capital, evidence.means.candidates) == (1.0, 100)


def test_a_kind_that_nobody_knew_bets_nothing_the_first_time():
    evidence = ShiftEvidence(0.0)
    for number in range(2 * LEARN_MIN):
        evidence.observe(5_000, number % 2 == 0, [1.0])
    before = evidence.capital
    evidence.observe(5_000, True, [0.0, 1.0])
    assert evidence.capital <= before
    assert evidence.furthest == 1


def test_what_it_learned_can_be_forgotten_and_its_capital_stays():
    evidence = ShiftEvidence(0.0)
    for number in range(60):
        evidence.observe(5_000, number % 2 == 0, only(number % 2))
    won = evidence.capital
    evidence.forget()
    evidence.observe(5_000, True, only(3, 9))
    assert evidence.capital == won > 1.0


def test_a_margin_is_a_share():
    with pytest.raises(ValueError, match="margin"):
        ShiftEvidence(1.0)
