"""``rampway retry``."""

from __future__ import annotations

from typing import Annotated

from router.cli.options import Change, Connection, Format, Output, Route
from router.cli.orders import order
from router.cli.parse import Option


def run(
    link: Connection,
    change: Change,
    route: Route = "",
    *,
    force: Annotated[bool, Option("Even though it was tried too often or too soon.")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Start again from the first step after an abort or a rollback."""
    fields = {"force": True} if force else None
    order(link, change, output, route, "retry", fields=fields, risky=True)
