"""The log's file: joins whatever comes first, once; what goes leaves no trace."""

from __future__ import annotations

import random

import pytest

from router.core.logged.truth import Truth
from router.reader.book import BookError
from router.reader.keeper import open_book
from router.reader.sqlite_book import SqliteBook
from tests.reader.book_contract import BookContract, row


@pytest.fixture
def book(tmp_path):
    book = SqliteBook(tmp_path / "log.db")
    yield book
    book.close()


class TestSqlite(BookContract):
    @pytest.fixture
    def opened(self, tmp_path):
        return lambda **about: open_book(str(tmp_path / "log.db"), **about)


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
