import statistics

import pytest
from pydantic import ValidationError

from prediction_services.faults import KINDS, LATENCY_MAX_S, FaultDice, Faults


def kinds(count=2_000, **faults):
    dice = FaultDice(Faults(**faults), 0.0)
    return [dice.roll(0.0).kind for _ in range(count)]


def test_the_same_seed_rolls_the_same_faults_and_another_does_not():
    assert kinds(seed=5, error_rate=0.3) == kinds(seed=5, error_rate=0.3)
    assert kinds(seed=5, error_rate=0.3) != kinds(seed=6, error_rate=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_kept_and_counted(kind):
    dice = FaultDice(Faults(**{f"{kind}_rate": 0.1}, seed=1), 0.0)
    rolled = [dice.roll(0.0).kind for _ in range(5_000)]

    assert set(rolled) == {kind, None}
    assert 420 <= rolled.count(kind) <= 580  # 500 ± 3.8 standard deviations
    assert dice.injected["requests"] == 5_000
    assert dice.injected[kind] == rolled.count(kind)


def test_another_kind_of_fault_moves_none_of_the_first():
    errors = [kind == "error" for kind in kinds(error_rate=0.2)]
    with_nan = [kind == "error" for kind in kinds(error_rate=0.2, nan_rate=0.5)]

    assert errors == with_nan


def test_precedence_follows_the_table():
    everything = {f"{kind}_rate": 1.0 for kind in KINDS}

    for place, kind in enumerate(KINDS):
        left = {f"{k}_rate": 1.0 for k in KINDS[place:]}
        assert kinds(3, **left) == [kind] * 3
    assert kinds(1, **everything) == ["reset"]


def test_latency_is_constant_plus_growing_plus_tail():
    assert FaultDice(Faults(latency_ms=20), 0.0).roll(9.0).latency_s == pytest.approx(0.020)
    growing = FaultDice(Faults(growth_ms_per_s=10), 100.0)
    assert growing.roll(105.0).latency_s == pytest.approx(0.050)
    assert growing.roll(1e9).latency_s == LATENCY_MAX_S
    tail = FaultDice(Faults(tail_ms=10, tail_sigma=1.0), 0.0)
    seconds = sorted(tail.roll(0.0).latency_s for _ in range(4_000))
    assert statistics.median(seconds) == pytest.approx(0.010, rel=0.1)
    assert seconds[3_960] == pytest.approx(0.102, rel=0.3)  # 10 ms · exp(2.326)


def test_scores_are_shifted_within_their_range():
    dice = FaultDice(Faults(score_shift=0.3), 0.0)

    assert [dice.shifted(s) for s in (0.0, 0.5, 0.9)] == pytest.approx([0.3, 0.8, 1.0])
    assert FaultDice(Faults(score_shift=-0.3), 0.0).shifted(0.1) == 0.0


def test_the_request_after_n_dies():
    dice = FaultDice(Faults(die_after=2), 0.0)

    assert [dice.roll(0.0).dies for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    "wrong",
    [{"error_rate": 1.1}, {"error_rat": 0.1}, {"latency_ms": -1}, {"error_status": 200}],
)
def test_impossible_faults_are_refused(wrong):
    with pytest.raises(ValidationError):
        Faults(**wrong)
