"""``rampway history``: the journal of a route, or of all."""

from __future__ import annotations

from typing import Annotated, Any

import click

from router.cli.options import AdminLink, Format, Output
from router.cli.parse import Argument, Option
from router.cli.show import coloured, columns, emit, when
from router.core.words import percent

HEADINGS = ("ID", "TIME", "ROUTE", "ACTION", "PHASE", "WEIGHT", "ACTOR", "REASON")


def run(
    link: AdminLink,
    route: Annotated[str, Argument("Only this route.")] = "",
    limit: Annotated[int, Option("The last so many entries.", least=1, most=1000)] = 20,
    since: Annotated[int | None, Option("Only entries with a larger id.", least=0)] = None,
    output: Format = Output.TABLE,
) -> None:
    """What happened, who did it and why; the newest entry last."""
    found = link.client().get("/api/v1/journal", route=route or None, since=since, limit=limit)
    entries = found["entries"][::-1]
    if output is Output.JSON:
        emit({"entries": entries})
    else:
        click.echo(columns(HEADINGS, map(_row, entries)))


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(entry["id"]),
        when(entry["at"]),
        entry["route"] or "-",
        entry["action"],
        coloured(entry["phase_to"] or "-"),
        percent(entry["weight_bp"]),
        entry["actor"],
        entry["reason"],
    )
