"""``rampway monitors``: data and answers beside their reference, and what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from router.cli.client import path_of
from router.cli.options import AdminLink, RouteName
from router.cli.output import Format, Output
from router.cli.parse import Option
from router.cli.say import echo
from router.cli.show import chosen, columns, emit, when
from router.control.told.views import AcceptedView, MonitorsView, RouteView, SignalView
from router.core.words import count, duration

HEADINGS = ("  SIGNAL", "OF", "PSI", "NULL", "TYPE", "OUTSIDE", "REACHES LIMIT IN")


def run(
    link: AdminLink,
    route: RouteName = "",
    accept: Annotated[
        bool, Option("Data are as they are now: what has changed holds no more.", "--accept")
    ] = False,
    reason: Annotated[str, Option("Why; goes into the journal.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """Drift of a route's inputs and answers: each signal beside its reference, and every change."""
    client = link.client()
    name = chosen(client, route)
    if accept:
        answer = client.post(AcceptedView, "/api/v1/accept", {"route": name, "reason": reason})
        done = f"{name}: {count(answer.accepted, 'change')} accepted"
        emit(answer) if output is Output.JSON else echo(done)
        return
    told = client.get(RouteView, path_of("routes", name)).monitors
    if output is Output.JSON:
        emit(told)
    else:
        echo("\n".join(_lines(name, told)))


def _lines(name: str, told: MonitorsView | None) -> Iterator[str]:
    if told is None:
        yield f"{name} has no monitors: add `monitors:` to the route"
        return
    yield f"{name}: {count(told.requests, 'sampled request')} beside {told.reference}"
    if told.trouble:
        yield f"  {told.trouble}"
    for alarm in told.alarms:
        accepted = " (accepted)" if alarm.accepted else ""
        yield f"  since {when(alarm.since)}{accepted}: {alarm.sentence}"
    for alarm in told.over[-5:]:
        yield f"  from {when(alarm.since)}: {alarm.sentence}"
    if told.signals:
        yield ""
        yield columns(HEADINGS, map(_row, told.signals))


def _row(signal: SignalView) -> tuple[str, ...]:
    of = "answers" if signal.output else "requests"
    sizes, left = signal.sizes, signal.limit_in_s
    name = signal.name + (f" [{signal.segment}]" if signal.segment else "")
    if not sizes:
        state = "not enough yet" if signal.learnt else "learning"
        return (f"  {name}", of, state, "-", "-", "-", "-")
    shares = (f"+{sizes[check]:.1%}" for check in ("nulls", "type", "outside"))
    psi = f"{sizes['distribution']:.3f}"
    return (f"  {name}", of, psi, *shares, _soon(left) if left else "-")


def _soon(seconds: float) -> str:
    """No more of it than can be known."""
    unit = 3_600.0 if seconds > 86_400.0 else 60.0
    return duration(max(round(seconds / unit), 1) * unit)
