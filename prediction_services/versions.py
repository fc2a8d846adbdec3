"""The versions of the model: one visible table, imported without numpy or scikit-learn.

Two of them are broken on purpose in the way models really break: the model is the good one of
`v2`, but the feature lookup beside it hands over something else. Both answer 200 in the usual
time, so only somebody who reads the predictions can tell.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """How one version makes a prediction.

    Attributes:
        summary: one line for people.
        model: which trained model it uses (a key of `training.RECIPES`); None for no model at all.
        delay_factor: what the feature lookup multiplies the departure delay by. 1 is right.
    """

    summary: str
    model: str | None
    delay_factor: float = 1.0


VERSIONS: dict[str, Version] = {
    "v1": Version("logistic regression on the schedule alone", model="schedule"),
    "v2": Version("logistic regression on schedule and departure delay", model="delay"),
    "v3": Version("boosted trees with carrier and origin", model="boosted"),
    "broken-zero": Version(
        "v2 whose departure delay is silently 0", model="delay", delay_factor=0.0
    ),
    "broken-seconds": Version(
        "v2 whose departure delay arrives in seconds", model="delay", delay_factor=60.0
    ),
    "slow": Version("300 extra trees: right, but slow", model="forest"),
    "static": Version("no model: a fixed function of the flight, ready at once", model=None),
}
"""Every version `python -m prediction_services serve --version` knows."""
