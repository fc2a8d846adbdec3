"""The command line reads what a router says as its types, and knows no answer by heart."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from router.cli.client import Client
from router.cli.exits import Exit, VerbFailed
from router.control.state.answers import Announcement
from router.control.state.record import JournalEntry
from router.control.told.answers import AnnouncementView, EntryView
from router.control.told.views import RoutesView

CLI = Path(__file__).parents[2] / "router" / "cli"
OFFLINE = ("check", "plan", "score")
"""Verbs whose answers are their own."""


def annotations(tree: ast.Module) -> set[str]:
    """Every annotation of a module, as text."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            found.add(ast.unparse(node.annotation))
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            found.add(ast.unparse(node.returns))
    return found


@pytest.mark.parametrize("path", sorted(CLI.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_router_says_is_never_a_bare_dictionary(path):
    bare = {text for text in annotations(ast.parse(path.read_text())) if "dict[str, Any]" in text}
    assert not bare or path.stem in (*OFFLINE, "report")  # a report is a document of its own


@pytest.mark.parametrize(
    ("made", "seen"),
    [(Announcement, AnnouncementView), (JournalEntry, EntryView)],
)
def test_what_the_control_plane_makes_has_the_keys_of_its_view(made, seen):
    told = {"line"} if made is JournalEntry else set()
    assert set(made.__dataclass_fields__) | told == set(seen.__struct_fields__)


def test_an_answer_of_another_shape_is_told_with_its_place(router, monkeypatch):
    """Of another release, or of something else that listens there."""

    async def routes():
        return [{"name": 1}]

    monkeypatch.setattr(router.controller, "routes", routes)
    with pytest.raises(VerbFailed, match=r"another release: .*\$\.routes\[0\]") as failed:
        Client(router.server.url).get(RoutesView, "/api/v1/routes")
    assert failed.value.code is Exit.UNREACHABLE
