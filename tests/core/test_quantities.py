"""Durations, shares and sizes: reading, writing, refusing."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.core import quantities
from router.core.quantities import (
    DURATION_S_MAX,
    SIZE_BYTES_MAX,
    format_duration,
    format_share,
    format_size,
    parse_duration,
    parse_share,
    parse_size,
)


@given(st.integers(0, int(DURATION_S_MAX * 1000)))
@settings(max_examples=50)
def test_durations_come_back(milliseconds):
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.integers(0, 10_000))
@settings(max_examples=50)
def test_shares_come_back(basis_points):
    assert parse_share(format_share(basis_points)) == basis_points


@given(st.integers(0, SIZE_BYTES_MAX))
@settings(max_examples=50)
def test_sizes_come_back(size):
    assert parse_size(format_size(size)) == size


@given(st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.none(), st.booleans()))
def test_anything_else_raises_nothing_but_a_value_error(value):
    for parse in (parse_duration, parse_share, parse_size):
        with contextlib.suppress(ValueError):
            assert parse(value) >= 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("2s", 2),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("7d", 604_800),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["5", 5, 5.0, "5 m", "-5m", "5M", "m", "", None, True, "1.m", "0.5ms"]
)
def test_no_durations(text):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "bp"),
    [("5%", 500), ("0.05%", 5), ("100%", 10_000), ("0%", 0), ("1.10%", 110), ("5 %", 500)],
)
def test_shares(text, bp):
    assert parse_share(text) == bp


@pytest.mark.parametrize(
    "text", [5, 0.05, "5", "-1%", "100.01%", "0.001%", "1e1%", "%", None, True]
)
def test_no_shares(text):
    with pytest.raises(ValueError, match="expected a share"):
        parse_share(text)


@pytest.mark.parametrize(
    ("text", "size"), [("512B", 512), ("64KiB", 65_536), ("20MB", 20_000_000), ("1.5KiB", 1536)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", [64, "64", "64kb", "64K", "-1B", "0.5B", "2000GiB", None])
def test_no_sizes(text):
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(90, "90s"), (300, "5m"), (0.25, "250ms"), (0, "0s"), (86_400, "1d")]
)
def test_durations_are_written_shortly(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize("text", ["10/s", "100/m", "1000/h", "0.5/s", "0.001/h", "7.125/m"])
def test_rates_come_back_as_they_were(text):
    assert quantities.parse_rate(quantities.format_rate(quantities.parse_rate(text))) == (
        quantities.parse_rate(text)
    )


@pytest.mark.parametrize("text", ["10", 10, "1/d", "-1/s", "0/s", "1.2345/s", "", None, "1 /s"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="expected a rate"):
        quantities.parse_rate(text)
