"""``rampway set-weight``."""

from __future__ import annotations

from typing import Annotated

from router.cli.exits import Exit, Failure
from router.cli.options import Change, Connection, Format, Output
from router.cli.orders import order
from router.cli.parse import Argument, Option


def run(
    link: Connection,
    change: Change,
    route: Annotated[str, Argument("Route.")],
    weight: Annotated[str, Argument("Candidate's share, such as 25%.", metavar="[WEIGHT]")] = "",
    *,
    lasting: Annotated[
        str, Option("How long it lasts, such as 30m; then the step's returns.", "--for")
    ] = "",
    lift: Annotated[bool, Option("End the override in force.", "--lift")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Override the step's weight for a time; gates go on and may roll back."""
    if lift == bool(weight):
        raise Failure(Exit.USAGE, "give a weight and --for, or --lift")
    fields = {"weight": weight, "for": lasting} if lasting else {"weight": weight}
    wanted = {} if lift else fields
    order(link, change, output, route, "set-weight", fields=wanted, risky=not lift)
