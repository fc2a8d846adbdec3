"""How many different things there were, within what a kilobyte can know."""

from __future__ import annotations

import random

import pytest

from router.core.cardinality import REGISTERS, add, estimated, merged


def counted(numbers):
    registers = bytearray(REGISTERS)
    for number in numbers:
        add(registers, number)
    return registers


@pytest.mark.parametrize("size", [0, 1, 10, 500, 2_000, 2_800, 20_000, 100_000])
def test_different_things_are_counted_within_a_tenth(size):
    """Three standard errors of 3.3 %; repetitions change nothing."""
    rng = random.Random(size)
    numbers = [rng.getrandbits(64) for _ in range(size)]
    registers = counted(numbers * 2)
    assert abs(estimated(registers) - size) <= 0.1 * size


def test_what_two_have_seen_is_counted_once():
    rng = random.Random(1)
    numbers = [rng.getrandbits(64) for _ in range(9_000)]
    one, other = counted(numbers[:6_000]), counted(numbers[3_000:])
    assert merged(one, other) == bytes(counted(numbers))


def test_every_hash_has_a_place():
    for number in (0, 1, 2**64 - 1, 1 << 63):
        registers = counted([number])
        assert 1 <= max(registers) <= 55
        assert estimated(registers) >= 0
