"""Durations and rates on the command line, without the policy types and their start-up time."""

from __future__ import annotations

import re

from router.cli.exits import Exit, VerbFailed

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|m|h|d))?")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_seconds(option: str, text: str) -> float | None:
    """``20m`` -> 1200.0; ``90`` -> 90.0 as in other tools of the field; empty -> None."""
    if not text:
        return None
    if text.isascii() and text.isdecimal():
        return float(text)
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise VerbFailed(Exit.USAGE, f"{option}: expected a duration such as 20m, got {text!r}")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def parse_rate(option: str, text: str) -> float:
    """``50/s`` or ``50`` -> 50.0; ``3/m`` -> 0.05: requests a second, above 0."""
    match = _RATE.fullmatch(text)
    if match is None or float(match[1]) == 0.0:
        raise VerbFailed(Exit.USAGE, f"{option}: expected a rate such as 50/s, got {text!r}")
    return float(match[1]) / _UNITS_S[match[2] or "s"]
