"""The versions of the model: one visible table, imported without numpy or scikit-learn.

Four of them are broken on purpose in the way models really break: the model is the good one of
`v2` or `v3`, but the feature lookup beside it hands over something else. All answer 200 in the
usual time, so only somebody who reads the predictions can tell.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """How one version makes a prediction.

    Attributes:
        summary: one line for people.
        model: which trained model it uses (a key of `training.RECIPES`); None for no model at all.
        delay_factor: what the feature lookup multiplies the departure delay by. 1 is right.
        lost_share: share of flights whose departure delay the lookup has lost: 0 in its place.
        dropped: a feature that is 0 for every flight, a name of `training.FEATURES`; empty: none.
    """

    summary: str
    model: str | None
    delay_factor: float = 1.0
    lost_share: float = 0.0
    dropped: str = ""


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
    "broken-lost": Version(
        "v2 whose departure delay is 0 for a fifth of the flights", model="delay", lost_share=0.2
    ),
    "broken-dropped": Version("v3 whose carrier is gone", model="boosted", dropped="carrier_code"),
    "slow": Version("300 extra trees: right, but slow", model="forest"),
    "static": Version("no model: a fixed function of the flight, ready at once", model=None),
}
"""Every version `python -m prediction_services serve --version` knows."""
