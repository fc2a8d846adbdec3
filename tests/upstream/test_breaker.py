"""R23: the breaker's states, exactly."""

from router.upstream.breaker import FAILURES, OPEN_MAX_S, OPEN_S, Breaker, State


def opened(now=0.0):
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(now)
    return breaker


def test_r23_consecutive_failures_open_it():
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
        assert breaker.allows(0.0)
    breaker.connected()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
    assert breaker.state is State.CLOSED
    breaker.failed(0.0)
    assert breaker.state is State.OPEN
    assert not breaker.allows(OPEN_S - 0.001)


def test_r23_half_open_lets_one_through():
    breaker = opened()
    assert breaker.allows(OPEN_S)
    assert breaker.state is State.HALF_OPEN
    assert not breaker.allows(OPEN_S)
    breaker.connected()
    assert breaker.state is State.CLOSED
    assert breaker.allows(OPEN_S)


def test_r23_a_failed_trial_doubles_the_time_up_to_a_bound():
    breaker, now, expected = opened(), 0.0, OPEN_S
    for _ in range(8):
        now += expected
        assert not breaker.allows(now - 0.001)
        assert breaker.allows(now)
        breaker.failed(now)
        assert breaker.state is State.OPEN
        expected = min(2 * expected, OPEN_MAX_S)


def test_r23_a_trial_that_never_reports_is_followed_by_another():
    breaker = opened()
    assert breaker.allows(OPEN_S)
    assert not breaker.allows(OPEN_S * 1.5)
    assert breaker.allows(OPEN_S * 2)


def test_failures_of_attempts_begun_before_change_nothing():
    breaker = opened()
    breaker.failed(OPEN_S / 2)
    assert breaker.allows(OPEN_S)
