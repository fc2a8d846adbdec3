"""``rampway why``: the decision behind the present traffic, with the numbers that made it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from router.cli.client import path_of
from router.cli.exits import Exit, VerbFailed
from router.cli.options import AdminLink, RouteName
from router.cli.output import Format, Output
from router.cli.parse import Option
from router.cli.say import echo
from router.cli.show import (
    batch_lines,
    coloured,
    emit,
    gate_lines,
    given_lines,
    of_route,
    shadow_lines,
    when,
)
from router.control.told.answers import WhyView
from router.core.words import percent


def run(
    link: AdminLink,
    route: RouteName = "",
    at: Annotated[
        str, Option("The decision in force then: 2026-11-21T12:00, or seconds of 1970.")
    ] = "",
    output: Format = Output.TABLE,
) -> None:
    """Why the traffic is where it is: sentence, counts, evidence against its limit, who, when."""
    client = link.client()
    name, status = of_route(client, route)
    told = client.get(WhyView, path_of("rollouts", name, "why"), at=moment(at) if at else None)
    if output is Output.JSON:
        emit(told)
    else:
        shadow = [] if at else shadow_lines(status)
        waits = [] if at or not status.waits_for else [status.waits_for]
        given = [] if at else [*batch_lines(status), *given_lines(status.versions)]
        now = [f"waits for {text}" for text in waits] + [f"shadow    {text}" for text in shadow]
        echo("\n".join([*lines(name, told), *now, *given]))


def moment(text: str) -> float:
    """Seconds since 1970 of a time as people write it; without a zone it is local."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise VerbFailed(
            Exit.USAGE, f"--at: expected a time such as 2026-11-21T12:00, got {text!r}"
        ) from None


def lines(name: str, told: WhyView) -> list[str]:
    """The explanation, most important first."""
    entry = told.entry
    made = [told.line]
    if told.sentence != told.line:
        made.append(f"          {told.sentence}")
    weight = percent(entry.weight_bp)
    made += [
        "",
        f"route     {name}, rollout {entry.rollout}, revision {entry.revision}",
        f"position  {coloured(entry.phase_to)}, step {entry.step}, {weight} on candidate",
        f"decided   {when(entry.at)} by {entry.actor}",
    ]
    if gates := gate_lines(told.evidence.reports):
        made += ["", "gates at that moment", *gates]
    return made
