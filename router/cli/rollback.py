"""``rampway rollback``."""

from __future__ import annotations

from typing import Annotated

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order
from router.cli.parse import Option


def run(
    link: Connection,
    change: Change,
    route: Route = "",
    to: Annotated[
        str, Option("The version that must get the traffic; refused if it is another.")
    ] = "",
    *,
    instant: Annotated[
        bool, Option("All of it now, although the policy returns traffic in steps.", "--instant")
    ] = False,
    output: Format = Output.TABLE,
) -> None:
    """All traffic back to the previous version, also after completion. Never asks."""
    fields: dict[str, object] = {"to": to} if to else {}
    if instant:
        fields["instant"] = True
    order(link, change, output, route, "rollback", fields=fields)
