"""False rollbacks of equal candidates, and that the measurement could find some."""

import numpy as np
import pytest

from router.simulation.scenario import DAY_S, Bursts, Scenario
from tests.bench.decisions.level import GATES, false_rollbacks


@pytest.mark.simulated
@pytest.mark.parametrize("bursts", [None, Bursts()], ids=["steady", "outages"])
def test_hours_of_equal_versions(bursts):
    """200 quarters of a day; the tables have 2,000 days a row. The noise of 1 % is allowed."""
    scenario = Scenario(stable_rate=0.005, candidate_rate=0.005, requests_per_s=2.0, bursts=bursts,
                        duration_s=DAY_S / 4)  # fmt: skip
    found = false_rollbacks(scenario, runs=200, seed=5)
    assert set(found.shares) == set(GATES)
    assert all(share <= 0.03 for share in found.shares.values()), found.shares


@pytest.mark.simulated
def test_a_lower_bar_is_reached_about_as_often_as_it_may_be():
    """At 10 % instead of 1 % something must show: otherwise nothing is being measured."""
    scenario = Scenario(requests_per_s=2.0, duration_s=8_000.0)
    found = false_rollbacks(scenario, runs=600, seed=6, alpha=0.3, max_duration_s=8_000.0)
    assert 0.01 < found.shares["error_rate"] <= 0.33
    assert np.isfinite(list(found.shares.values())).all()
