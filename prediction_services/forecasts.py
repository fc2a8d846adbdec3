"""Two models in a row: how late a flight will leave, and from that whether it will arrive late.

The first is trained to forecast the departure delay from the schedule. `squared` and `again` are
boosted trees with the squared loss, `absolute` has the absolute one, which fits the mean absolute
error better (17.9 minutes in March where the others have 20.7) and forecasts much less: most of the
flights leave on time. `late` is the second model, trained on what `squared` forecasts; fed by
`absolute` it flags next to nobody, though nothing is wrong with either model alone.

What each forecasts for every flight, and what `late` makes of a forecast, is kept as plain arrays.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from prediction_services.cache import locked, write_whole
from prediction_services.dataset import DATASET_REVISION, LATE_MIN, FlightTable, Floats, load_table
from prediction_services.training import FEATURES, TRAINING_MONTH_LAST, feature_matrix

FORECASTS_REVISION = 1
"""Grows when a recipe changes; part of the file's name."""

FORECASTERS = ("squared", "again", "absolute")
"""Versions of the first model."""

FLAGGED_ABOVE = 0.25
"""A flight with a higher probability is called late: about a quarter are."""

_COLUMNS = [
    FEATURES.index(name)
    for name in ("departure_day_share", "distance_thousand_miles", "carrier_code", "origin_code")
]
_STEP_MIN = 0.01
_LOWEST_MIN, _HIGHEST_MIN = -60.0, 240.0
"""Forecasts between which the second model is tabulated; none lies beyond."""


@dataclass(frozen=True)
class Forecasts:
    """Everything that both models say.

    Attributes:
        minutes: by version of the first model, its forecast for every flight of the table.
        late: the second model's probability for forecasts from -60 min on, in steps of 0.01 min.
    """

    minutes: dict[str, npt.NDArray[np.float32]]
    late: npt.NDArray[np.float32]

    def late_at(self, minutes: float) -> float:
        """The second model: the probability that a flight with this forecast arrives late."""
        bounded = min(max(minutes, _LOWEST_MIN), _HIGHEST_MIN)
        return float(self.late[round((bounded - _LOWEST_MIN) / _STEP_MIN)])


def load_forecasts(cache: Path) -> Forecasts:
    """Read them from the cache, training on first use (about 10 s; afterwards 20 ms)."""
    made_of = f"{DATASET_REVISION}/{FORECASTS_REVISION}/{sklearn.__version__}/{np.__version__}"
    path = cache / f"forecasts-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.npz"
    if not path.exists():
        table = load_table(cache)
        with locked(cache):
            if not path.exists():
                made = _train(table)
                arrays: dict[str, Any] = {**made.minutes, "late": made.late}
                write_whole(path, lambda partial: np.savez(partial, **arrays))
    with np.load(path, allow_pickle=False) as found:
        return Forecasts({name: found[name] for name in FORECASTERS}, found["late"])


def served_rows(table: FlightTable, month: int = 3) -> npt.NDArray[np.int64]:
    """Rows of the flights of a month that departed and arrived: their truth is known."""
    known = ~np.isnan(table.dep_delay) & ~np.isnan(table.arr_delay)
    return np.flatnonzero((table.month == month) & known)


def _train(table: FlightTable) -> Forecasts:
    features: Floats = feature_matrix(table)[:, _COLUMNS]
    known = ~np.isnan(table.dep_delay) & ~np.isnan(table.arr_delay)
    seen = (table.month <= TRAINING_MONTH_LAST) & known
    recipes: dict[str, dict[str, Any]] = {
        "squared": {"max_iter": 40},
        "again": {"max_iter": 60, "learning_rate": 0.07},
        "absolute": {"max_iter": 40, "loss": "absolute_error"},
    }
    minutes = {
        name: HistGradientBoostingRegressor(random_state=0, **recipe)
        .fit(features[seen], table.dep_delay[seen])
        .predict(features)
        .astype(np.float32)
        for name, recipe in recipes.items()
    }
    late = HistGradientBoostingClassifier(max_iter=40, random_state=0)
    late.fit(minutes["squared"][seen, None], table.arr_delay[seen] > LATE_MIN)
    steps = round((_HIGHEST_MIN - _LOWEST_MIN) / _STEP_MIN)
    grid = np.linspace(_LOWEST_MIN, _HIGHEST_MIN, steps + 1)
    tabulated = late.predict_proba(grid[:, None])[:, 1].astype(np.float32)
    return Forecasts(minutes, tabulated)
