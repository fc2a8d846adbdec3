"""What *Model performance* is made of: a log of known truths, read whole and in part."""

import io
import json

import pytest

from router.control.told.data_views import PerformanceView
from router.core.logged.truth import Truth
from router.reader import performance as module
from router.reader.keeper import open_book
from router.reader.performance import STRETCHES, performance
from tests.reader.book_contract import row

FIRST, EACH_S, ROWS = 1000.0, 1.0, 480


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """v1 is right in nine of ten, v2 in half; two in three have a truth."""
    place = str(tmp_path_factory.mktemp("log") / "log.db")
    book = open_book(place)
    rows, truths = [], []
    for n in range(ROWS):
        version = ("v1", "v2")[n % 2]
        right = n % 20 != 0 if version == "v1" else n % 4 == 1
        at = FIRST + n * EACH_S
        said = {"prediction": 1, "score": 0.9 - n % 7 / 10, "segment": ("de", "fr")[n % 3 == 0]}
        rows.append(row(f"id-{n}", time=at, version=version, **said))
        rows.append(row(f"other-{n}", time=at, route="elsewhere"))
        if n % 3:
            truths.append(
                (at + 5.0, Truth(f"id-{n}", label=right, value=2.0, accepted=version == "v1"))
            )
        if n % 4 == 0:
            rows.append(row(f"id-{n}", time=at, version="v2", role="shadow", prediction=None,
                            score=None))  # fmt: skip
    book.write(rows, FIRST)
    for at, truth in truths:
        book.receive([truth], at)
    book.close()
    return place


def told(place, since=0.0, until=FIRST + ROWS):
    return performance(place, "flights", since, until)


def test_each_version_beside_the_truth(place):
    found = told(place)
    one, other = (found["versions"][name] for name in ("v1", "v2"))
    assert (one["predictions"], one["labelled"], other["predictions"]) == (240, 160, 240)
    assert (found["whole"], found["read"]) == (True, 600)
    assert one["covered"] == pytest.approx(2 / 3)
    assert (one["lag_p50_s"], one["lag_p95_s"]) == (5.0, 5.0)
    assert one["metrics"]["accuracy"]["value"] == pytest.approx(0.9)
    assert other["metrics"]["accuracy"]["value"] == pytest.approx(0.5)
    for name, figure in one["metrics"].items():
        assert figure["low"] <= figure["value"] <= figure["high"], name
    assert (one["metrics"]["business"]["value"], one["metrics"]["trust"]["value"]) == (2.0, 1.0)
    assert "mae" not in one["metrics"]  # a yes or no is no number
    assert other["metrics"]["trust"]["value"] == 0.0


def test_copies_stand_apart_and_nobody_took_them(place):
    copies = told(place)["versions"]["v2 (copies)"]
    assert (copies["predictions"], copies["missing"]) == (120, 120)
    assert copies["metrics"]["nulls"]["value"] == 1.0
    assert not {"business", "trust"} & set(copies["metrics"])


def test_over_time_and_by_segment(place):
    found = told(place)
    course = found["versions"]["v1"]["course"]["accuracy"]
    assert {len(column) for column in course.values()} == {STRETCHES} == {len(found["at"])}
    assert min(of for of in course["count"] if of is not None) >= 3
    assert {one["segment"] for one in found["segments"]} == {"de", "fr"}
    assert found["inputs"]["delay"]["v1"]["mean"] == 3
    half = told(place, since=FIRST + ROWS / 2)
    assert half["versions"]["v1"]["predictions"] == 120
    assert half["since"] == FIRST + ROWS / 2


def test_a_large_log_is_read_in_part_and_evenly(place, monkeypatch):
    monkeypatch.setattr(module, "ROWS_MAX", 8)
    monkeypatch.setattr(module, "SCANNED_MAX", 16)
    found = told(place)
    assert not found["whole"]
    assert 0 < found["read"] <= STRETCHES * 8
    seen = [of for of in found["versions"]["v1"]["course"]["failed"]["count"] if of]
    assert len(seen) == STRETCHES, "every stretch has some"


def test_it_is_what_the_view_says_and_goes_through_pipes(place, monkeypatch):
    asked = {"place": place, "route": "flights", "since": 0.0, "until": FIRST + ROWS}
    monkeypatch.setattr("os.nice", lambda _by: 0)
    for question, there in ((asked, True), (asked | {"place": place + "x"}, False)):
        said = io.StringIO()
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(question)))
        monkeypatch.setattr("sys.stdout", said)
        module.main()
        found = json.loads(said.getvalue())
        assert ("error" not in found) == there
        if there:
            about = {"route": "flights", "file": place, "span_s": 1.0, "took_s": 0.0}
            assert set(found | about) == set(PerformanceView.__struct_fields__)


def test_of_a_time_without_predictions_nothing_is_told(place):
    assert told(place, since=1e9, until=1e9 + 60)["versions"] == {}
    assert performance(place, "nosuch", 0.0, 2000.0)["versions"] == {}


def test_rows_that_ended_out_of_order_are_all_read(tmp_path):
    place = str(tmp_path / "log.db")
    book = open_book(place)
    times = [1005.0, 1004.0, 1003.0, *(1006.0 + n for n in range(40)), 1046.5, 1001.0]
    book.write([row(f"id-{n}", time=at) for n, at in enumerate(times)], 0.0)
    book.close()
    found = performance(place, "flights", 0.0, 1050.0)
    assert found["read"] == found["versions"]["v1"]["predictions"] == len(times)
