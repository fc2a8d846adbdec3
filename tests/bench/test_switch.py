"""The switch of the benchmark, once, at a rate that any machine has."""

import pytest

from tests.bench.switch import Order, judged, measure

pytestmark = pytest.mark.services


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_switch_and_its_undo_lose_nothing_and_nothing_new_is_old():
    found = await measure(1, rate=150.0, latency_ms=100.0)
    print(found)
    assert found["failed"] == found["of_these_on_the_old_version"] == found["of_these_lost"] == 0
    assert found["planned_after_an_order"] > 100
    assert found["in_flight_on_the_old_version"] > 5, "otherwise nothing was put to the test"


class Sent:
    sent, bad = 4, 1


def test_it_would_see_a_late_switch_and_a_lost_request():
    orders = [Order("switch", 10.0, 10.1, "green"), Order("rollback", 20.0, 20.1, "blue")]
    ended = [
        (10.2, 10.3, "blue", True),  # planned after, answered by the old version
        (9.9, 10.2, "blue", False),  # in flight, and lost
        (20.2, 20.3, "blue", True),
        (10.05, 10.2, "blue", True),  # planned while the order was under way: either is right
    ]
    found = judged(orders, ended, Sent)
    assert (found["of_these_on_the_old_version"], found["of_these_lost"]) == (1, 1)
    assert (found["planned_after_an_order"], found["in_flight_on_the_old_version"]) == (2, 1)
