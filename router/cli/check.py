"""``rampway check``: everything that is wrong with a policy, before a router reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click

from router.cli.exits import Exit, Failure
from router.cli.options import Format, Output
from router.cli.parse import Argument, Option
from router.cli.show import emit
from router.config.check import load
from router.config.problems import PolicyError, Problem, render
from router.core.words import count


def run(
    policies: Annotated[list[Path], Argument("Policy files.", metavar="POLICY...")],
    strict: Annotated[bool, Option("Warnings fail as well.", "--strict")] = False,
    output: Format = Output.TABLE,
) -> None:
    """All problems of policies at once, with line, column and hint; exit 2 if there are any."""
    found: list[Problem] = []
    failed = False
    for path in policies:
        try:
            warnings = list(load(path).warnings)
            failed |= strict and bool(warnings)
        except PolicyError as error:
            warnings = error.problems
            failed = True
        found += warnings
        if output is Output.TABLE and not warnings:
            click.echo(f"{path}: ok")
    if output is Output.JSON:
        emit({"ok": not failed, "problems": [problem.to_json() for problem in found]})
    elif found:
        click.echo(render(found))
    if failed:
        said = "" if output is Output.JSON else count(len(found), "problem")
        raise Failure(Exit.USAGE, said)
