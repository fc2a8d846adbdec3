"""``rampway status``: follows a rollout to its end and ends with its exit code."""

from __future__ import annotations

from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.follow import follow, line
from router.cli.options import AdminLink
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.seconds import parse_seconds
from router.cli.show import DEGRADED, HEALTHY, coloured, columns, emit


def run(
    link: AdminLink,
    route: Annotated[str, Argument("Route to follow; absent: all, once.")] = "",
    watch: Annotated[
        bool,
        Option("Follow it until it is Healthy or Degraded.", "--watch/--no-watch", "-w"),
    ] = True,
    timeout: Annotated[
        str, Option("Give up after this (exit 4), such as 20m; absent: never.")
    ] = "",
    output: Format = Output.TABLE,
) -> None:
    """Print each change of phase once; exit 0 when Healthy, 3 when Degraded, 4 out of time."""
    if not route:
        _all(link, output)
        return
    client = link.client()
    for status in follow(client, route, parse_seconds("--timeout", timeout)):
        if output is Output.JSON:
            emit(status)
        else:
            echo(line(route, status))
        health = status.health if status else HEALTHY
        if health == DEGRADED:
            raise VerbFailed(Exit.DEGRADED, "")
        if health == HEALTHY or not watch:
            return


def _all(link: AdminLink, output: Output) -> None:
    routes = link.client().routes()
    if output is Output.JSON:
        emit({"routes": routes})
    else:
        rows = [(r.name, coloured(r.health), r.phase or "no rollout") for r in routes]
        echo(columns(("ROUTE", "STATUS", "PHASE"), rows))
    if any(summary.health == DEGRADED for summary in routes):
        raise VerbFailed(Exit.DEGRADED, "")
