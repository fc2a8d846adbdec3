"""``rampway set-weight``."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.exits import Exit, Failure
from router.cli.options import Change, Connection, Format, Output
from router.cli.orders import order


def run(
    link: Connection,
    change: Change,
    route: Annotated[str, typer.Argument(help="Route.")],
    weight: Annotated[
        str, typer.Argument(metavar="[WEIGHT]", help="Candidate's share, such as 25%.")
    ] = "",
    lasting: Annotated[
        str, typer.Option("--for", help="How long it lasts, such as 30m; then the step's returns.")
    ] = "",
    lift: Annotated[bool, typer.Option("--lift", help="End the override in force.")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Override the step's weight for a time; gates go on and may roll back."""
    if lift == bool(weight):
        raise Failure(Exit.USAGE, "give a weight and --for, or --lift")
    fields = {"weight": weight, "for": lasting} if lasting else {"weight": weight}
    order(link, change, output, route, "set-weight", {} if lift else fields, risky=not lift)
