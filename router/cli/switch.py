"""``rampway switch``."""

from __future__ import annotations

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order


def run(
    link: Connection,
    change: Change,
    route: Route = "",
    output: Format = Output.TABLE,
) -> None:
    """Blue-green: all new requests to the candidate now; rollback undoes it at once."""
    order(link, change, output, route, "switch", risky=True)
