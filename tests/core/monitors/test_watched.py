"""Values of rows as they travel to monitors: bounded, and never an exception."""

import gzip
import json

import pytest

from router.core.monitors.settings import ROWS_MAX
from router.core.monitors.watched import Watched, watched
from router.core.predictions.rows import Declared
from router.link.frames import Frames
from router.link.reading import KINDS, Looked, encode

DECLARED = Declared("label", "score", features=(("age", "numeric"), ("plan", "categorical")))


def seen(asked, said=None, coding=""):
    request = json.dumps(asked).encode()
    answer = None if said is None else (json.dumps(said).encode(), "")
    return watched(
        "json", DECLARED, (gzip.compress(request) if coding else request, coding), answer
    )


def test_rows_of_both_bodies():
    found = seen({"age": 3, "plan": "a"}, {"label": 1, "score": 0.5})
    assert found == Watched(((3, "a"),), ((1, 0.5),))
    assert found.features(DECLARED) == [{"age": 3, "plan": "a"}]
    assert found.outputs() == [{"label": 1, "score": 0.5}]


@pytest.mark.parametrize(
    ("value", "travels"),
    [(None, None), ([1], []), ({"a": 1}, []), ("x" * 100, "x" * 64), (2**70, []), (True, True)],
)
def test_what_is_no_value_is_bounded(value, travels):
    row = seen({"plan": value}).rows[0]
    assert row[0] is None
    assert row[1] == travels or row[1] == float(2**70)


def test_what_cannot_be_read_has_no_rows():
    assert watched("json", DECLARED, (b"{", ""), (b"\xff", "")) == Watched()
    assert watched("json", Declared(), (b"{}", ""), (b"{}", "")) == Watched()
    assert watched("json", DECLARED, (b"junk", "gzip"), None) == Watched()


def test_rows_are_bounded_and_codings_unpacked():
    assert len(seen([{"age": k} for k in range(500)], coding="gzip").rows) == ROWS_MAX


def test_they_go_over_the_link():
    sent = Looked(7, None, watched=seen({"age": 3.5, "plan": [1]}, {"label": "a", "score": None}))
    assert Frames(KINDS).feed(encode(sent)) == [sent]
