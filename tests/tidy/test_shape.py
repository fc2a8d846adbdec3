"""The shape of the house: sizes, names, floors, docstrings. Numbers are CONTRIBUTING.md's."""

import ast
import re
import shutil
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("router/**/*.py"), *ROOT.glob("prediction_services/**/*.py")])
FUNCTION_LINES_MAX = 61
FUNCTION_LINES_MEDIAN_MAX = 6
FILE_LINES_MAX = 500
TABLES: set[str] = set()
"""Files that are one table and may be longer."""


@cache
def nodes(path):
    return list(ast.walk(ast.parse(path.read_text())))


def functions():
    for path in SOURCES:
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                doc = ast.get_docstring(node, clean=False)
                lines = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", lines


def test_functions_are_short():
    lengths = dict(functions())
    assert {name: n for name, n in lengths.items() if n > FUNCTION_LINES_MAX} == {}
    assert statistics.median(lengths.values()) <= FUNCTION_LINES_MEDIAN_MAX


def test_files_are_short():
    long = {
        str(path.relative_to(ROOT)): n
        for path in SOURCES
        if (n := path.read_text().count("\n")) > FILE_LINES_MAX
        and str(path.relative_to(ROOT)) not in TABLES
    }
    assert long == {}


def test_types_are_told_rather_than_asserted():
    """What the caller has made sure of belongs into a type; mypy is believed."""
    text = "".join(path.read_text() for path in ROOT.glob("router/**/*.py"))
    assert text.count("noqa: S101") <= 10
    assert text.count("type: ignore") <= 2


ANYTHING_MAX = {"dict[str, Any]": 44, "Mapping[str, Any]": 24}
"""Where keys are anybody's: JSON, YAML and pydantic at the border. They may only sink."""


def test_what_has_a_shape_has_a_type():
    """A dictionary of anything is for what strangers write; under another name it is the same."""
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in ROOT.glob("router/**/*.py")}
    for kind, most in ANYTHING_MAX.items():
        found = {name: n for name, text in texts.items() if (n := text.count(kind))}
        assert sum(found.values()) <= most, found
    named = re.compile(r"^\w+(: \w+)? = (\w+ \| )*\w*([dD]ict|Mapping)\[str, Any\]", re.MULTILINE)
    assert {name for name, text in texts.items() if named.search(text)} == set()


def test_modules_are_nouns_of_the_domain():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}
    assert [p for p in SOURCES if p.stem in vague or p.parent.name in vague] == []


def public_things(body):
    """What others can name: not what is within a function or a private class."""
    for node in body:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_things(node.body)


def sets(node):
    """Whether it is the setter of a property, which has said what holds."""
    return any(getattr(decorator, "attr", "") == "setter" for decorator in node.decorator_list)


def test_public_things_say_what_holds():
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in public_things(nodes(path)[0].body)
        if not ast.get_docstring(node) and not sets(node)
    ]
    assert bare == []


def test_nothing_is_left_for_later():
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []


def test_lint_exceptions_have_reasons():
    bare = re.compile(r"#\s*(noqa(: [A-Z0-9, ]+)?|type: ignore(\[[a-z-, ]+\])?)\s*$")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []


def test_core_is_pure():
    """No clock, network, disk, randomness or heavy library: a month is simulated in a second."""
    allowed = {
        "router.core",
        "pydantic",
        "pydantic_core",
        "xxhash",
        "brotli",
        "compression",
        "backports",
        "re2",
    } | (
        set(sys.stdlib_module_names)
        - {"time", "random", "secrets", "socket", "asyncio", "os", "io", "threading", "subprocess"}
    )
    found = []
    for path in ROOT.glob("router/core/**/*.py"):
        for node in nodes(path):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                roots = {name, name.split(".")[0], ".".join(name.split(".")[:2])}
                if not roots & allowed:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
    assert found == []


@pytest.mark.skipif(
    shutil.which("lint-imports", path=str(Path(sys.executable).parent)) is None,
    reason="import-linter is not installed (pip install 'rampway[dev]')",
)
def test_floors():
    tool = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run(  # the tool of the venv that runs the tests
        [tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_tasks_and_threads_begin_in_one_place():
    """What must run for ever has a net, and is counted, because router/loops.py starts it."""
    begins = {"create_task", "ensure_future", "TaskGroup", "Thread", "ThreadPoolExecutor"}
    allowed = {
        ("router/loops.py", "create_task"),
        ("router/loops.py", "Thread"),
        # Calls are awaited where they are made, with their exceptions.
        ("router/control/state/sqlite.py", "ThreadPoolExecutor"),
        ("router/control/reviews/questions.py", "ThreadPoolExecutor"),
    }
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in ROOT.glob("router/**/*.py")
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and (name := getattr(node.func, "attr", getattr(node.func, "id", ""))) in begins
    }
    assert found == allowed


def test_requests_are_written_where_connections_are():
    """`upstream` takes heads and pieces: only then can a connection speak another protocol."""
    writes = re.compile(r"\brequest_head\b|\bResponseParser\b")
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if writes.search(path.read_text()) and "router/http1/" not in str(path)
    }
    assert found == {"router/upstream/connection.py", "router/upstream/health.py"}


CIRCLES_MAX = 3
"""Groups of files of one package that import each other, types included; each a thing in parts."""
CIRCLE_FILES_MAX = 4


def test_files_import_each_other_in_few_and_small_circles():
    """A reader can begin somewhere. The floors hold packages apart; this is about their insides."""
    found = circles(imports_of_files())
    assert max(map(len, found), default=0) <= CIRCLE_FILES_MAX, found
    assert len(found) <= CIRCLES_MAX, found


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]


def imports_of_files():
    """Module to the modules of `router` that it names, under TYPE_CHECKING and in functions too."""
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in ROOT.glob("router/**/*.py")
    }
    graph = {}
    for name, path in names.items():
        found = set()
        for node in nodes(path):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= (whole & set(names)) | ({node.module} if whole - set(names) else set())
        graph[name] = (found & set(names)) - {name}
    return graph


def circles(graph):
    """The strongly connected groups of more than one, each sorted."""

    def reached(start):
        seen, todo = set(), [start]
        while todo:
            for other in graph[todo.pop()] - seen:
                seen.add(other)
                todo.append(other)
        return seen

    reach = {name: reached(name) for name in graph}
    groups = {
        frozenset(other for other in reach[name] if name in reach[other])
        for name in graph
        if name in reach[name]
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


SLEEPS_MAX = 5
"""Of 0.3 s or more, in tests (programs that measure are none): a real clock is what is tested."""


def test_tests_seldom_sleep():
    long = re.compile(r"\bsleep\((0\.[3-9]\d*|[1-9][\d.]*)\)")
    found = [
        f"{path.relative_to(ROOT)}: {match}"
        for path in ROOT.glob("tests/**/*.py")
        if "__main__" not in (text := path.read_text()) and "bench" not in path.parts
        for match in long.findall(text)
    ]
    assert len(found) <= SLEEPS_MAX, found
