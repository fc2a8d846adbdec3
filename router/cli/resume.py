"""``rampway resume``."""

from __future__ import annotations

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order


def run(link: Connection, change: Change, route: Route = "", output: Format = Output.TABLE) -> None:
    """Go on after a pause with what remained of the step."""
    order(link, change, output, route, "resume", risky=True)
