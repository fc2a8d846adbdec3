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
    output: Format = Output.TABLE,
) -> None:
    """All traffic back to the previous version, at once, also after completion. Never asks."""
    order(link, change, output, route, "rollback", fields={"to": to} if to else None)
