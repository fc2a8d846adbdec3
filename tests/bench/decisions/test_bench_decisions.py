"""The tables: made by one command, saved, and able to miss a goal."""

import json
from pathlib import Path

import pytest

from tests.bench.decisions.__main__ import ON_DEMAND, SECTIONS, main
from tests.bench.decisions.tables import Table, pair, written

PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"


def test_small_tables_are_printed_and_saved(tmp_path, capsys):
    only = ["--only", "labels", "--only", "promotion"]
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- bench-decisions: {n} -->\n<!-- end -->\n" for n in only[1::2]))
    arguments = ["--runs", "2", "--out", str(tmp_path), "--docs", str(page), *only]
    main(arguments)
    printed = capsys.readouterr().out
    saved = (tmp_path / "bench-decisions.md").read_text()
    assert [line for line in saved.splitlines() if line] == [
        line for line in printed.splitlines() if line
    ]
    assert page.read_text().count("\n| ") == 2 * (2 + 3)
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


def test_a_table_is_written_between_its_marks():
    table = Table("Counts", ("a", "b"), [("1", "2")])
    table.goal("x", 1.0, 2.0)
    page = "# P\n\n<!-- bench-decisions: late -->\nold\n<!-- end -->\n\nrest <!-- end -->\n"
    made = written(page, {"late": table})
    assert made == (
        "# P\n\n<!-- bench-decisions: late -->\n\nCounts.\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n"
        "- met: x: 1 (goal: at most 2)\n\n<!-- end -->\n\nrest <!-- end -->\n"
    )
    assert written(made, {"late": table}) == made
    with pytest.raises(ValueError, match="no part <!-- bench-decisions: power -->"):
        written(page, {"power": table})


def test_the_page_has_a_part_for_every_table():
    empty = {name: Table("t", ("a",)) for name in (*SECTIONS, *ON_DEMAND)}
    assert written(PAGE.read_text(encoding="utf-8"), empty)


def test_pairs_in_words():
    assert pair([1.0, 2.0, float("inf")]) == "2 / -"
