"""The evidence of one attempt, as the store and recordings have it."""

from __future__ import annotations

from typing import Any

import msgspec


class TrialState(msgspec.Struct, frozen=True):
    """Everything that :class:`router.control.rollouts.trial.Trial` knows, exact.

    Its parts tell theirs by :mod:`router.core.snapshots`; here they are as that made them.
    """

    about: tuple[str, int]
    """The rollout's id, and which attempt of it."""
    revision: int
    step: int
    step_revision: int
    samples: tuple[int, int]
    """Judged answers and compared pairs of the step."""
    judge: Any
    shadow: Any
    sticky: bool | None = None
    """Whether users were drawn; None in what an older router wrote."""
    rewards: dict[str, tuple[int, float]] = msgspec.field(default_factory=dict)
    """By version: how many, and their sum."""
    shares: tuple[float, tuple[tuple[str, int], ...] | None] | None = None
    """When rewards last moved the shares, and which they ask for."""
    ripened: int = 0
    labelled_users: Any = None

    @classmethod
    def read(cls, plain: object) -> TrialState | None:
        """From plain values of a store; None for what is none: evidence may begin anew."""
        try:
            return msgspec.convert(plain, cls)
        except msgspec.ValidationError:
            return None
