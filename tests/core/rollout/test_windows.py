"""Calendar arithmetic: against a clock that is read minute by minute."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.core.rollout.windows import LOOK_AHEAD_DAYS, Window, any_open, moment, next_open

OFFICE = "mon-fri 09:00-17:00 Europe/Berlin"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("window", "at", "is_open"),
    [
        (OFFICE, "2026-01-05T07:59:59", False),  # Monday, 08:59:59 in winter
        (OFFICE, "2026-01-05T08:00", True),
        (OFFICE, "2026-01-05T15:59:59", True),
        (OFFICE, "2026-01-05T16:00", False),
        (OFFICE, "2026-07-06T07:00", True),  # Monday in summer: an hour earlier in UTC
        (OFFICE, "2026-07-06T15:00", False),
        (OFFICE, "2026-01-04T10:00", False),  # Sunday
        ("fri 22:00-02:00 UTC", "2026-01-02T23:00", True),
        ("fri 22:00-02:00 UTC", "2026-01-03T01:59", True),  # Saturday, but Friday's
        ("fri 22:00-02:00 UTC", "2026-01-03T02:00", False),
        ("fri 22:00-02:00 UTC", "2026-01-02T01:00", False),  # Thursday's would be another
        ("sat,sun 00:00-24:00 UTC", "2026-01-04T23:59:59", True),
        ("sat,sun 00:00-24:00 UTC", "2026-01-05T00:00", False),
        ("sat-mon 10:00-11:00 UTC", "2026-01-05T10:30", True),  # a range over the week's end
        ("sat-mon 10:00-11:00 UTC", "2026-01-06T10:30", False),
        ("daily 00:00-00:01 Asia/Kolkata", "2026-01-01T18:30", True),  # a zone of half hours
        ("sun 02:00-03:00 Europe/Berlin", "2026-03-29T01:30", False),  # skipped: it is 03:30
        ("sun 02:00-03:00 Europe/Berlin", "2026-10-25T00:30", True),  # shown twice
        ("sun 02:00-03:00 Europe/Berlin", "2026-10-25T01:30", True),
    ],
)
def test_open_and_closed(window, at, is_open):
    assert Window.parse(window).is_open(utc(at)) is is_open


@pytest.mark.parametrize(
    ("window", "at", "expected"),
    [
        (OFFICE, "2026-01-05T09:30", "2026-01-05T09:30"),  # now
        (OFFICE, "2026-01-02T16:00", "2026-01-05T08:00"),  # Friday evening: Monday
        (OFFICE, "2026-03-27T17:00", "2026-03-30T07:00"),  # summer time begins in between
        ("sun 02:00-03:00 Europe/Berlin", "2026-03-28T12:00", "2026-04-05T00:00"),  # skipped once
        ("sun 02:30-04:00 Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:00"),  # jumped into
        ("sun 02:00-03:00 Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:00"),
        ("fri 22:00-02:00 UTC", "2026-01-03T02:00", "2026-01-09T22:00"),
    ],
)
def test_next_opening(window, at, expected):
    assert Window.parse(window).next_open(utc(at)) == utc(expected)


CLOCKS = st.integers(0, 1439).map(lambda m: f"{m // 60:02}:{m % 60:02}")
CHANGES = [utc("2026-03-28T00:00"), utc("2026-10-24T00:00"), utc("2026-04-04T00:00")]
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(
        st.sampled_from(["daily", "sun", "mon-fri", "sat-mon", "wed,sun"]),
        CLOCKS,
        CLOCKS,
        st.sampled_from(ZONES),
    ),
    st.sampled_from(CHANGES),
    st.integers(0, 3 * 1440),
)
def test_the_next_opening_is_the_first_open_minute(written, start, later):
    """Around the changes of summer time; Lord Howe's is half an hour."""
    days, opens, closes, zone = written
    if opens == closes:
        return
    window = Window.parse(f"{days} {opens}-{closes} {zone}")
    at = start + later * 60
    minutes = (at + 60 * n for n in range(LOOK_AHEAD_DAYS * 1440))
    assert window.next_open(at) == next(t for t in minutes if window.is_open(t))


def test_several_windows_are_open_while_one_is():
    windows = [Window.parse("mon 09:00-10:00 UTC"), Window.parse("tue 09:00-10:00 UTC")]
    monday, noon, tuesday = map(utc, ("2026-01-05T09:30", "2026-01-05T12:00", "2026-01-06T09:00"))
    assert any_open(windows, monday)
    assert not any_open(windows, noon)
    assert next_open(windows, noon) == tuesday
    assert any_open([], noon)
    assert next_open([], noon) == noon


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("09:00-17:00 UTC", "such as mon-fri"),
        ("mon-fri 09:00-17:00", "such as mon-fri"),
        ("mon-fri 9-17 UTC", "such as mon-fri"),
        ("mon-fri 09:00-25:00 UTC", "00:00 to 24:00"),
        ("mon-fri 09:60-17:00 UTC", "00:00 to 24:00"),
        ("mon-fri 09:00-09:00 UTC", "whole day is 00:00-24:00"),
        ("mon-fri 24:00-09:00 UTC", "open for a time"),
        ("mo-fr 09:00-17:00 UTC", "expected days"),
        ("mon-fri 09:00-17:00 Europe/Atlantis", "expected a time zone"),
        ("mon-fri 09:00-17:00 ../../etc/passwd", "expected a time zone"),
        (17, "such as mon-fri"),
    ],
)
def test_what_is_no_window_says_so(text, message):
    with pytest.raises(ValueError, match=message):
        Window.parse(text)


def test_a_moment_reads_like_the_window():
    assert moment(utc("2026-01-05T08:00"), "Europe/Berlin") == "Mon 2026-01-05 09:00 Europe/Berlin"
    assert moment(utc("2026-01-05T08:00")) == "Mon 2026-01-05 08:00 UTC"
