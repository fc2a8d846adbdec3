"""``rampway freeze``."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.options import Connection, Format, Output
from router.cli.show import emit


def run(
    link: Connection,
    off: Annotated[bool, typer.Option("--off", help="Let rollouts advance again.")] = False,
    reason: Annotated[str, typer.Option(help="Why; goes into the journal.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """Stop every advance of every rollout until --off; rollbacks go on. Survives restarts."""
    answer = link.client().post("/api/v1/freeze", {"frozen": not off, "reason": reason}, {})
    if output is Output.JSON:
        emit(answer)
    else:
        typer.echo("all rollouts stand still" if answer["frozen"] else "rollouts advance again")
