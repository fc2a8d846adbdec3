"""A candidate that turns bad, through the real router: one run of the benchmark's twenty."""

import pytest

from tests.bench.rollback import Live, measure

pytestmark = pytest.mark.services

IN_FLIGHT = 2
"""Requests that may be under way to the candidate when the verdict falls: ten a second go to it."""


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_failing_candidate_gives_four_bad_answers_and_clients_see_none():
    (run,) = await measure(1, Live(errors=1.0, good_s=1.0))
    assert 2 <= run["bad"] <= 6 + IN_FLIGHT
    assert run["client_failures"] == 0
    assert "limit 100 : 1" in run["reason"]
    assert "candidate" in run["why"]
    assert run["reason"] in run["why"]
