"""Our own statistics beside those of libraries that everybody uses."""

import math
import random

import pytest

pytestmark = pytest.mark.oracles
stats = pytest.importorskip("scipy.stats", reason="run by `make test-oracles`")

from router.core.monitors import distances as d  # noqa: E402
from router.core.monitors.profile import profiled  # noqa: E402

SEEDS = range(40)


def samples(seed, shift=0.1, ties=False):
    draw = random.Random(seed)
    n, m = draw.randrange(50, 3_000), draw.randrange(50, 3_000)
    a = [draw.gauss(0.0, 1.0) for _ in range(n)]
    b = [draw.gauss(shift * draw.random(), 1.0) for _ in range(m)]
    return tuple(sorted(round(v, 1) if ties else v for v in side) for side in (a, b))


def counts(seed, cells=8):
    draw = random.Random(seed)
    weights = [draw.random() + 0.2 for _ in range(cells)]
    other = [w * (1.0 + draw.random() * 0.2) for w in weights]
    a = draw.choices(range(cells), weights, k=draw.randrange(500, 5_000))
    b = draw.choices(range(cells), other, k=draw.randrange(500, 5_000))
    return a, b


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_ks_is_scipys(seed, ties):
    a, b = samples(seed, ties=ties)
    theirs = stats.ks_2samp(a, b, method="asymp")
    assert d.kolmogorov_smirnov(a, b) == pytest.approx(theirs.statistic, abs=1e-12)
    ours = d.ks_chance(theirs.statistic, len(a), len(b))
    # SciPy has the exact one-sample distribution there; Stephens' correction is near to it.
    assert ours == pytest.approx(theirs.pvalue, rel=0.06, abs=0.004)


