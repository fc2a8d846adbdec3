"""Gate fairness: yes to one group, no to another."""

import json
import random

import pytest

from router.core.gates.fairness import GROUPS_MAX, Fairness
from router.core.gates.verdict import Verdict
from router.core.wire.sampled import PredictedRow as Row
from tests.core.gates.outputs import begun, feed, sample

BY = {"by": {"feature": "carrier"}}


def play(shares, requests, *, seed=1, rows=1, **gate):
    """Requests of groups with these shares of yes, in both versions; how many until it fails."""
    state, chance = begun(Fairness.model_validate(BY | gate)), random.Random(seed)
    for number in range(requests):
        group = chance.randrange(len(shares))
        made = [
            Row(str(int(yes)), float(yes), "", (f"g{group}",))
            for yes in (chance.random() < shares[group] for _ in range(rows))
        ]
        feed(state, sample(chance.random() < 0.5, *made))
        if state.capital >= state.context.limit:
            return state, number + 1
    return state, requests


def test_groups_that_lie_apart_fail_and_are_named():
    state, took = play((0.2, 0.7), 3_000)
    assert took < 2_000
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("says yes by carrier: g1 ")
    assert "tolerated: 20 pp between groups" in state.sentence()
    assert "where carrier is g1 and to" in state.plain()


@pytest.mark.parametrize("rows", [1, 16])
def test_groups_within_the_gap_pass(rows):
    hits = [play((0.3, 0.4, 0.35), 150, seed=seed, rows=rows)[1] < 150 for seed in range(4)]
    assert not any(hits)


def test_at_the_gap_hardly_anybody_is_accused():
    assert play((0.3, 0.5), 600)[1] == 600


def test_a_label_may_be_the_yes():
    state, _ = play((0.2, 0.7), 50, label="0")
    assert state.groups[0].share() != state.groups[1].share()
    assert state.candidate.bad + sum(g.yes[1] for g in state.groups) > 0


def test_before_two_groups_are_met_and_beyond_the_bound():
    state = begun(Fairness.model_validate(BY))
    assert (state.capital, state.sentence()) == (1.0, "0 of two groups met so far")
    assert state.plain() == "only one group was met so far"
    for number in range(GROUPS_MAX + 5):
        feed(state, sample(True, Row("1", 0.9, "", (f"g{number}",))))
    feed(state, sample(True, Row("1", 0.9)), sample(True, why="lost"))
    assert len(state.groups) == GROUPS_MAX


def test_a_snapshot_is_exact():
    state, _ = play((0.2, 0.7), 60)
    again = begun(Fairness.model_validate(BY))
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert (again.snapshot(), again.capital) == (state.snapshot(), state.capital)
    assert again.sentence() == state.sentence()
