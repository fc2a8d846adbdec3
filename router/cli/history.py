"""``rampway history``: the journal of a route, or of all."""

from __future__ import annotations

import json
import time
from typing import Annotated, Final

from router.cli.client import Client
from router.cli.options import AdminLink
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import coloured, columns, emit, said, when
from router.control.told.answers import EntryView, JournalView
from router.core.words import percent

FOLLOW_S: Final = 1.0
"""Time between two looks of ``--follow``."""

NEW_MAX: Final = 1000
"""Entries that one look takes; more come with the next."""

HEADINGS = ("ID", "TIME", "ROUTE", "ACTION", "PHASE", "WEIGHT", "ACTOR", "WHAT")


def run(
    link: AdminLink,
    route: Annotated[str, Argument("Only this route.")] = "",
    *,
    limit: Annotated[int, Option("The last so many entries.", least=1, most=1000)] = 20,
    since: Annotated[int | None, Option("Only entries with a larger id.", least=0)] = None,
    follow: Annotated[
        bool, Option("Go on with what comes, until Ctrl-C.", "--follow", "-f")
    ] = False,
    output: Format = Output.TABLE,
) -> None:
    """What happened, who did it and why; the newest entry last."""
    client, wanted = link.client(), route or None
    entries = _entries(client, route=wanted, since=since, limit=limit)
    _show(entries, output, follow=follow)
    while follow:
        time.sleep(FOLLOW_S)
        last = entries[-1].id if entries else since or 0
        if new := _entries(client, route=wanted, since=last, limit=NEW_MAX):
            entries = new
            for entry in new:
                echo(_json(entry) if output is Output.JSON else "  ".join(_row(entry)))


def _entries(client: Client, **asked: object) -> list[EntryView]:
    """Entries of the journal, the oldest first."""
    return client.get(JournalView, "/api/v1/journal", **asked).entries[::-1]


def _json(entry: EntryView) -> str:
    return json.dumps(entry.to_json())


def _show(entries: list[EntryView], output: Output, *, follow: bool) -> None:
    if output is Output.JSON and follow:
        for entry in entries:
            echo(_json(entry))
    elif output is Output.JSON:
        emit({"entries": entries})
    else:
        echo(columns(HEADINGS, map(_row, entries)))


def _row(entry: EntryView) -> tuple[str, ...]:
    return (
        str(entry.id),
        when(entry.at),
        entry.route or "-",
        entry.action,
        coloured(entry.phase_to or "-"),
        percent(entry.weight_bp),
        entry.actor,
        said(entry),
    )
