"""``rampway wait``: for scripts that must not go on before a rollout got somewhere."""

from __future__ import annotations

from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.follow import follow, line
from router.cli.options import AdminLink, RouteName
from router.cli.parse import Option
from router.cli.say import echo
from router.cli.seconds import parse_seconds
from router.cli.show import DEGRADED, chosen

GOALS = (
    "healthy", "progressing", "paused", "degraded",
    "awaiting_approval", "baking", "completed", "aborted", "rolled_back",
)  # fmt: skip
"""The four status words, and the phases."""


def run(
    link: AdminLink,
    route: RouteName = "",
    goal: Annotated[str, Option(f"One of {', '.join(GOALS)}.", "--for")] = "healthy",
    timeout: Annotated[str, Option("Give up after this (exit 4), such as 20m.")] = "20m",
) -> None:
    """Wait until a route is where it should be: exit 0 there, 3 if it is Degraded, 4 too late."""
    if goal not in GOALS:
        raise VerbFailed(Exit.USAGE, f"--for: one of {', '.join(GOALS)}; got {goal!r}")
    client = link.client()
    name = chosen(client, route)
    for status in follow(client, name, parse_seconds("--timeout", timeout)):
        health = status.health if status else "Healthy"
        phase = status.phase if status else ""
        echo(line(name, status))
        if goal in (health.lower(), phase):
            return
        if health == DEGRADED:
            raise VerbFailed(Exit.DEGRADED, f"{name} is {phase}; waited for {goal}")