@pytest.mark.parametrize("x", [0.3, 0.5, 0.8, 1.0, 1.36, 1.63, 2.5])
def test_kolmogorovs_limit_is_scipys(x):
    n = 10**10  # where the correction is nothing
    assert d.ks_chance(x / math.sqrt(n / 2), n, n) == pytest.approx(
        stats.kstwobign.sf(x), rel=1e-3, abs=1e-12
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_chi_square_is_scipys(seed):
    a, b = counts(seed)
    cells = [[side.count(c) for c in range(8)] for side in (a, b)]
    theirs = stats.chi2_contingency(cells, correction=False)
    ours = d.chi_square(*cells, (1.0, 1.0))
    assert ours == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("freedom", [1, 2, 5, 9, 12, 40, 100])
@pytest.mark.parametrize("x", [0.01, 0.5, 3.0, 9.0, 21.0, 60.0, 200.0, 700.0])
def test_tails_of_chi_square_are_scipys(x, freedom):
    theirs = stats.chi2.sf(x, freedom)
    assert d.chi_square_tail(x, freedom) == pytest.approx(theirs, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_jensen_shannon_is_scipys(seed):
    from scipy.spatial.distance import jensenshannon

    a, b = counts(seed)
    p, q = ([side.count(c) for c in range(9)] for side in (a, b))  # the last cell is empty
    assert d.jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_false_discoveries_are_scipys(seed):
    draw = random.Random(seed)
    chances = [draw.random() ** draw.choice((1, 4)) for _ in range(draw.randrange(1, 60))]
    theirs = stats.false_discovery_control(chances, method="bh") <= 0.05
    assert d.discoveries(chances, 0.05) == theirs.tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_psi_is_evidentlys(seed):
    pandas = pytest.importorskip("pandas")
    module = pytest.importorskip("evidently.legacy.calculations.stattests.psi")
    from evidently.legacy.core import ColumnType

    a, b = counts(seed)
    a = [c for c in a if c != 3]  # empty on one side: both fill it
    theirs = module.psi_stat_test.func(
        pandas.Series(a, dtype=str), pandas.Series(b, dtype=str), ColumnType.Categorical, 0.1
    )
    ours = d.psi([a.count(c) for c in range(8)], [b.count(c) for c in range(8)])
    assert ours == pytest.approx(theirs[0], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_river_and_we_see_the_same_step(seed):
    """Its windowed KS (KSWIN) finds a step where our window has a p of its level, not before."""
    drift = pytest.importorskip("river.drift")
    draw = random.Random(seed)
    values = [draw.gauss(0.0 if k < 1_500 else 0.8, 1.0) for k in range(2_500)]
    kswin = drift.KSWIN(alpha=1e-4, window_size=600, stat_size=200, seed=seed)
    theirs = next(k for k, v in enumerate(values) if kswin.update(v) or kswin.drift_detected)
    ours = next(
        k for k in range(600, 2_500, 10)
        if d.ks_chance(
            d.kolmogorov_smirnov(sorted(values[:400]), sorted(values[k - 200 : k])), 400, 200
        ) < 1e-4
    )  # fmt: skip
    assert 1_500 <= theirs < 1_700
    assert abs(ours - theirs) <= 120


def test_a_parquet_file_is_a_reference(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from router.reader.reference import UnusableError, read

    ages, names = [float(k % 70) for k in range(2_000)], ["ab"[k % 2] for k in range(2_000)]
    parquet.write_table(pyarrow.table({"age": ages, "name": names}), tmp_path / "t.parquet")
    told = read(tmp_path / "t.parquet", [("age", "auto"), ("name", "auto")])
    assert told["rows"] == 2_000
    assert told["profiles"]["age"] == profiled("numeric", ages).to_json()
    assert told["profiles"]["name"] == profiled("categorical", names).to_json()
    with pytest.raises(UnusableError, match="has no column zip"):
        read(tmp_path / "t.parquet", [("zip", "auto")])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UnusableError, match="no Parquet file"):
        read(tmp_path / "bad.parquet", [("age", "auto")])


def test_evidently_reads_the_export_of_a_log(tmp_path):
    """The Parquet that `rampway log export` writes, as any tool takes it: columns as documented."""
    pandas = pytest.importorskip("pandas")
    evidently = pytest.importorskip("evidently")
    from evidently.presets import DataSummaryPreset

    from router.core.logged.prediction import LoggedPrediction
    from router.core.logged.truth import Truth
    from router.reader.export import ExportScope, to_parquet
    from router.reader.sqlite_book import SqliteBook

    book, draw = SqliteBook(tmp_path / "log.db"), random.Random(18)
    book.write([
        LoggedPrediction(
            1e9 + n, f"id-{n}", 0, 1, "flights", "v1", "stable", 0.1, "DE",
            f'{{"distance": {draw.randrange(3_000)}, "carrier": "{draw.choice("AB")}"}}',
            int(draw.random() < 0.3), draw.random(), 0.01, 200, "",
        ) for n in range(500)
    ], 1e9)  # fmt: skip
    book.receive([Truth(f"id-{n}", label=n % 3 == 0) for n in range(400)], 1e9 + 900)
    book.close()
    place, target = str(tmp_path / "log.db"), tmp_path / "log.parquet"
    assert to_parquet(place, target, ExportScope("flights")) == 500
    frame = pandas.read_parquet(tmp_path / "log.parquet")
    assert frame["label"].notna().sum() == 400
    assert frame["feature.distance"].dtype == float
    columns = ["score", "latency_s", "feature.distance", "prediction", "label", "feature.carrier"]
    definition = evidently.DataDefinition(
        numerical_columns=["score", "latency_s", "feature.distance"],
        categorical_columns=["prediction", "label", "feature.carrier"],
    )
    table = frame[columns].astype({"prediction": str, "label": str})  # classes, not numbers
    data = evidently.Dataset.from_pandas(table, data_definition=definition)
    made = evidently.Report([DataSummaryPreset()]).run(data, None)
    told = made.json()
    assert "feature.distance" in told
    assert "feature.carrier" in told
