"""``rampway table``: answers from files and databases, and what is said of those that are none."""

import json
import sqlite3

import pytest

from router.upstream.table_file import TableFile
from tests.cli.conftest import rampway


def made(path):
    return TableFile(path)


def test_files_and_queries_give_the_same_table(tmp_path):
    rows = {"a": {"label": 1}, "7": {"label": 0, "p": 0.25}}
    (tmp_path / "s.ndjson").write_text(
        "".join(json.dumps({"id": key, "said": said}) + "\n" for key, said in rows.items())
    )
    lines = [
        f'{key},"{json.dumps(said).replace(chr(34), chr(34) * 2)}"' for key, said in rows.items()
    ]
    (tmp_path / "s.csv").write_text("id,said\n" + "\n".join(lines) + "\n")
    with sqlite3.connect(tmp_path / "s.db") as db:
        db.execute("CREATE TABLE s (id, said TEXT)")
        db.executemany(
            "INSERT INTO s VALUES (?, ?)",
            [(int(key) if key.isdigit() else key, json.dumps(said)) for key, said in rows.items()],
        )
    db.close()
    for source, *more in (("s.ndjson",), ("s.csv",), ("s.db", "--query", "SELECT id, said FROM s")):
        named = [] if more else ["--key", "id", "--answer", "said"]
        target = tmp_path / "t"
        done = rampway("table", str(tmp_path / source), str(target), *named, *more)
        assert (done.code, done.out) == (0, f"2 answers in {target}\n")
        table = made(target)
        assert {key: json.loads(table.get(key.encode())) for key in rows} == rows
        table.close()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.csv", "key\na\n", "row 1: expected key and answer"),
        ("s.ndjson", '{"key": "a", "answer": "no json"}\n', "row 1: expected JSON as the answer"),
        ("s.ndjson", "[]\n", "row 1: expected key and answer"),
        ("s.ndjson", "{\n", "Expecting property name"),
        ("s.txt", "a\n", "expected a name in .csv, .ndjson or .jsonl, or --query"),
    ],
)
def test_what_is_no_table(tmp_path, name, text, said):
    source, target = tmp_path / name, tmp_path / "t"
    source.write_text(text)
    done = rampway("table", str(source), str(target))
    assert done.code == 2
    assert said in done.err
    assert not target.exists()
    assert "No such file" in rampway("table", str(tmp_path / "none.csv"), str(target)).err
