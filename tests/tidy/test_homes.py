"""Whose failure it is: from each module of the router to the tests that are about it, and back.

A module is tested in the `test_MODULE.py` of its name, or by the files that `homes.txt` names.
That table was measured: the files of a row run at least half of the module's statements within
functions. `pytest -m nightly tests/tidy/test_homes.py` measures each row again. A `~` says that the
module's code runs in processes of their own, or that the row is by judgement: not measured.
"""

import ast
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("homes.txt")
LINES_MIN = 40
"""Shorter modules are words and types of their neighbours."""
BEHIND_MAX = 3
"""Rows that may be missing or stale: a module is measured when it has settled."""
SHARE_MIN = 0.5
"""Of a module's statements within functions, run by the tests that are about it."""


def homes():
    rows = [line.split() for line in TABLE.read_text().splitlines() if line]
    return {row[0]: row[1:] for row in rows}


def modules():
    """Those of the router that need a home in the table."""
    named = {path.stem for path in ROOT.glob("tests/**/test_*.py")}
    return {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("router/**/*.py")
        if path.stem not in {"__init__", "__main__"}
        and f"test_{path.stem}" not in named
        and path.read_text().count("\n") >= LINES_MIN
    }


def test_every_module_can_be_found_from_a_test():
    behind = set(homes()) ^ modules()
    behind |= {
        name for name, tests in homes().items()
        if not tests or not all((ROOT / test).exists() for test in tests if test != "~")
    }  # fmt: skip
    assert len(behind) <= BEHIND_MAX, behind


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "module", sorted(name for name, tests in homes().items() if tests[0] != "~")
)
def test_they_are_about_it(module, tmp_path):
    data = tmp_path / "data"
    subprocess.run(
        [sys.executable, "-m", "coverage", "run", f"--data-file={data}", f"--include={module}",
         "-m", "pytest", "-q", "-p", "no:cacheprovider", *homes()[module]],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    found = coverage.CoverageData(str(data))
    found.read()
    ran = set(found.lines(str(ROOT / module)) or ())
    inside = within_functions(ROOT / module)
    assert len(ran & inside) >= SHARE_MIN * len(inside)


def within_functions(path):
    """Lines of statements in functions: what importing the module does not run."""
    lines = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines |= {
                inner.lineno for one in body for inner in ast.walk(one)
                if isinstance(inner, ast.stmt)
                and not (isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant))
            }  # fmt: skip
    return lines
