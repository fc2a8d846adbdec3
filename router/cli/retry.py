"""``rampway retry``."""

from __future__ import annotations

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order


def run(link: Connection, change: Change, route: Route = "", output: Format = Output.TABLE) -> None:
    """Start again from the first step after an abort or a rollback."""
    order(link, change, output, route, "retry", risky=True)
