"""The verdict on a candidate in one word, for tools that carry out a rollout themselves.

Argo Rollouts asks it as a `web` metric (conditions over the JSON), Flagger as its `confirm-*` and
`rollback` webhooks (200: go; anything else: not). Asking changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from router.control.told.view import View
from router.control.told.views import EvidenceView, RolloutView
from router.core.rollout.events import Action
from router.core.rollout.rollout import Phase


class VerdictView(View, frozen=True, kw_only=True):
    """The worst of all gates, and what became of the candidate."""

    route: str
    rollout: str
    candidate: str
    verdict: str
    """pass | pending (not enough yet) | inconclusive | error | fail."""
    success: bool
    """It passed: ``result.success`` is a success condition."""
    failure: bool
    """It failed: ``result.failure`` is a failure condition."""
    sentence: str
    phase: str
    revision: int
    gates: dict[str, str]
    """Verdict of each."""
    evidence: EvidenceView | None


_ORDER: Final = ("pass", "pending", "inconclusive", "error", "fail")


def verdict_of(rollout: RolloutView) -> VerdictView:
    """What is said of it now."""
    gates = {
        gate.name: "pending" if gate.lacks and gate.verdict == "pass" else gate.verdict
        for gate in rollout.gates
        if not gate.dry_run
    }
    word = max(gates.values(), key=_ORDER.index, default="pending")
    if rollout.phase == Phase.COMPLETED:
        word = "pass"
    elif rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK) or rollout.action == Action.ROLLBACK:
        word = "fail"
    elif rollout.action == Action.HOLD and word == "pass":
        word = "pending"
    return VerdictView(
        route=rollout.route, rollout=rollout.id, candidate=rollout.candidate, verdict=word,
        success=word == "pass", failure=word == "fail",
        sentence=rollout.sentence or rollout.reason, phase=rollout.phase,
        revision=rollout.revision, gates=gates, evidence=rollout.evidence,
    )  # fmt: skip


CONFIRMS: Final[Mapping[str, tuple[str, Callable[[VerdictView], bool]]]] = {
    "confirm-rollout": ("Go unless the candidate failed", lambda said: not said.failure),
    "confirm-traffic-increase": ("Go once every gate passes", lambda said: said.success),
    "confirm-promotion": ("Go once every gate passes", lambda said: said.success),
    "confirm-rollback": ("Go (take it back) if the candidate failed", lambda said: said.failure),
}
"""Flagger's webhook -> what 200 says, and when; ``rollback`` is called confirm-rollback here."""
