"""The command line reads nothing of an answer that the answer's type does not have."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from router.admin.commands import OfferedRollout
from router.control.state.answers import CommandResult
from router.control.state.record import JournalEntry
from router.control.told import views
from router.core.pairs.compare import Compare
from router.core.pairs.shadow import ShadowBook, Terms

CLI = Path(__file__).parents[2] / "router" / "cli"

TYPES = [
    OfferedRollout,
    *(
        kind
        for _, kind in inspect.getmembers(views, inspect.isclass)
        if issubclass(kind, views.View)
    ),
]
BRIEF = ShadowBook(Terms("v1", "v2", Compare(), "json", ())).brief()

KNOWN = {
    *(field.name for kind in TYPES for field in msgspec.structs.fields(kind)),
    *(field.name for kind in (CommandResult, JournalEntry) for field in fields(kind)),
    *BRIEF, *BRIEF["score"],
    "routes", "rollouts", "entries",  # what a page, a snapshot, a journal are made of
    "NO_COLOR", "If-Match", "/api/v1/journal",  # no answers
}  # fmt: skip

READERS = ("show", "get", "live", "status", "wait", "list", "follow", "history", "orders")


def read_by(name: str) -> set[str]:
    """Every text that a module looks up by."""
    found = set()
    for node in ast.walk(ast.parse((CLI / f"{name}.py").read_text())):
        key = None
        if isinstance(node, ast.Subscript):
            key = node.slice
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get" and node.args:
            key = node.args[0]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.add(key.value)
    return found


@pytest.mark.parametrize("name", READERS)
def test_every_key_that_is_read_is_one_that_is_said(name):
    read = read_by(name)
    assert read
    assert read - KNOWN == set()
