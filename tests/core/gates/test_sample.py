"""The sample that a gate must have had: as large as convicts what fails `detect`, no larger."""

import math
import random

import pytest

from router.core.evidence import CompareEvidence, GuardEvidence, PairedEvidence
from router.core.gates import sample
from router.core.gates.sample import NEVER, Detect

LIMIT = 200.0
RUNS = 200


def ninetieth(run):
    """Outcomes after which nine of ten candidates are convicted."""
    return sorted(run(random.Random(seed)) for seed in range(RUNS))[RUNS * 9 // 10]


@pytest.mark.simulated
@pytest.mark.parametrize("p0", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("weight_bp", [1_000, 5_000])
def test_a_comparison_convicts_with_it_in_nine_of_ten_cases(p0, weight_bp):
    detect = Detect()
    p, w = detect.rate(p0), weight_bp / 10_000
    wanted = sample.compared(weight_bp, p0, 0.1, 0.001, detect, limit=LIMIT, min_bad=2)

    def convicted(draw):
        evidence, answers = CompareEvidence(p0), 0
        while evidence.capital < LIMIT and answers < 5 * wanted:
            candidate = draw.random() < w
            answers += candidate
            bad = draw.random() < (p if candidate else p0)
            evidence.observe(
                weight_bp, candidate and bad, bad and not candidate, candidate and not bad,
                not candidate and not bad,
            )  # fmt: skip
        return answers

    assert 0.8 <= wanted / ninetieth(convicted) <= 1.3


@pytest.mark.simulated
@pytest.mark.parametrize("limit_rate", [0.01, 0.05, 0.2])
def test_a_guard_convicts_with_it_in_nine_of_ten_cases(limit_rate):
    detect = Detect()
    p = detect.rate(limit_rate)
    wanted = sample.absolute(limit_rate, detect, limit=LIMIT, min_bad=2)

    def convicted(draw):
        evidence = GuardEvidence(limit_rate)
        while evidence.capital < LIMIT:
            bad = draw.random() < p
            evidence.observe(int(bad), int(not bad))
        return evidence.bad + evidence.ok

    assert 0.8 <= wanted / ninetieth(convicted) <= 1.3


@pytest.mark.simulated
def test_pairs_convict_with_it_in_nine_of_ten_cases():
    detect = Detect()
    p = detect.rate(0.03)
    wanted = sample.paired(0.03, detect, limit=LIMIT, min_bad=2)

    def convicted(draw):
        evidence = PairedEvidence(0.03)
        while evidence.capital < LIMIT:
            worse = draw.random() < p
            evidence.observe(int(worse), 0, int(not worse))
        return evidence.worse + evidence.same

    assert 0.8 <= wanted / ninetieth(convicted) <= 1.4


@pytest.mark.parametrize("weight_bp", [0, 10_000])
def test_without_a_coin_a_comparison_never_has_enough(weight_bp):
    found = sample.compared(weight_bp, 0.01, 0.1, 0.001, Detect(), limit=LIMIT, min_bad=2)
    assert found == NEVER


@pytest.mark.parametrize(
    ("granted", "tolerated", "rate"),
    [
        (0.01, None, 0.06),
        (0.05, None, 0.25),
        (0.01, 0.012, 0.06),
        (0.01, 0.2, 0.9),  # more is tolerated than would be sought: the excess over that
        (0.5, None, 0.9),
        (0.95, None, 0.96),
    ],
)
def test_what_is_sought(granted, tolerated, rate):
    assert Detect().rate(granted, tolerated) == pytest.approx(rate)


def test_a_walk_that_falls_never_arrives():
    assert math.isinf(sample.walk(-0.1, 1.0, 5.0))
