"""The log's file: joins whatever comes first, once; what goes leaves no trace."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace

import pytest

from router.core.logged.prediction import LoggedPrediction
from router.core.logged.truth import Truth
from router.reader.book import BookError, Taken
from router.reader.sqlite_book import SqliteBook

ROW = LoggedPrediction(
    1000.0, "id-0", 0, 1, "flights", "v1", "stable", 0.2, "", '{"delay": 3}',
    1.0, 0.9, 0.01, 200, "",
)  # fmt: skip


def row(request_id, **changes):
    return replace(ROW, request_id=request_id, **changes)


@pytest.fixture
def book(tmp_path):
    book = SqliteBook(tmp_path / "log.db")
    yield book
    book.close()


def test_a_truth_meets_its_prediction_whichever_comes_first(book):
    book.write([row("a")], 1000.0)
    received = book.receive([Truth("a", label=True), Truth("b", label=2.5)], 1010.0)
    assert received.taken == [Taken.JOINED, Taken.WAITING]
    (meeting,) = received.meetings
    assert (meeting.fresh.label, meeting.fresh.time, meeting.said[0].version) == (
        True,
        1010.0,
        "v1",
    )
    (late,) = book.write([row("b", prediction=2.0)], 1011.0)
    assert (late.fresh.label, late.said[0].prediction, late.said[0].request_id) == (2.5, 2.0, "b")
    assert book.counts().waiting == 0


def test_each_fact_counts_once_also_after_a_restart(book, tmp_path):
    book.write([row("a")], 1000.0)
    assert book.receive([Truth("a", label=1.0), Truth("a", label=0.0)], 1001.0).taken == [
        Taken.JOINED, Taken.DUPLICATE,
    ]  # fmt: skip
    book.close()
    again = SqliteBook(tmp_path / "log.db")
    assert again.receive([Truth("a", label=0.0)], 1002.0).taken == [Taken.DUPLICATE]
    (more,) = again.receive([Truth("a", label=0.0, value=12.5)], 1003.0).meetings
    assert (more.fresh.label, more.fresh.value) == (None, 12.5)
    assert again.receive([Truth("a", value=12.5)], 1004.0).taken == [Taken.DUPLICATE]
    again.close()


def test_a_receipt_is_the_same_as_its_request_in_either_order(book):
    by_receipt = Truth(receipt="00ff", label=True)
    book.write([row("a", receipt="00ff")], 1000.0)
    assert book.receive([by_receipt], 1001.0).taken == [Taken.JOINED]
    assert book.receive([Truth("a", label=True)], 1001.0).taken == [Taken.DUPLICATE]
    assert book.receive([Truth(receipt="0bee", label=True)], 1001.0).taken == [Taken.WAITING]
    assert book.receive([Truth("b", label=False)], 1001.0).taken == [Taken.WAITING]
    (meeting,) = book.write([row("b", receipt="0bee")], 1002.0)
    assert meeting.fresh.label is False  # it was told by its id as well, and there first
    assert book.counts().waiting == 0


def test_a_copy_that_comes_after_the_truth_still_makes_a_pair(book):
    book.write([row("a")], 1000.0)
    book.receive([Truth("a", label=True)], 1001.0)
    (pair,) = book.write([row("a", version="v2", role="shadow", prediction=0.0)], 1002.0)
    assert [one.version for one in pair.said] == ["v1", "v2"]
    assert [one.id > pair.after for one in pair.said] == [False, True]


def test_predictions_that_are_not_mature_hold_their_truth(book):
    book.mature_s = {"flights": 3600.0}
    book.write([row("a")], 1000.0)
    assert book.receive([Truth("a", label=True)], 1100.0).meetings == []
    assert book.release(4500.0) == []
    (meeting,) = book.release(4600.0)
    assert meeting.fresh.label is True
    assert book.release(9999.0) == []


def test_what_waits_is_bounded_by_age_and_by_number(tmp_path):
    book = SqliteBook(tmp_path / "log.db", early_max=3)
    book.receive([Truth(f"id-{n}", label=True) for n in range(5)], 1000.0)
    assert len(book.prune(before=0.0, bytes_max=10**9, early_before=900.0)) == 2
    assert book.counts().waiting == 3
    assert len(book.prune(before=0.0, bytes_max=10**9, early_before=1001.0)) == 3
    assert book.counts().truths == 0
    book.close()


def test_retention_by_age_and_by_size(book):
    for start in range(0, 20_000, 2_000):
        book.write([row(f"id-{n}", time=float(n)) for n in range(start, start + 2_000)], 0.0)
    book.receive([Truth("id-7", label=True)], 0.0)
    book.prune(before=4_000.0, bytes_max=10**9, early_before=0.0)
    assert (book.counts().predictions, book.counts().truths) == (16_000, 0)
    assert book.counts().oldest == 4_000.0
    most = 2_000_000
    for _ in range(5):
        book.prune(before=0.0, bytes_max=most, early_before=0.0)
    assert 0 < book.counts().bytes <= most
    assert book.path.stat().st_size <= 1.1 * most  # given back to the system, not only free inside


def test_a_forgotten_person_is_in_no_file(book):
    rng, secret = random.Random(7), "Erika-Mustermann-1964"
    for n in range(300):
        mine = n % 10 == 0
        book.write([row(
            f"{secret if mine else 'somebody'}-{n}", person="digest-of-her" if mine else "another",
            features=f'{{"name": "{secret}", "x": {rng.random()}}}' if mine else "{}",
            request=(secret * 50).encode() if mine else b"",
        )], 0.0)  # fmt: skip
    book.receive([Truth(f"{secret}-0", label=secret)], 0.0)
    files = [book.path.with_name(book.path.name + end) for end in ("", "-wal")]
    assert any(secret.encode() in file.read_bytes() for file in files)
    assert book.forget(["digest-of-her"]) == 30
    for file in files:
        assert secret.encode() not in file.read_bytes()
        assert b"digest-of-her" not in file.read_bytes()
    assert book.counts().predictions == 270


def test_a_full_disk_writes_nothing_and_says_so(book):
    pages = book._number("PRAGMA page_count")
    book._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(BookError, match="full"):
        book.write([row(f"id-{n}", features="x" * 1000) for n in range(100)], 0.0)
    assert book.counts().predictions == 0
    book._db.execute("PRAGMA max_page_count = 1000000")
    book.write([row("a")], 0.0)
    assert book.counts().predictions == 1


def test_the_file_is_for_its_owner_only(book):
    assert book.path.stat().st_mode & 0o777 == 0o600


def test_a_file_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "log.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(BookError):
        SqliteBook(tmp_path / "log.db")


def test_labels_in_any_order_are_all_joined_right(tmp_path):
    """A small one of done-when 1; the million is in `make test-log`."""
    rng, count = random.Random(11), 3_000
    path, met = tmp_path / "log.db", {}
    events = [("p", n) for n in range(count)] + [("t", n) for n in range(count)]
    events += [("t", n) for n in rng.sample(range(count), count // 10)]
    rng.shuffle(events)
    book = SqliteBook(path)
    for at in range(0, len(events), 100):
        if rng.random() < 0.1:
            book.close()
            book = SqliteBook(path)
        part = events[at : at + 100]
        new = [row(f"id-{n}", prediction=float(n)) for kind, n in part if kind == "p"]
        told = [Truth(f"id-{n}", label=float(n)) for kind, n in part if kind == "t"]
        for meeting in [*book.write(new, 0.0), *book.receive(told, 0.0).meetings]:
            assert meeting.said[0].prediction == meeting.fresh.label
            met[meeting.said[0].request_id] = met.get(meeting.said[0].request_id, 0) + 1
    assert met == {f"id-{n}": 1 for n in range(count)}
    right = "SELECT count(*) FROM log WHERE label = prediction"
    assert sqlite3.connect(path).execute(right).fetchone() == (count,)
    book.close()
