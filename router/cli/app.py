"""The command itself: finds a verb's module when the verb is named, and ends with its exit code."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from router.cli.exits import Failure
from router.cli.parse import Run, command

HELP = "Rampway: deployment-strategy traffic router for prediction services."

VERBS: dict[str, str] = {
    "list": "Watch",
    "get": "Watch",
    "status": "Watch",
    "wait": "Watch",
    "why": "Watch",
    "history": "Watch",
    "shadow": "Watch",
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
    "check": "Policy",
    "plan": "Policy",
    "simulate": "Policy",
    "replay": "Policy",
    "diff": "Policy",
    "import": "Policy",
    "schema": "Policy",
    "doctor": "Router",
    "version": "Router",
}
"""Verb -> its heading in the help; see :func:`run_of` for where it lives."""


class Rampway(click.Group):
    """The group of all verbs. A module is imported when its verb is used, and for ``--help``."""

    def __init__(self, verbs: dict[str, str]) -> None:
        super().__init__(
            "rampway", help=HELP, no_args_is_help=True,
            context_settings={"help_option_names": ["-h", "--help"]},
        )  # fmt: skip
        self._headings = dict(verbs)
        self._runs: dict[str, Run] = {}

    def add(self, verb: str, heading: str, run: Run) -> None:
        """A verb that lives on a higher floor; it is listed first."""
        self._headings = {verb: heading, **self._headings}
        self._runs[verb] = run

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All verbs, in the order of the table."""
        return list(self._headings)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb; None for an unknown one, with a hint if it is nearly one."""
        if cmd_name in self._headings:
            return command(cmd_name, self._runs.get(cmd_name) or run_of(cmd_name))
        near = get_close_matches(cmd_name, self._headings, 1)
        if near and not ctx.resilient_parsing:
            ctx.fail(f"no such verb {cmd_name!r}; did you mean {near[0]!r}?")
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Verbs under their headings."""
        for heading in dict.fromkeys(self._headings.values()):
            rows = []
            for verb, under in self._headings.items():
                found = self.get_command(ctx, verb) if under == heading else None
                if found is not None:
                    rows.append((verb, found.get_short_help_str(100)))
            with formatter.section(heading):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb. A :class:`Failure` becomes one line on stderr and its exit code."""
        try:
            return super().invoke(ctx)
        except Failure as failure:
            if str(failure):
                click.echo(f"rampway: {failure}", err=True)
            ctx.exit(failure.code)
        except BrokenPipeError:
            # `rampway history | head`: the reader has enough, and nothing is wrong. What is still
            # buffered goes nowhere, or Python would complain about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


def run_of(verb: str) -> Run:
    """The function of a verb. Orders are ``router.cli.act.VERB``, others ``router.cli.VERB.run``.

    ``set-weight`` is ``set_weight``, ``import`` is in the module ``import_``.
    """
    name = verb.replace("-", "_")
    module, function = ("act", name) if VERBS[verb] == "Act" else (name, "run")
    if iskeyword(module):
        module += "_"
    run: Run = getattr(import_module(f"router.cli.{module}"), function)
    return run
