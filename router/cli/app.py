"""The command itself: finds a verb's module when the verb is named, and ends with its exit code."""

from __future__ import annotations

import inspect
import os
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any

import click

import router
from router.cli.exits import Exit, VerbFailed
from router.cli.parse import VerbFunction, command

HELP = "Rampway: deployment-strategy traffic router for prediction services."

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


class Rampway(click.Group):
    """The group of all verbs. A verb's module is imported when it is used, not for ``--help``."""

    def __init__(self, verbs: dict[str, str]) -> None:
        super().__init__(
            "rampway", help=HELP, no_args_is_help=True,
            context_settings={"help_option_names": ["-h", "--help"]},
            params=[click.Option(
                ["--version"], is_flag=True, is_eager=True, expose_value=False,
                callback=_version, help="The version of rampway, and nothing else.",
            )],
        )  # fmt: skip
        self._headings = dict(verbs)
        self._runs: dict[str, VerbFunction] = {}

    def add(self, verb: str, heading: str, run: VerbFunction) -> None:
        """A verb that lives on a higher floor; it is listed first."""
        self._headings = {verb: heading, **self._headings}
        self._runs[verb] = run

    def heading(self, verb: str) -> str:
        """The heading of a verb in the help. KeyError for an unknown one."""
        return self._headings[verb]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All verbs, in the order of the table."""
        return list(self._headings)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb; None for an unknown one, with a hint if it is nearly one."""
        if cmd_name in self._headings:
            return command(cmd_name, self._runs.get(cmd_name) or run_of(cmd_name))
        from difflib import get_close_matches  # noqa: PLC0415 - only for a slip

        near = get_close_matches(cmd_name, self._headings, 1)
        if near and not ctx.resilient_parsing:
            ctx.fail(f"no such verb {cmd_name!r}; did you mean {near[0]!r}?")
        return None

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Verbs under their headings."""
        for heading in dict.fromkeys(self._headings.values()):
            verbs = [verb for verb in self._headings if self.heading(verb) == heading]
            with formatter.section(heading):
                formatter.write_dl([(verb, self._short(verb)) for verb in verbs])

    def _short(self, verb: str) -> str:
        """What a verb does, in the first sentence of its docstring."""
        run = self._runs.get(verb)
        text = inspect.cleandoc((run.__doc__ if run else docstring_of(verb)) or "")
        return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb. A :class:`VerbFailed` becomes one line on stderr and its exit code."""
        try:
            return super().invoke(ctx)
        except VerbFailed as failure:
            if str(failure):
                click.echo(f"rampway: {failure}", err=True)
            ctx.exit(failure.code)
        except ModuleNotFoundError as missing:
            extra = EXTRAS.get((missing.name or "").partition(".")[0])
            if extra is None:
                raise
            click.echo(
                f"rampway: {ctx.invoked_subcommand} needs {missing.name}, which the extra "
                f"{extra!r} brings; in a checkout of Rampway: pip install '.[{extra}]'", err=True,
            )  # fmt: skip
            ctx.exit(Exit.USAGE)
        except BrokenPipeError:
            # `rampway history | head`: the reader has enough, and nothing is wrong. What is still
            # buffered goes nowhere, or Python would complain about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


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


def _version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"rampway {router.__version__}")
        ctx.exit(0)
