"""A table of answers: what was put in comes out, and damage says nothing."""

import os
import random

import pytest

from router.upstream.table_file import TableError, TableFile, write_table


def made(path, rows, as_of=1.0):
    write_table(path, rows, as_of)
    return TableFile(path)


def test_what_was_put_in_comes_out(tmp_path):
    rows = [(f"k{n}", b"%d" % n * (1 + n % 4_000)) for n in range(3_000)]
    table = made(tmp_path / "t", rows, 12.5)
    assert (table.rows, table.as_of) == (3_000, 12.5)
    assert [table.get(key.encode()) for key, _ in rows] == [answer for _, answer in rows]
    assert not any(table.get(b"x%d" % n) for n in range(3_000))
    table.close()
    assert table.get(b"k1") is None


def test_of_a_key_given_twice_the_last_one_counts_and_no_row_is_a_table(tmp_path):
    assert made(tmp_path / "t", [("a", b"1"), ("a", b"2")]).get(b"a") == b"2"
    assert made(tmp_path / "t", []).get(b"a") is None


@pytest.mark.parametrize("row", [("", b"1"), ("k" * 1_025, b"1"), ("a", bytes(1_048_577))])
def test_what_is_too_long_leaves_the_old_table_where_it_is(tmp_path, row):
    path = tmp_path / "t"
    made(path, [("a", b"1")])
    with pytest.raises(TableError, match="row 1: expected a key"):
        write_table(path, [row], 1.0)
    assert TableFile(path).get(b"a") == b"1"
    assert [one.name for one in tmp_path.iterdir()] == ["t"]


def test_damage_says_nothing(tmp_path):
    path = tmp_path / "t"
    keys = [b"k%d" % n for n in range(50)]
    made(path, [(key.decode(), b"answer of " + key) for key in keys])
    whole = path.read_bytes()
    draw = random.Random(7)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 40))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.choice((len(data), draw.randrange(len(data))))])
        try:
            table = TableFile(path)
        except TableError:
            continue
        for key in keys:
            table.get(key)
        table.close()
    with pytest.raises(TableError, match="No such file"):
        TableFile(tmp_path / "none")


def test_a_table_that_is_cut_short_while_it_is_open_ends_nothing(tmp_path):
    path = tmp_path / "t"
    table = made(path, [("a", b"1" * 9_000)])
    os.truncate(path, 50)
    assert table.get(b"a") is None
