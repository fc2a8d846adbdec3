"""``rampway promote``."""

from __future__ import annotations

from typing import Annotated

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order
from router.cli.parse import Option


def run(
    link: Connection,
    change: Change,
    route: Route = "",
    full: Annotated[bool, Option("Skip all steps: to the bake at 100 %.", "--full")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Leave the present step now (also: approve it); --full skips all steps."""
    order(link, change, output, route, "promote", fields={"full": full}, risky=True)
