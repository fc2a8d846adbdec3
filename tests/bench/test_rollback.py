"""A candidate that turns bad, through the real router: one run of the benchmark's twenty."""

import re

import pytest

from tests.bench.rollback import Live, measure
from tests.reliability.whole import strict

pytestmark = pytest.mark.services

IN_FLIGHT = 2
"""Requests that may be under way to the candidate when the verdict falls: ten a second go to it."""
BUSY = 10
"""As many again as it gets in a second, where processes wait for their turn."""


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_failing_candidate_gives_four_bad_answers_and_clients_see_none():
    (run,) = await measure(1, Live(errors=1.0, good_s=1.0))
    counted = int(re.search(r"candidate ([0-9]+) of", run["reason"])[1])
    assert 2 <= counted <= 6
    # One may be of before it turned bad, when it failed one time in a hundred.
    assert 2 <= run["bad"] <= counted + IN_FLIGHT + (0 if strict() else BUSY)
    assert run["client_failures"] == 0
    assert "limit 100 : 1" in run["reason"]
    assert "candidate" in run["why"]
    assert run["reason"] in run["why"]
