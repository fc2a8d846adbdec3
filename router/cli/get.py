"""``rampway get``: one route in full; with ``-w`` as a live picture."""

from __future__ import annotations

from typing import Annotated

from router.cli.client import path_of
from router.cli.follow import follow, line
from router.cli.options import AdminLink, RouteName, interactive
from router.cli.output import Format, Output
from router.cli.parse import Option
from router.cli.say import echo
from router.cli.show import (
    HEADINGS,
    batch_lines,
    chosen,
    coloured,
    columns,
    decisions,
    emit,
    gate_lines,
    given_lines,
    left,
    more_lines,
    position,
    risks,
    said,
    shadow_lines,
    through,
    told,
    usage_lines,
    version_row,
    when,
)
from router.control.told.answers import EntryView
from router.control.told.views import RouteView


def run(
    link: AdminLink,
    route: RouteName = "",
    watch: Annotated[bool, Option("A live picture.", "--watch", "-w")] = False,
    output: Format = Output.TABLE,
) -> None:
    """One route: versions with rates and latencies, gates with their sentence, last decisions."""
    client = link.client()
    name = chosen(client, route)
    if watch and output is Output.TABLE and interactive():
        from router.cli.live import watch as live  # noqa: PLC0415 - rich costs 60 ms of start-up

        live(client, name)
    elif watch:
        for status in follow(client, name, None):
            emit(status) if output is Output.JSON else echo(line(name, status))
    else:
        document = client.get(RouteView, path_of("routes", name))
        if output is Output.JSON:
            emit(document)
        else:
            echo("\n".join(_lines(name, document, decisions(client, name))))


def _lines(name: str, document: RouteView, history: list[EntryView]) -> list[str]:
    status = document.rollout
    rows = [version_row(version, window, document, status)
            for version, window in document.versions.items()]  # fmt: skip
    table = columns(HEADINGS, rows).splitlines()
    if status is None:
        head = [f"{name}: {coloured('Healthy')}, {document.stable} serves, no rollout"]
        frozen = [f"  {document.frozen}"] if document.frozen else []
        return [*head, *frozen, "", *table, *_uses(document)]
    waits = left(status)
    return [
        f"{name}: {coloured(status.health)}",
        f"  {position(status)} ({status.strategy}, revision {status.revision})",
        f"  {told(status)}",
        *([f"  waits for {waits}"] if waits else []),
        *through(status),
        *[f"  shadow: {text}" for text in shadow_lines(status)],
        *[f"  {text}" for text in [*batch_lines(status), *more_lines(status)]],
        "",
        *table,
        *_uses(document),
        "",
        "gates",
        *gate_lines(status.gates),
        *risks(status),
        "",
        "last decisions",
        *[f"  {when(entry.at)}  {entry.actor}: {said(entry)}" for entry in history],
    ]


def _uses(document: RouteView) -> list[str]:
    given = [f"  {text}" for text in given_lines(document.versions)]
    return [*usage_lines(document.versions), *given]
