"""``rampway history``: the journal of a route, or of all."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from router.cli.options import Connection, Format, Output
from router.cli.show import coloured, columns, emit, when
from router.core.words import percent

HEADINGS = ("ID", "TIME", "ROUTE", "ACTION", "PHASE", "WEIGHT", "ACTOR", "REASON")


def run(
    link: Connection,
    route: Annotated[str, typer.Argument(help="Only this route.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The last so many entries.")] = 20,
    since: Annotated[
        int | None, typer.Option(min=0, help="Only entries with a larger id.")
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """What happened, who did it and why; the newest entry last."""
    found = link.client().get("/api/v1/journal", route=route or None, since=since, limit=limit)
    entries = found["entries"][::-1]
    if output is Output.JSON:
        emit({"entries": entries})
    else:
        typer.echo(columns(HEADINGS, map(_row, entries)))


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
