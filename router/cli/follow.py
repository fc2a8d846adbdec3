"""Following a rollout: the statuses a watcher should see, each change of phase or step once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from router.cli.client import Client, path_of
from router.cli.exits import Exit, VerbFailed
from router.cli.show import coloured, left, position, told
from router.control.told.answers import AnnouncementView, StatusView
from router.control.told.views import OfferedRollout, RouteView

RolloutStatus = OfferedRollout | None


def follow(client: Client, route: str, timeout_s: float | None) -> Iterator[RolloutStatus]:
    """The status now and then at every change; None while the route has no rollout.

    Raises Failure with exit code 4 when ``timeout_s`` has passed.
    """
    client.get(
        RouteView, path_of("routes", route)
    )  # an unknown route fails here, before a stream is opened
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    shown: tuple[Any, ...] | None = None
    for event in client.events(route, deadline=deadline):
        data = event.data
        if isinstance(data, AnnouncementView):
            continue
        status = data.rollout if isinstance(data, StatusView) else (data.rollouts or {}).get(route)
        if mark(status) != shown:
            shown = mark(status)
            yield status
        if deadline is not None and time.monotonic() >= deadline:
            break
    raise VerbFailed(Exit.TIMED_OUT, f"{route} did not get there in time")


def mark(status: RolloutStatus) -> tuple[Any, ...]:
    """What makes two statuses the same to a watcher."""
    if status is None:
        return ()
    return (status.id, status.phase, status.step, status.weight_bp)


def line(route: str, status: RolloutStatus) -> str:
    """``Progressing - flight-delay: progressing, step 2 of 5, 25 % on v2: why``."""
    if status is None:
        return f"{coloured('Healthy')} - {route} has no rollout"
    waits = f", {left(status)} left" if left(status) else ""
    return f"{coloured(status.health)} - {route}: {position(status)}{waits}: {told(status)}"
