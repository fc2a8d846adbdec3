"""The reader: what YAML text means, and where its parts stand."""

import math

import pytest

from router.config.problems import Mark
from router.config.source import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("5m", "5m"),
        ("5%", "5%"),
        ("0x10", "0x10"),
        ("010", 10),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("'1.10'", "1.10"),
        ('"true"', "true"),
    ],
)
def test_scalars(text, value):
    found = parse(f"a: {text}\n").value["a"]

    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_one():
    assert math.isnan(parse("a: .nan").value["a"])


def test_keys_are_text_as_written():
    assert parse("1.10: 1\non: 2\ntrue: 3\n~: 4").value == {"1.10": 1, "on": 2, "true": 3, "~": 4}


def test_every_key_and_value_has_its_place():
    document = parse("a:\n  b: [1, {c: 2}]\n")

    assert document.keys[("a", "b")] == Mark(2, 3)
    assert document.values[("a", "b", 1, "c")] == Mark(2, 14)
    assert document.plain[("a", "b", 0)] == "1"


def test_places_count_characters_not_bytes():
    assert parse('a: {"größe": 1, b: 2}').keys[("a", "b")] == Mark(1, 17)


def test_an_alias_repeats_the_value_and_points_at_itself():
    document = parse("a: &x {k: 1}\nb: *x\n")

    assert document.value["b"] == {"k": 1}
    assert document.mark(("b", "k")) == Mark(2, 4)


def test_a_byte_order_mark_is_no_content():
    assert parse(b"\xef\xbb\xbfa: 1").value == {"a": 1}


def test_block_text_stays_text():
    assert parse("a: |\n  1.10\n").value == {"a": "1.10\n"}
