"""``rampway list``: one line a route."""

from __future__ import annotations

from router.cli.options import AdminLink
from router.cli.output import Format, Output
from router.cli.say import echo
from router.cli.show import coloured, columns, emit
from router.control.told.answers import HealthView
from router.control.told.views import RouteSummary
from router.core.words import percent

HEADINGS = ("ROUTE", "STRATEGY", "STATUS", "PHASE", "STABLE", "CANDIDATE", "WEIGHT", "REVISION")


def run(link: AdminLink, output: Format = Output.TABLE) -> None:
    """One line a route: strategy, status, versions, and the candidate's share."""
    routes = link.client().routes()
    if output is Output.JSON:
        emit({"routes": routes})
    else:
        health = link.client().get(HealthView, "/healthz")
        echo(columns(HEADINGS, map(_row, routes)))
        if leader := health.leader:
            place = f"{leader.replica} ({leader.admin}), generation {health.generation}"
            echo(f"{health.replica} follows {place}")
        elif health.replicas:
            echo(health.replicas)


def _row(route: RouteSummary) -> tuple[str, ...]:
    return (
        route.name, route.strategy or "-",
        coloured(route.health),
        coloured(route.phase or "-") + (", frozen" if route.frozen else ""),
        route.stable,
        route.candidate or "-",
        percent(route.weight_bp) if route.candidate else "-",
        str(route.revision),
    )  # fmt: skip
