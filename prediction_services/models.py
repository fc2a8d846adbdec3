"""A trained model with the feature lookup beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import sklearn

from prediction_services.dataset import FlightTable, Floats, load_table
from prediction_services.flights import Flight
from prediction_services.training import DELAY_COLUMN, FEATURES, feature_matrix, load_model

Bools = npt.NDArray[np.bool_]


class ModelPredictor:
    """Looks a flight's features up and asks the model; 0.3 to 1 ms for one flight, `slow` 30 ms."""

    instant = False

    def __init__(
        self, table: FlightTable, features: Floats, model: Any, delay_factor: float = 1.0,
        lost: Bools | None = None,
    ) -> None:  # fmt: skip
        self._table = table
        self._features = features
        self._model = model
        self._delay_factor = delay_factor
        self._lost = lost

    @classmethod
    def load(
        cls,
        cache: Path,
        model_name: str,
        delay_factor: float,
        *,
        lost_share: float = 0.0,
        dropped: str = "",
    ) -> Self:
        """Read table and model from the cache, building both on first use.

        Args:
            cache: the cache directory.
            model_name: a key of `training.RECIPES`.
            delay_factor: multiplies the departure delay in the lookup; not 1 for broken versions.
            lost_share: share of flights whose departure delay is 0, also where the client says it.
            dropped: a feature that is 0 for every flight, a name of `training.FEATURES`.
        """
        table = load_table(cache)
        model, columns = load_model(cache, table, model_name)
        features = feature_matrix(table)
        features[:, DELAY_COLUMN] *= delay_factor
        lost = None
        if lost_share:
            lost = np.random.default_rng(0).random(len(table)) < lost_share
            features[lost, DELAY_COLUMN] = 0.0
        if dropped:
            features[:, FEATURES.index(dropped)] = 0.0
        return cls(table, features[:, :columns].copy(), model, delay_factor, lost)

    def misread(self, reading: Callable[[Floats], Floats]) -> Self:
        """The same model whose lookup reads its features otherwise: what a broken job computes."""
        kind = type(self)
        features = reading(self._features)
        return kind(self._table, features, self._model, self._delay_factor, self._lost)

    def scores(self, flights: Sequence[Flight]) -> list[float]:
        """The model's probability of a late arrival, flight by flight.

        Raises:
            UnknownFlightError: a flight is not in the schedule.
        """
        rows = self._table.rows(flights)
        features = self._features[rows]
        if features.shape[1] > DELAY_COLUMN:
            for place, flight in enumerate(flights):
                if flight.dep_delay is not None:
                    gone = self._lost is not None and self._lost[rows[place]]
                    told_h = 0.0 if gone else flight.dep_delay / 60 * self._delay_factor
                    features[place, DELAY_COLUMN] = told_h
        # Our own matrix is finite and the model's parameters were checked when it was fitted;
        # saying so halves the time of a single prediction. The setting is per thread.
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            probabilities = self._model.predict_proba(features)
        return [float(late) for late in probabilities[:, 1]]
