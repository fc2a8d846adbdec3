"""What both versions said to one request, kept until the truth about it arrives.

A mirrored request has two answers but one receipt, which the client sends back with the truth. The
truth then judges both answers at once: far fewer labels are needed than where each one judges one
version, because only requests to which exactly one version was right say anything.

Only answers that say one thing are kept: one deciding output with one value. A request with ten
predictions has ten truths, and a receipt names none of them.
"""

from __future__ import annotations

from typing import Final

from router.core.pairs.comparison import Comparison
from router.core.payloads.answer import Leaf
from router.core.wire.outcomes import LabelledPairs

EARLY_MAX: Final = 10_000
"""Truths of one attempt that came before their pair was compared, or will never have one."""
KEPT_MAX: Final = 50_000
"""Pairs of one attempt that wait for their truth (about 12 MB); the oldest ones are dropped."""
CHARS_MAX: Final = 100
"""A longer text is no label."""

TrueLabel = bool | float | str
"""What was right: yes or no (by ``positive_above``), a number, or a text such as a class."""


class KeptPairs:
    """Pairs by the nonce of their receipt, each with what stable and what the candidate said."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[Leaf, Leaf]] = {}
        self._early: dict[int, TrueLabel] = {}

    def __len__(self) -> int:
        return len(self._said)

    def __repr__(self) -> str:
        return f"<KeptPairs {len(self)} wait for their truth>"

    def add(self, nonce: int, found: Comparison) -> None:
        """Keep one pair; ``nonce`` 0: it has no receipt."""
        stable, candidate = found.stable_says, found.candidate_says
        if not nonce or not (_short(stable) and _short(candidate)):
            return
        self._said[nonce] = (stable, candidate)
        if len(self._said) > KEPT_MAX:
            del self._said[next(iter(self._said))]

    def take(self, nonce: int) -> tuple[Leaf, Leaf] | None:
        """What stable and the candidate said, once; None where no such pair is kept."""
        return self._said.pop(nonce, None)

    def wait(self, nonce: int, truth: TrueLabel) -> None:
        """A truth is faster than the comparing of its pair; of too many the oldest are dropped."""
        if nonce and _short(truth):
            self._early[nonce] = truth
            if len(self._early) > EARLY_MAX:
                del self._early[next(iter(self._early))]

    def early(self, nonce: int) -> TrueLabel | None:
        """The truth that came before its pair, once that is kept."""
        return self._early.pop(nonce, None) if nonce in self._said else None


def counted(stable_right: bool, candidate_right: bool) -> LabelledPairs:
    """One pair as evidence."""
    if stable_right == candidate_right:
        return LabelledPairs(same=1)
    return LabelledPairs(better=1) if candidate_right else LabelledPairs(worse=1)


def _short(value: Leaf) -> bool:
    return value is not None and (not isinstance(value, str) or len(value) <= CHARS_MAX)
