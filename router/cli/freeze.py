"""``rampway freeze``."""

from __future__ import annotations

from typing import Annotated, Any

import click

from router.cli.options import Connection, Format, Output
from router.cli.parse import Argument, Option
from router.cli.show import emit


def run(
    link: Connection,
    route: Annotated[str, Argument("Route that stands still; absent: all.")] = "",
    *,
    off: Annotated[bool, Option("Let rollouts advance again.", "--off")] = False,
    lasting: Annotated[str, Option("How long, such as 12h; absent: until --off.", "--for")] = "",
    reason: Annotated[str, Option("Why; goes into the journal.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """Stop every advance of rollouts until --off; rollbacks go on. Survives restarts."""
    body: dict[str, Any] = {"frozen": not off, "reason": reason}
    if route:
        body["route"] = route
    if lasting:
        body["for"] = lasting
    answer = link.client().post("/api/v1/freeze", body, {})
    if output is Output.JSON:
        emit(answer)
        return
    if not answer["frozen"]:
        click.echo(f"{route} may advance again" if route else "rollouts advance again")
        return
    until = f" for {lasting}" if lasting else ""
    click.echo(f"{route} stands still{until}" if route else f"all rollouts stand still{until}")
