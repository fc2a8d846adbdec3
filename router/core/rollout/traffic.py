"""Who goes where: the split derived from a rollout, and the choice of a version for one request.

Shares are integers in basis points and sum to exactly 10 000. The candidate's interval comes first
and begins at an offset derived from the rollout's id, so growing its weight only ever adds users,
and other users are the first ones next time. The arithmetic equals Envoy's ``use_hash_policy``
weighted choice over the same intervals, cut where the offset turns them round.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Generic, TypeVar

from xxhash import xxh64_intdigest

from router.core.rollout.plan import Ending, Plan
from router.core.rollout.rollout import Phase, Rollout
from router.core.words import FULL_BP

Drawn = TypeVar("Drawn")

BACK_STEPS = 10
"""Plateaus of a stepped return; the first one is taken at once, so that something always helps."""


@dataclass(frozen=True, slots=True)
class Split:
    """Live share of the candidate and the share of stable's requests mirrored to it, in bp."""

    candidate_bp: int
    mirror_bp: int = 0
    others: tuple[tuple[str, int], ...] = ()
    """Shares of further versions, by name."""

    @property
    def trial_bp(self) -> int:
        """What stable does not answer."""
        return self.candidate_bp + sum(bp for _, bp in self.others)

    @property
    def stable_bp(self) -> int:
        """The rest of the whole."""
        return FULL_BP - self.trial_bp


def split_for(rollout: Rollout, plan: Plan, now: float | None = None) -> Split:
    """The traffic that belongs to a state. The only place where weights come from.

    Only a stepped return depends on ``now`` (rollout clock); without it, where that leads to.
    """
    planned = _planned(rollout, plan, now)
    cap_bp = rollout.cap_bp
    if cap_bp is None or planned.candidate_bp <= cap_bp or not rollout.phase.live:
        return planned
    return replace(planned, candidate_bp=cap_bp)


def _planned(rollout: Rollout, plan: Plan, now: float | None) -> Split:
    phase = rollout.paused_from or rollout.phase
    if phase in (Phase.ABORTED, Phase.ROLLED_BACK):
        return Split(returning_bp(rollout, plan, now) if now is not None else 0)
    if phase in (Phase.BAKING, Phase.COMPLETED):
        return Split(FULL_BP if plan.ending is Ending.PROMOTE else 0)
    if rollout.standing:
        return Split(0)
    step = plan.steps[rollout.step]
    weight_bp, others = step.weight_bp, step.others
    if step.bandit is not None and rollout.shares is not None:
        weight_bp = dict(rollout.shares).get(rollout.candidate, 0)
        others = tuple(one for one in rollout.shares if one[0] != rollout.candidate)
    if rollout.override is not None:
        room_bp = FULL_BP - sum(bp for _, bp in others)
        return Split(min(rollout.override.weight_bp, room_bp), step.mirror_bp, others)
    if step.auto:
        return Split(min(rollout.auto_weight_bp or 0, step.weight_bp), step.mirror_bp)
    return Split(weight_bp, step.mirror_bp, others)


def returning_bp(rollout: Rollout, plan: Plan, now: float) -> int:
    """What the candidate still has while its traffic returns to stable in equal parts.

    Worked example: taken back at 50 % over 100 s, it has 45 % at once, 40 % after 10 s and nothing
    after 90 s.
    """
    part = _returned(rollout, plan, now)
    return 0 if part is None else rollout.back_bp * (BACK_STEPS - part) // BACK_STEPS


def returns_on(rollout: Rollout, plan: Plan, now: float) -> float | None:
    """When the next part returns, rollout clock seconds; None when nothing is returning."""
    part = _returned(rollout, plan, now)
    if part is None or rollout.ended is None:
        return None
    return rollout.ended + part * plan.back_s / BACK_STEPS


def _returned(rollout: Rollout, plan: Plan, now: float) -> int | None:
    """Parts that have returned, 1..BACK_STEPS-1; None when all have."""
    if rollout.ended is None or not rollout.back_bp or plan.back_s <= 0:
        return None
    part = 1 + max(int((now - rollout.ended) / plan.back_s * BACK_STEPS + 1e-9), 0)
    return part if part < BACK_STEPS else None


def offset_of(rollout_id: str) -> int:
    """Where the candidate's interval begins, 0..9999: a new rollout starts with other users."""
    return xxh64_intdigest(rollout_id.encode(), 0) % FULL_BP


def bucket_of(key: bytes, salt: bytes = b"") -> int:
    """A user's fixed place 0..9999: ``XXH64(salt + key, seed 0) mod 10000``."""
    return xxh64_intdigest(salt + key, 0) % FULL_BP


class Draw(Generic[Drawn]):
    """The weighted choice: ``draw.at(bucket)`` is the version whose interval holds that of 0..9999.

    The candidate's interval begins at the offset, the others follow in their order. A bucket is a
    user's (:func:`bucket_of`) or a fresh coin. Raises ValueError unless the shares are the whole.
    """

    __slots__ = ("_cuts", "_offset", "_versions")

    def __init__(
        self, versions: Sequence[Drawn], weights_bp: Sequence[int], candidate: int, offset: int
    ) -> None:
        """``candidate``: its index; -1 where there is none."""
        if sum(weights_bp) != FULL_BP:
            raise ValueError(f"shares {tuple(weights_bp)} do not sum to {FULL_BP} bp")
        order = [candidate] if candidate >= 0 else []
        order += [index for index in range(len(weights_bp)) if index != candidate]
        self._versions = [versions[index] for index in order]
        self._cuts = list(accumulate(weights_bp[index] for index in order))
        self._offset = offset

    def at(self, bucket: int) -> Drawn:
        """A version with a share of 0 has no bucket."""
        return self._versions[bisect_right(self._cuts, (bucket - self._offset) % FULL_BP)]
