"""``rampway list``: one line a route."""

from __future__ import annotations

from typing import Any

import click

from router.cli.options import AdminLink, Format, Output
from router.cli.show import coloured, columns, emit
from router.core.words import percent

HEADINGS = ("ROUTE", "STRATEGY", "STATUS", "PHASE", "STABLE", "CANDIDATE", "WEIGHT", "REVISION")


def run(link: AdminLink, output: Format = Output.TABLE) -> None:
    """One line a route: strategy, status, versions, and the candidate's share."""
    routes = link.client().routes()
    if output is Output.JSON:
        emit({"routes": routes})
    else:
        click.echo(columns(HEADINGS, map(_row, routes)))


def _row(route: dict[str, Any]) -> tuple[str, ...]:
    live = bool(route.get("candidate"))
    return (
        route["name"],
        route.get("strategy") or "-",
        coloured(route.get("health") or "-"),
        coloured(route.get("phase") or "-") + (", frozen" if route.get("frozen") else ""),
        route.get("stable") or "-",
        route.get("candidate") or "-",
        percent(route.get("weight_bp") or 0) if live else "-",
        str(route.get("revision", "-")),
    )
