"""Who plays: the versions of the demo, what they are, and what must become of each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Player:
    """One version on the stage.

    Attributes:
        name: in the policy, and `model_version` of its answers.
        runs: which service version it is (a key of `prediction_services.versions.VERSIONS`).
        summary: one line for people.
    """

    name: str
    runs: str
    summary: str


V2 = Player("v2", "v2", "logistic regression on schedule and departure delay")
V3 = Player("v3", "v3", "boosted trees with carrier and origin; better")
BROKEN_ZERO = Player(
    "broken-zero", "broken-zero", "v2 whose departure delay is silently 0; answers 200 as ever"
)
V4 = Player("v4", "v3", "v3 built anew; starts to fail in the middle of its canary")
V5 = Player("v5", "v3", "v4 repaired; healthy")

CAST = (V2, V3, BROKEN_ZERO, V4, V5)
"""In order of appearance."""
