"""docs/features.md names tests that exist, and leaves no row out."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/features.md").read_text()
WANTED, TESTED = PAGE.split("\n## The tests of the rows\n")
ROW = re.compile(r"^\| (\d+) \|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
LAST = 97
BEATEN = {
    3, 10, 22, 24, 29, 34, 39, 47, 49, 54, 55, 64, 65, 70, 71, 72, 73, 77, 81, 82, 85, 90, 94, 95,
}  # fmt: skip
"""Rows in which no other tool is as good; to say less there, change the product or this set."""
OUT = {23, 25, 30}
"""Rows that need control of replicas or of a cluster."""


@cache
def defined_in(path):
    tree = ast.parse((ROOT / "tests" / path).read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def rows():
    return {int(number): cells.split(" | ") for number, cells in ROW.findall(WANTED)}


@pytest.mark.parametrize(("path", "name"), sorted(set(TEST.findall(PAGE))))
def test_what_the_page_names_exists(path, name):
    assert (ROOT / "tests" / path).is_file()
    assert name.startswith("test_")
    assert name in defined_in(path)


def test_no_row_is_missing():
    for table in (WANTED, TESTED):
        assert [int(number) for number, _ in ROW.findall(table)] == list(range(1, LAST + 1))


def test_every_row_is_shown_or_says_why_not():
    shown = {int(number): cells for number, cells in ROW.findall(TESTED)}
    for number, cells in rows().items():
        assert len(cells) == 4, number
        state, tests = cells[-1], shown[number]
        if number in OUT:
            assert re.match(r"not: \w+", state.strip()), number
        else:
            assert state.strip() == ("beaten" if number in BEATEN else "yes"), number
            assert TEST.search(tests), f"row {number} names no test"


def test_policy_keys_and_verbs_exist():
    """The first word of every key that a row names is a key of a policy or a verb."""
    from router.cli import VERBS

    keys = set(re.findall(r'"(\w+)":', (ROOT / "schemas/policy.schema.json").read_text()))
    known = keys | set(VERBS) | {"X", "GET", "NAME", "KEY", "POLICY", "ALERTS"}
    for number, cells in rows().items():
        for code in re.findall(r"`([a-z][\w-]*)", cells[1]):
            assert code in known or code.replace("_bp", "") in known or code.startswith(
                ("rampway_", "shadow_undelivered")
            ), (number, code)  # fmt: skip
