"""``rampway pause``."""

from __future__ import annotations

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order


def run(link: Connection, change: Change, route: Route = "", output: Format = Output.TABLE) -> None:
    """Stand still at the present weight; gates go on watching and may roll back."""
    order(link, change, output, route, "pause")
