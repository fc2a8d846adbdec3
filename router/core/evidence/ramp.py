"""The evidence-driven ramp ("slow start"): weight from what is *known*, not from the calendar.

The number of bad responses before a rollback hardly depends on weight or traffic, so slow ramps buy
little. What must be limited is what is in flight before its outcome can be known: ``rate * w *
t_obs`` requests, of which a share of at most ``U`` will be bad. Hence

    w = B / (rate * t_obs * U)    within [min, max], rounded down to a menu

with B the budget of bad responses and U an anytime upper bound of the candidate's bad rate, which
starts at 1 and falls like 3/n. All of it comes from *completed* outcomes: a weight computed from
in-flight counts would leak the arm and break the proof.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from router.core.words import FULL_BP

MENU_BP = (100, 200, 500, 1000, 2000, 3000, 5000)
"""Weights the ramp may choose, basis points."""

_BISECTIONS = 40


def upper_bound(bad: int, requests: int, level: float = 0.05) -> float:
    """Largest bad rate compatible with ``bad`` of ``requests``, at every moment at once, 0..1.

    Mixture of Bernoulli likelihoods under Beta(1/2, 1/2), inverted by bisection: the true rate
    exceeds it, *ever*, with chance at most ``level``. Worked example: 0 of 100 → 5.7 %.
    """
    if requests <= 0:
        return 1.0
    ok = requests - bad
    mixture = (
        math.lgamma(bad + 0.5) + math.lgamma(ok + 0.5) - math.lgamma(requests + 1.0)
        - 2.0 * math.lgamma(0.5)
    )  # fmt: skip
    low, high = (bad + 0.5) / (requests + 1.0), 1.0 - 1e-12
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        likelihood = bad * math.log(middle) + ok * math.log1p(-middle)
        if mixture - likelihood < -math.log(level):
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class Ramp:
    """How an ``auto`` step grows."""

    budget: int = 20
    """Bad candidate responses that may be in flight before their outcome is known."""
    observe_s: float = 1.0
    """Age at which a hanging request counts as bad: the smaller of time-out and slow threshold."""
    min_bp: int = 100
    max_bp: int = 5000
    start_bp: int = 2000
    """Cap until :attr:`start_samples` outcomes are known: low traffic would open at the maximum."""
    start_samples: int = 5

    def weight_bp(
        self, *, bad: int, requests: int, requests_per_s: float, present_bp: int, held: bool,
        proven: bool = False,
    ) -> int:  # fmt: skip
        """The weight for the coming second, basis points, within min and max.

        ``bad`` of ``requests`` are the candidate's completed outcomes; ``requests_per_s`` is the
        route's whole traffic. ``held`` (suspicion) never lets the weight grow. A candidate
        ``proven`` not worse fails as often as stable would, so the budget limits it no longer:
        a busy route whose normal failures exceed the budget would stand still for ever.
        """
        if proven and not held:
            return self.max_bp
        cap = self.max_bp if requests >= self.start_samples else min(self.max_bp, self.start_bp)
        in_flight = requests_per_s * self.observe_s * upper_bound(bad, requests)
        unlimited = not math.isfinite(in_flight) or in_flight <= 0.0
        wanted = 0.0 if unlimited else self.budget / in_flight * FULL_BP
        if held:
            wanted = min(wanted, present_bp)
        allowed = [w for w in MENU_BP if w <= min(wanted, cap)]
        return min(max(allowed[-1] if allowed else self.min_bp, self.min_bp), self.max_bp)


def finite(number: float) -> float:
    """The number, or 0 where it is none: an unknown rate must never open a ramp."""
    return number if math.isfinite(number) and number > 0.0 else 0.0
