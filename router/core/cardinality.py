"""How many different things there were, in a kilobyte: HyperLogLog.

Flajolet, Fusy, Gandouet, Meunier 2007, with the linear counting of small numbers: 1,024 registers,
standard error 1.04 / sqrt(1,024) = 3.3 %. Two of them are merged by the larger register, so workers
count for themselves.
"""

from __future__ import annotations

from math import log
from typing import Final

REGISTERS: Final = 1_024
_BITS: Final = 10
_ALPHA: Final = 0.7213 / (1 + 1.079 / REGISTERS)
_WEIGHTS: Final = tuple(2.0**-rank for rank in range(65))


def add(registers: bytearray, number: int) -> None:
    """One more thing by its 64-bit hash; whether it was there before, nobody knows."""
    rest = number >> _BITS
    rank = 64 - _BITS - rest.bit_length() + 1
    place = number & (REGISTERS - 1)
    registers[place] = max(registers[place], rank)


def merged(one: bytes, other: bytes) -> bytes:
    """What both have seen together."""
    return bytes(map(max, one, other))


def estimated(registers: bytes) -> float:
    """How many different things were added."""
    raw = _ALPHA * REGISTERS * REGISTERS / sum(_WEIGHTS[rank] for rank in registers)
    empty = registers.count(0)
    if raw <= 2.5 * REGISTERS and empty:
        return REGISTERS * log(REGISTERS / empty)
    return raw
