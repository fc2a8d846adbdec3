"""The rules that keep the proof true. Each test also breaks its rule and shows that it matters.

1. a real coin for every request    2. the weight of the moment of routing
3. forced arms are no evidence      4. no weight from in-flight counts
5. on sticky routes the user is the unit

All runs are of two equal versions, so every alarm is a false one.
"""

import math
import random

import numpy as np
import pytest

from router.core.evidence import CompareEvidence
from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell

ALARM = 100.0
BAD = 0.02


def reached(evidence, events):
    """Whether the evidence ever reached 100 : 1 over (weight_bp, candidate, bad) events."""
    waiting = {}
    for weight_bp, candidate, bad in events:
        ok = waiting.setdefault(weight_bp, [0, 0])
        if not bad:
            ok[candidate] += 1
            continue
        for w, (stable_ok, candidate_ok) in waiting.items():
            evidence.observe(w, 0, 0, candidate_ok, stable_ok)
        waiting.clear()
        evidence.observe(weight_bp, int(candidate), int(not candidate), 0, 0)
        if evidence.capital >= ALARM:
            return True
    return False


def compare():
    return CompareEvidence(BAD, relative=0.0, absolute=0.0)


NIGHTLY = pytest.param(10, marks=pytest.mark.nightly)
"""So many times the runs of a day's tests."""
TIMES = pytest.mark.parametrize("times", [1, NIGHTLY])


def most(runs):
    """Alarms that have a chance of less than 1 in 500, where one run in a hundred may have one."""
    expected = runs / 100
    return math.ceil(expected + 3 * math.sqrt(expected))


def alarms(make_events, runs):
    return sum(reached(compare(), make_events(random.Random(seed))) for seed in range(runs))


@TIMES
def test_1_a_real_coin(times):
    """Every twentieth request is no coin: where clients repeat a pattern, it meets the same."""

    def events(draw, coin):
        for i in range(4_000):
            bad = (
                i % 100 == 19 or draw.random() < 0.005
            )  # a client whose 100-step loop has a bad one
            yield 500, draw.random() < 0.05 if coin else i % 20 == 19, bad

    assert alarms(lambda draw: events(draw, True), 40 * times) <= most(40 * times)
    assert alarms(lambda draw: events(draw, False), 10) == 10


@pytest.mark.simulated
@TIMES
def test_2_the_weight_of_the_moment_of_routing(times):
    """The weight falls from 50 % to 1 %; failures are slow, so many come back afterwards."""

    def events(draw, routed):
        finished = []
        for i in range(6_000):
            weight_bp = 5_000 if i < 3_000 else 100
            candidate, bad = draw.random() < weight_bp / 10_000, draw.random() < BAD
            done = i + (1_500 if bad and draw.random() < 0.5 else 1)
            now_bp = 5_000 if done < 3_000 else 100
            finished.append((done, i, weight_bp if routed else now_bp, candidate, bad))
        for _, _, weight_bp, candidate, bad in sorted(finished):
            yield weight_bp, candidate, bad

    assert alarms(lambda draw: events(draw, True), 40 * times) <= most(40 * times)
    assert alarms(lambda draw: events(draw, False), 40) >= 4


@TIMES
def test_3_forced_arms_are_no_evidence(times):
    """A monitor pins the candidate and asks nonsense: counted as draws, its failures convict."""

    def events(draw, counted):
        for _ in range(4_000):
            yield 500, draw.random() < 0.05, draw.random() < BAD
            if counted and draw.random() < 0.01:
                yield 500, True, True

    assert alarms(lambda draw: events(draw, False), 40 * times) <= most(40 * times)
    assert alarms(lambda draw: events(draw, True), 10) == 10
    for weight_bp in (0, 10_000):
        evidence = compare()
        evidence.observe(weight_bp, 50, 0, 0, 0)
        assert evidence.capital == pytest.approx(1.0)
        assert evidence.candidate_bad == 0


@pytest.mark.parametrize("in_flight", [(0, 0), (3, 0), (0, 60)])
def test_4_no_weight_from_in_flight_counts(in_flight):
    """The ramp's weight depends on completed outcomes only, whatever either arm has under way.

    A weight that followed the candidate's requests in flight would tell the arm of a slow request
    before its outcome is counted.
    """
    candidate, stable = in_flight
    judge = Judge([GATES["error_rate"]()], JudgeSettings(), Baseline(requests_per_s=1_000.0), 0.0)
    weights = []
    for second in range(5):
        done = ArmCounts(ok=40, arrived=40 + candidate), ArmCounts(ok=960, arrived=960 + stable)
        judge.observe(Batch("r", 1, (Cell(400, *done),)), float(second))
        judge.tick(float(second), ramping=True)
        weights.append(judge.auto_weight_bp)
    assert weights == [1_000, 2_000, 3_000, 5_000, 5_000]


def users(seed, count=3_000, share_bad=0.01, storm=50):
    """(time, user, candidate, bad) of sticky users, a few of whom only ever fail."""
    draw = np.random.default_rng(seed)
    fails = draw.random(count) < share_bad
    requests = np.where(fails, draw.geometric(1 / storm, count), draw.poisson(5, count) + 1)
    user = np.repeat(np.arange(count), requests)
    arm = (draw.random(count) < 0.05)[user]
    bad = fails[user] | (draw.random(len(user)) < 0.002)
    order = np.argsort(draw.random(count)[user] * 3_600 + draw.random(len(user)) * 60)
    return [(int(user[i]), bool(arm[i]), bool(bad[i])) for i in order]


def sticky_reached(events):
    evidence, met = CompareEvidence(BAD, relative=0.0, absolute=0.0), set()
    for user, candidate, bad in events:
        if user not in met:
            met.add(user)
            arms = (1, 0) if candidate else (0, 1)
            evidence.observe(500, *((*arms, 0, 0) if bad else (0, 0, *arms)))
            if evidence.capital >= ALARM:
                return True
    return False


@pytest.mark.simulated
@TIMES
def test_5_on_sticky_routes_the_user_is_the_unit(times):
    right = sum(sticky_reached(users(seed)) for seed in range(20 * times))
    wrong = sum(
        reached(compare(), ((500, candidate, bad) for _, candidate, bad in users(seed)))
        for seed in range(8)
    )
    assert right <= most(20 * times)
    assert wrong >= 4


@pytest.mark.simulated
@TIMES
def test_bursts_that_both_arms_share_cancel(times):
    """An outage of both versions to 50 % errors is not the candidate's fault."""

    def events(draw):
        for i in range(8_000):
            yield 500, draw.random() < 0.05, draw.random() < (0.5 if 2_000 < i < 4_000 else 0.005)

    assert alarms(events, 25 * times) <= most(25 * times)


@TIMES
def test_weights_chosen_from_past_evidence_keep_the_bound(times):
    """A ramp that chases the evidence, the worst way it can, stays below the promised chance."""
    hits = 0
    for seed in range(60 * times):
        draw, evidence = random.Random(seed), compare()
        for _ in range(60):
            e = evidence.capital
            w = 0.01 if e > 5 else 0.05 if e > 1 else 0.25 if e > 0.5 else 0.5
            for _ in range(100):
                candidate, bad = draw.random() < w, draw.random() < BAD
                counts = [0, 0, 0, 0]
                counts[(0 if candidate else 1) if bad else (2 if candidate else 3)] = 1
                if bad:
                    evidence.observe(round(w * 10_000), *counts)
                    if evidence.capital >= ALARM:
                        hits += 1
                        break
            else:
                continue
            break
    assert hits <= most(60 * times)
    assert math.isfinite(evidence.capital)
