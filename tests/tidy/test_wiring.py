"""Nothing is half connected: what the product writes it reads, and what it offers it uses.

Tests cannot show it, since they call what nobody else calls; so mypy is asked for the type of every
expression (wiring.py) and the product is searched. docs/decisions/011-nothing-half-connected.md
tells which faults were put back to see each of these tests red.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wiring, pytest.mark.timeout(600)]  # mypy reads all of it

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = ("router.core.wire.", "router.link.")
"""Where the values live that travel between the planes."""

FAKES = {
    "router.simulation.run.Setup.constant": "one weight for ever, for tables of detection times",
    "router.simulation.run.SimulatedRun.bad": "what such tables show",
    "router.simulation.run.SimulatedRun.requests": "likewise",
}
"""Shipped for tests and simulations of people who use the package; nothing else may be unused."""

CALLED_FROM_OUTSIDE = {
    "router.http1.derivable.mypyc_attr": "mypy reads the compiler's own in its place",
    "router.http1.reader.Completion.on_message_complete": "llhttp calls it by name",
    "router.telemetry.processes._Processes.collect": "prometheus_client calls it by name",
    "router.telemetry.log.Unfailing.flush": "print and logging call it by name",
}


@cache
def facts():
    told = subprocess.run(
        [sys.executable, Path(__file__).with_name("wiring.py"), ROOT],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    found = json.loads(told.stdout)
    assert len(found["classes"]) > 300, "mypy has read too little to say anything"
    return found


@cache
def by_name(what):
    """{attribute: owners} of everything that is read (or written)."""
    found = {}
    for key in facts()[what]:
        owner, _, name = key.rpartition(":")
        found.setdefault(name, set()).add(owner)
    return found


@cache
def subclasses():
    found = {}
    for name, about in facts()["classes"].items():
        for base in about["mro"]:
            found.setdefault(base, set()).add(name)
    return found


def relatives(name):
    """A value of this class may be known as one of these."""
    classes = facts()["classes"]
    protocols = {one for one, about in classes.items() if about["protocol"]}
    return ((set(classes[name]["mro"]) | subclasses()[name]) - {"builtins.object"}) | protocols


def used(name, attribute, what="reads", *, whole=True):
    """``whole``: also by what reads every field, such as asdict."""
    owners = by_name(what).get(attribute, set()) | (
        by_name(what).get("*", set()) if whole else set()
    )
    return bool(owners & relatives(name)) or "" in by_name(what).get(attribute, set())


def fields():
    """Every field of a value: of dataclasses and of what is written in a policy."""
    for name, about in facts()["classes"].items():
        policy = "router.core.spec.Spec" in about["mro"][1:]
        if not (about["data"] or policy) or about["tuple"] or about["protocol"]:
            continue
        for field in about["fields"]:
            if not re.match(r"_|[A-Z]|.*-redefinition", field) and field != "model_config":
                yield name, field


def test_every_field_is_read():
    """Handing a field on to a new value of the same kind is not reading it."""
    unread = {f"{name}.{field}" for name, field in fields() if not used(name, field)}
    assert unread - FAKES.keys() == set()


def test_every_field_of_a_message_is_written():
    unwritten = {
        f"{name}.{field}"
        for name, field in fields()
        if name.startswith(MESSAGES) and not used(name, field, "writes")
    }
    assert unwritten == set()


def methods():
    """Public methods, except those that a base from outside (asyncio, click) asks for."""
    for name, about in facts()["classes"].items():
        asked = {method for base in about["mro"] for method in offered(base)}
        for method in about["methods"]:
            if not method.startswith("_") and method not in asked:
                yield name, method


@cache
def offered(base):
    """Names that a class from outside has."""
    module, _, name = base.rpartition(".")
    if base.startswith("router."):
        return frozenset()
    try:
        return frozenset(dir(getattr(import_module(module), name)))
    except (ImportError, AttributeError):  # a name that only stubs have
        return frozenset()


def test_every_public_method_is_used():
    unused = {
        f"{name}.{method}" for name, method in methods() if not used(name, method, whole=False)
    }
    assert unused - FAKES.keys() - CALLED_FROM_OUTSIDE.keys() == set()


@cache
def named():
    """Everything that some module names, behind re-exports."""
    exported = facts()["imports"]
    found = set()
    for key in facts()["names"]:
        name, before = key.partition(":")[2], None
        while name != before:
            before, name = name, exported.get(name, name)
        found.add(name)
    return found


def verbs():
    """The functions of the command line, which are found by the name of their verb."""
    from router.cli import VERBS
    from router.cli.app import run_of

    runs = [run_of(verb) for verb in VERBS]
    return {f"{run.__module__}.{run.__name__}" for run in runs}


def test_every_public_function_is_used():
    public = {one for one in facts()["functions"] if not one.rpartition(".")[2].startswith("_")}
    assert public - named() - verbs() - FAKES.keys() - CALLED_FROM_OUTSIDE.keys() == set()


def test_every_public_class_is_used():
    texts = {key.partition(":")[2] for key in facts()["texts"]}
    unused = {
        name
        for name, about in facts()["classes"].items()
        if not about["private"] and name not in named() and name.rpartition(".")[2] not in texts
    }
    assert unused - FAKES.keys() == set()


def test_every_error_is_raised():
    """One that is only caught, or only has a status, tells of something that never happens."""
    made = {key.partition(":")[0] for key in facts()["made"]}
    silent = {
        name
        for name, about in facts()["classes"].items()
        if "builtins.BaseException" in about["mro"] and not subclasses()[name] & made
    }
    assert silent == set()


def test_what_is_excused_is_still_there():
    known = set(facts()["classes"]) | set(facts()["functions"])
    known |= {f"{name}.{field}" for name, about in facts()["classes"].items()
              for field in (*about["fields"], *about["methods"])}  # fmt: skip
    assert (FAKES.keys() | CALLED_FROM_OUTSIDE.keys()) - known == set()


# --- names ---------------------------------------------------------------------------------------


def public_names():
    """Class -> modules that define one of this name; names for types of values are classes too."""
    found = {}
    for path in sorted(ROOT.glob("router/**/*.py")):
        for node in ast.parse(path.read_text()).body:
            name = ""
            if isinstance(node, ast.ClassDef):
                name = node.name
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                kind = isinstance(node.value, ast.Subscript | ast.BinOp)
                name = node.targets[0].id if kind else ""
            if name[:1].isupper() and not name.isupper():
                found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


TWICE = {"Problem": "of RFC 9457, as the document of the API calls it, and of a policy"}
"""At most three, each until its second home has another name."""


def test_no_public_class_name_stands_twice():
    """Who reads `Route` knows which one. What a worker knows of something is its ...Entry."""
    twice = {name for name, places in public_names().items() if len(places) > 1}
    assert twice - set(TWICE) == set()
    assert len(TWICE) <= 3
