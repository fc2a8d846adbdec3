"""What somebody outside said about one pair of answers: what the gate ``judge`` is fed."""

from __future__ import annotations

from typing import NamedTuple


class JudgedPair(NamedTuple):
    """One pair that a coin chose for a judge, in the order of drawing."""

    gate: str
    """Title of the gate whose judge it is."""
    worse: float | None
    """By how much the candidate's answer is worse than stable's, -1..1; None: no verdict came,
    which says nothing about either."""
    first: int = 0
    """1 where the answer that stood first was called better, -1 where the second was, 0: neither.
    Which version's stood first was drawn by a fair coin."""
    asked: bool = True
    """False: both answers say the same, so nobody had to be asked."""
