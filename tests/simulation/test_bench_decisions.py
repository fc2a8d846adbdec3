"""The tables: made by one command, saved, and able to miss a goal."""

import json

import pytest

from router.simulation.bench_decisions import SECTIONS, Table, main, pair


def test_small_tables_are_printed_and_saved(tmp_path, capsys):
    only = ["--only", "labels", "--only", "promotion"]
    arguments = ["--runs", "4", "--out", str(tmp_path), *only]
    main(arguments)
    printed = capsys.readouterr().out
    saved = (tmp_path / "bench-decisions.md").read_text()
    assert [line for line in saved.splitlines() if line] == [
        line for line in printed.splitlines() if line
    ]
    data = json.loads((tmp_path / "bench-decisions.json").read_text())
    assert [len(table["rows"]) for table in data] == [3, 3]
    assert all(len(row) == len(table["head"]) for table in data for row in table["rows"])


def test_tables_on_demand_are_made_when_named(tmp_path):
    assert main(["--runs", "2", "--out", str(tmp_path), "--only", "days"]) == 0
    assert "| 2 | 0 |" in (tmp_path / "bench-decisions.md").read_text()


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_every_table_can_be_made(tmp_path):
    main(["--runs", "20", "--out", str(tmp_path)])
    assert len(json.loads((tmp_path / "bench-decisions.json").read_text())) == len(SECTIONS)


def test_a_missed_goal_fails_the_command(tmp_path, monkeypatch, capsys):
    def one(_size):
        table = Table("t", ("a",), [("1",)])
        table.goal("x", 2.0, 1.0)
        return table

    monkeypatch.setitem(SECTIONS, "late", one)
    assert main(["--only", "late", "--out", str(tmp_path)]) == 1
    assert "MISSED: x: 2 (goal: at most 1)" in capsys.readouterr().out


def test_pairs_in_words():
    assert pair([1.0, 2.0, float("inf")]) == "2 / -"
