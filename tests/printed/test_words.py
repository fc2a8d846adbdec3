"""Commands in sentences and in hints that the program prints: their verbs and options exist."""

import ast
import re

import click
import pytest

from router.__main__ import app
from tests.printed.commands import ROOT, Printed, inline

HINT = re.compile(r"`(rampway [a-z][^`]*)`|^\s*(rampway [a-z-]+ \S.*)$", re.MULTILINE)


def hints():
    """Commands in the texts that the program prints: every string that is no docstring."""
    for path in sorted((ROOT / "router").rglob("*.py")):
        if "rampway " not in (text := path.read_text()):
            continue
        nodes = list(ast.walk(ast.parse(text)))
        docs = {
            id(node.body[0].value)
            for node in nodes
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in nodes:
            if isinstance(node, ast.Constant) and id(node) not in docs:
                for match in HINT.finditer(str(node.value)):
                    yield Printed(str(path.relative_to(ROOT)), match[1] or match[2])


@pytest.mark.parametrize("printed", [*inline(), *dict.fromkeys(hints())], ids=str)
def test_verb_and_options_exist(printed):
    words = printed.text.split()
    command = app.get_command(click.Context(app), words[1])
    assert command is not None, f"no verb {words[1]!r}"
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    asked = {re.split(r"[=,.;]", word)[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
    assert asked <= known
