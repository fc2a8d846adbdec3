"""``rampway freeze``."""

from __future__ import annotations

from typing import Annotated

import click

from router.cli.options import Connection, Format, Output
from router.cli.parse import Option
from router.cli.show import emit


def run(
    link: Connection,
    off: Annotated[bool, Option("Let rollouts advance again.", "--off")] = False,
    reason: Annotated[str, Option("Why; goes into the journal.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """Stop every advance of every rollout until --off; rollbacks go on. Survives restarts."""
    answer = link.client().post("/api/v1/freeze", {"frozen": not off, "reason": reason}, {})
    if output is Output.JSON:
        emit(answer)
    else:
        click.echo("all rollouts stand still" if answer["frozen"] else "rollouts advance again")
