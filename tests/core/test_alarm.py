"""The alarm: how seldom it rings without a reason, how soon with one."""

import random

import pytest

from router.core.alarm import BAD_MAX, RINGS, FailureAlarm


def test_two_failures_in_a_row_ring_however_long_all_was_well():
    for good in (0, 100, 100_000):
        alarm = FailureAlarm(0.01)
        alarm.observe(0, good, 0, 0)
        alarm.observe(1, 0, 0, 0)
        assert not alarm.rings()
        alarm.observe(1, 0, 0, 0)
        assert alarm.rings()
        assert not alarm.rings(), "once"
        alarm.observe(0, 30, 0, 0)
        assert not alarm.rings()
        alarm.observe(2, 0, 0, 0)
        assert alarm.rings(), "and again when it had ended"


def test_one_failure_never_rings_whatever_stable_s_past():
    for p0 in (1e-4, 1e-3, 0.01, 0.3):
        alarm = FailureAlarm(p0)
        alarm.observe(1, 0, 0, 0)
        assert alarm.level < RINGS


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.1])
def test_it_rings_once_in_a_thousand_good_requests_at_most(rate):
    draw, alarm, rang = random.Random(4), FailureAlarm(rate), 0
    for _ in range(20_000):
        alarm.observe(int(draw.random() < rate), 1, 0, 0)
        rang += alarm.rings()
    assert rang <= 20


def test_an_outage_that_stable_shows_as_well_does_not_keep_it_ringing():
    alarm, shared = FailureAlarm(0.01), FailureAlarm(0.01)
    for _ in range(60):
        alarm.observe(3, 7, 0, 10)
        shared.observe(3, 7, 3, 10)
    assert alarm.level > 10 * RINGS
    assert shared.level < RINGS


def test_many_failures_of_one_report_are_one_step():
    few, many = FailureAlarm(0.01), FailureAlarm(0.01)
    for _ in range(BAD_MAX + 1):
        few.observe(1, 0, 0, 0)
    many.observe(BAD_MAX + 1, 0, 0, 0)
    assert many.level == pytest.approx(few.level)


def test_it_goes_on_after_a_restart_and_refuses_what_is_damaged():
    alarm = FailureAlarm(0.01)
    alarm.observe(2, 5, 1, 100)
    again = FailureAlarm(0.01)
    again.restore(alarm.snapshot())
    assert again.snapshot() == alarm.snapshot()
    with pytest.raises(ValueError, match="no more values"):
        again.restore([1.0, 0.0, 0.0, False])
