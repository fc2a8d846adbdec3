"""The bet on shares of rows: at most 1 in the mean under its statement, whatever is chosen."""

import json
import math
import random

import pytest

from router.core.evidence.shares import SIZES, Means, ShareEvidence


def mean_factor(margin, weight_bp, p_candidate, p_stable, mean, bettor):  # noqa: PLR0917 - a formula
    """Of one request whose share is a coin's: exactly, over the four outcomes."""
    w = weight_bp / 10_000
    total = 0.0
    for candidate, p in ((True, p_candidate), (False, p_stable)):
        for share in (0.0, 1.0):
            evidence = ShareEvidence(margin, sizes=(SIZES[bettor],))
            evidence.bet(weight_bp, candidate=candidate, share=share, mean=mean)
            factor = 2.0 * evidence.capital - 1.0  # half of it was cash
            chance = (w if candidate else 1 - w) * (p if share else 1 - p)
            total += chance * factor
    return total


@pytest.mark.parametrize("seed", range(40))
def test_it_is_at_most_one_within_the_margin(seed):
    chance = random.Random(seed)
    margin, p = chance.random() * 0.2, chance.random() * 0.8
    weight_bp, mean = chance.randrange(1, 10_000), chance.random()
    worse = min(p + margin, 1.0)
    for bettor in range(len(SIZES)):
        edge = mean_factor(margin, weight_bp, worse, p, mean, bettor)
        assert edge == pytest.approx(1.0, abs=1e-9) if worse == p + margin else edge <= 1.0
        assert mean_factor(margin, weight_bp, worse * 0.9, p, mean, bettor) <= 1.0 + 1e-12
        assert mean_factor(margin, weight_bp, min(worse + 0.1, 1), p, mean, bettor) > edge - 1e-12


def test_a_stake_is_never_more_than_there_is():
    for weight_bp in (1, 500, 9_999):
        for mean in (0.0, 0.5, 1.0):
            evidence = ShareEvidence(0.03)
            for candidate, share in ((True, 0.0), (False, 1.0), (True, 1.0), (False, 0.0)):
                evidence.bet(weight_bp, candidate=candidate, share=share, mean=mean)
                assert all(part > 0.0 for part in evidence.pot.shares)


def test_no_coin_no_bet():
    evidence = ShareEvidence(0.0)
    evidence.bet(10_000, candidate=True, share=1.0, mean=0.0)
    assert evidence.capital == 1.0


def test_one_cause_of_several_requests_divides_the_stake():
    one, four = ShareEvidence(0.0), ShareEvidence(0.0, size=4)
    for evidence in (one, four):
        evidence.bet(5_000, candidate=True, share=1.0, mean=0.0)
    gains = [math.log(e.capital) for e in (one, four)]
    assert gains[0] > 2 * gains[1] > 0


def test_it_survives_a_restart_and_says_what_it_is():
    evidence, again = ShareEvidence(0.01), ShareEvidence(0.01)
    evidence.bet(5_000, candidate=True, share=0.25, mean=0.1)
    again.restore(json.loads(json.dumps(evidence.snapshot())))
    assert again.capital == evidence.capital
    assert "margin 0.01" in repr(again)
    with pytest.raises(ValueError, match="margin"):
        ShareEvidence(1.0)


def test_means_are_of_requests_and_kinds_may_come_later():
    means = Means(1)
    assert means.of(0) == (0.0, 0.0)
    means.add(True, [0.5])
    means.add(True, [1.0])
    means.grow(2)
    means.add(False, [0.0, 0.25])
    assert (means.of(0), means.of(1)) == ((0.75, 0.0), (0.0, 0.25))
    again = Means(0)
    again.restore(json.loads(json.dumps(means.snapshot())))
    assert again.snapshot() == means.snapshot()
