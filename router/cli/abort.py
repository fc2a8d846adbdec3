"""``rampway abort``."""

from __future__ import annotations

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order


def run(link: Connection, change: Change, route: Route = "", output: Format = Output.TABLE) -> None:
    """Give up before completion: all traffic to stable, at once. Never asks."""
    order(link, change, output, route, "abort")
