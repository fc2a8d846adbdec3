"""From flights to features to trained models, kept as skops files.

January and February are for training, everything later is served. A pickle can run any code when
it is read; skops rebuilds named types only, and `TRUSTED_TYPES` is the list of what we allow
beyond its own defaults.
"""

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from skops import io as skops_io

from prediction_services.cache import locked, write_whole
from prediction_services.dataset import DATASET_REVISION, LATE_MIN, FlightTable, Floats, Ints

RECIPES_REVISION = 1
"""Grows when a recipe or a feature changes; part of every artefact's name."""

TRAINING_MONTH_LAST = 2

FEATURES = (
    "departure_day_share",
    "departure_sin",
    "departure_cos",
    "weekday",
    "distance_thousand_miles",
    "dep_delay_h",
    "carrier_code",
    "origin_code",
)
"""Columns of the feature matrix, in order. The units keep every value near 1, which is all the
scaling a logistic regression needs; a scaler in the model would double the time of a prediction."""

DELAY_COLUMN = FEATURES.index("dep_delay_h")

TRUSTED_TYPES = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types outside skops' defaults that our own models are made of."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is trained.

    Attributes:
        columns: how many of `FEATURES`, from the left, it uses.
        make: a fresh estimator.
    """

    columns: int
    make: Callable[[], Any]


RECIPES: dict[str, Recipe] = {
    "schedule": Recipe(5, LogisticRegression),
    "delay": Recipe(6, LogisticRegression),
    # Carrier and origin stay numbers: the trees split them well enough, while sklearn's own
    # handling of categories would store a functools.partial, a type not to be trusted in a file.
    "boosted": Recipe(
        8,
        lambda: HistGradientBoostingClassifier(max_iter=40, learning_rate=0.15, random_state=0),
    ),
    "forest": Recipe(
        8,
        lambda: ExtraTreesClassifier(
            n_estimators=300,
            max_features=None,
            max_depth=10,
            min_samples_leaf=5,
            bootstrap=True,
            max_samples=5_000,  # a first start must stay quick: 3 s instead of 30 for 51,000 rows
            random_state=0,
            n_jobs=1,
        ),
    ),
}
"""Every trained model by its name."""


def feature_matrix(table: FlightTable) -> Floats:
    """All features of all flights, one row a flight, columns as `FEATURES`.

    A departure delay that is unknown (a cancelled flight) counts as 0: at serving time nobody has
    seen it depart.
    """
    minute = table.sched_dep_time // 100 * 60 + table.sched_dep_time % 100
    angle = minute * (2 * np.pi / 1440)
    return np.column_stack(
        [
            minute / 1440,
            np.sin(angle),
            np.cos(angle),
            _weekday(table),
            table.distance / 1000,
            np.nan_to_num(table.dep_delay, nan=0.0) / 60,
            np.unique(table.carrier, return_inverse=True)[1],
            np.unique(table.origin, return_inverse=True)[1],
        ]
    ).astype(np.float64)


def load_model(cache: Path, table: FlightTable, name: str) -> tuple[Any, int]:
    """Read a model from the cache, training it on first use.

    Training takes 0.1 to 3 s; parallel first starts train once, the others wait and read.

    Args:
        cache: the cache directory.
        table: the flights to train on.
        name: a key of `RECIPES`.

    Returns:
        The fitted classifier and how many columns of the feature matrix it takes.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: the file holds types outside
            `TRUSTED_TYPES`, so somebody else wrote it.
    """
    recipe, path = RECIPES[name], cache / _file_name(name)
    model = _read(path)
    if model is None:
        with locked(cache):
            model = _read(path)
            if model is None:
                model = _train(recipe, table)
                write_whole(path, lambda partial: skops_io.dump(model, partial))
    return model, recipe.columns


def _file_name(name: str) -> str:
    """The name holds whatever the file depends on, so a stale artefact is never read."""
    made_of = f"{DATASET_REVISION}/{RECIPES_REVISION}/{sklearn.__version__}/{np.__version__}"
    return f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.skops"


def _read(path: Path) -> Any | None:
    """The stored model, or None when there is none or the file is damaged (then train anew)."""
    try:
        return skops_io.load(path, trusted=list(TRUSTED_TYPES))
    except (FileNotFoundError, zipfile.BadZipFile, EOFError):
        return None


def _train(recipe: Recipe, table: FlightTable) -> Any:
    chosen = (table.month <= TRAINING_MONTH_LAST) & ~np.isnan(table.arr_delay)
    features = feature_matrix(table)[chosen][:, : recipe.columns]
    return recipe.make().fit(features, table.arr_delay[chosen] > LATE_MIN)


def _weekday(table: FlightTable) -> Ints:
    """Monday is 0. 1 January 2013 was a Tuesday; 2013 had no leap day."""
    days_before = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])
    weekday: Ints = (days_before[table.month - 1] + table.day) % 7
    return weekday
