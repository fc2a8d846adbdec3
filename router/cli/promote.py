"""``rampway promote``."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order


def run(
    link: Connection,
    change: Change,
    route: Route = "",
    full: Annotated[
        bool, typer.Option("--full", help="Skip all steps: to the bake at 100 %.")
    ] = False,
    output: Format = Output.TABLE,
) -> None:
    """Leave the present step now (also: approve it); --full skips all steps."""
    order(link, change, output, route, "promote", {"full": full}, risky=True)
