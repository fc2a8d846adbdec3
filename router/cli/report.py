"""``rampway report``: what a route did in a stretch of time, as a page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.options import AdminLink
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.why import moment
from router.control.told.answers import JournalView

if TYPE_CHECKING:
    from router.reader.reported import ReportedDecision


def run(  # noqa: PLR0917 - its options
    link: AdminLink,
    route: Annotated[str, Argument("Route.")],
    log: Annotated[str, Option("The prediction log: prediction_log.file.")] = "rampway-log.db",
    since: Annotated[str, Option("From this time on (2026-11-27T10:00).", "--from")] = "",
    until: Annotated[str, Option("Before this time.", "--to")] = "",
    out: Annotated[Path, Option("Name of the page and of the JSON.")] = Path("rampway-report"),
) -> None:
    """Write a report of a route: data quality, model performance and decisions, from its log."""
    from router.cli.log import table_errors, there  # noqa: PLC0415 - other verbs start without it
    from router.reader import report as reports  # noqa: PLC0415 - as above
    from router.reader.export import ExportScope  # noqa: PLC0415 - as above
    from router.reader.report_page import render  # noqa: PLC0415 - as above

    there(log, "--log names the prediction log")
    begin, end = moment(since) if since else 0.0, moment(until) if until else float("inf")
    try:
        with table_errors(log):
            made = reports.report(log, route, ExportScope(route, begin, end))
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, str(error)) from None
    made["timeline"] = list(_timeline(link, route, made["from"], made["to"]))
    page, data = out.with_suffix(".html"), out.with_suffix(".json")
    page.write_text(render(made), encoding="utf-8")
    data.write_text(json.dumps(made, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    echo(f"{page}, {data}")


def _timeline(link: AdminLink, route: str, begin: float, end: float) -> Iterator[ReportedDecision]:
    """The decisions of that time, the oldest first; none where no router answers."""
    try:
        told = link.client().get(JournalView, "/api/v1/journal", route=route, limit=1000)
    except VerbFailed as failed:
        echo(f"rampway: without decisions: {failed}", err=True)
        return
    for entry in reversed(told.entries):
        if begin - 86_400 <= entry.at <= end:
            yield {
                "at": entry.at, "action": entry.action, "actor": entry.actor,
                "weight_bp": entry.weight_bp, "reason": entry.reason,
            }  # fmt: skip
