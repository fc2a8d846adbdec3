"""The verbs, where each lives, and how each ends; what a verb needs that is given plainly.

Whatever is no plain command line goes to :mod:`router.cli.group`, which knows all of the language:
its library takes three times as long to import as Python to start.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from pathlib import Path

from router.cli.exits import Exit, VerbFailed
from router.cli.parse import VerbFunction, gathered, plain, wanted
from router.cli.say import echo

VERBS: dict[str, str] = {
    "list": "Watch",
    "get": "Watch",
    "status": "Watch",
    "wait": "Watch",
    "why": "Watch",
    "history": "Watch",
    "shadow": "Watch",
    "monitors": "Watch",
    "review": "Watch",
    "pipeline": "Watch",
    "whois": "Watch",
    "promote": "Act",
    "switch": "Act",
    "pause": "Act",
    "resume": "Act",
    "abort": "Act",
    "rollback": "Act",
    "retry": "Act",
    "set-weight": "Act",
    "freeze": "Act",
    "init": "Policy",
    "check": "Policy",
    "plan": "Policy",
    "simulate": "Policy",
    "replay": "Policy",
    "judge": "Policy",
    "score": "Policy",
    "diff": "Policy",
    "import": "Policy",
    "schema": "Policy",
    "store": "Router",
    "log": "Router",
    "table": "Router",
    "report": "Watch",
    "doctor": "Router",
    "version": "Router",
}
"""Verb -> its heading in the help; see :func:`run_of` for where it lives."""

EXTRAS: dict[str, str] = {"numpy": "simulate", "pyarrow": "parquet"}
"""A package that the bare wheel does not bring -> the extra of pyproject.toml that does."""


def attempt(argv: Sequence[str], more: Mapping[str, VerbFunction]) -> int | None:
    """Carry a plain command line out: its exit code. None: it is not plain, and nothing was done.

    ``more``: verbs that live on a higher floor.
    """
    verb = argv[0] if argv else ""
    if (verb not in VERBS and verb not in more) or "_RAMPWAY_COMPLETE" in os.environ:
        return None

    code: int | None = None

    def carry() -> None:
        nonlocal code
        run = more.get(verb) or run_of(verb)
        if not gc.isenabled():  # what was imported stays
            gc.freeze()
            gc.enable()
        parameters = wanted(run)
        if (values := plain(parameters, argv[1:], os.environ)) is not None:
            code = Exit.OK
            run(**gathered(parameters, values))

    try:
        return ended(carry, lambda: verb) or code
    except (EOFError, KeyboardInterrupt):
        echo("\nAborted!", err=True)
        return Exit.UNEXPECTED


def ended(run: Callable[[], object], verb: Callable[[], str | None]) -> int:
    """Do it; its exit code. A :class:`VerbFailed` becomes one line on stderr and its code."""
    try:
        run()
    except VerbFailed as failure:
        if str(failure):
            echo(f"rampway: {failure}", err=True)
        return failure.code
    except ModuleNotFoundError as missing:
        extra = EXTRAS.get((missing.name or "").partition(".")[0])
        if extra is None:
            raise
        echo(
            f"rampway: {verb()} needs {missing.name}, which the extra {extra!r} brings; "
            f"in a checkout of Rampway: pip install '.[{extra}]'", err=True,
        )  # fmt: skip
        return Exit.USAGE
    except BrokenPipeError:
        # `rampway history | head`: the reader has enough, and nothing is wrong. What is still
        # buffered goes nowhere, or Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK


def run_of(verb: str) -> VerbFunction:
    """The function of a verb. Orders are ``router.cli.act.VERB``, others ``router.cli.VERB.run``.

    ``set-weight`` is ``set_weight``, ``import`` is in the module ``import_``.
    """
    module, function = _home(verb)
    run: VerbFunction = getattr(import_module(f"router.cli.{module}"), function)
    return run


def docstring_of(verb: str) -> str:
    """The docstring of a verb's function, read without running or parsing its module.

    Importing all verbs takes a second, since some bring the policy models or the simulator.
    """
    module, function = _home(verb)
    source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    _, _, behind = source.partition(f"\ndef {function}(")
    return behind.partition('"""')[2].partition('"""')[0]


def _home(verb: str) -> tuple[str, str]:
    name = verb.replace("-", "_")
    module, function = ("act", name) if VERBS[verb] == "Act" else (name, "run")
    return (f"{module}_" if iskeyword(module) else module), function
