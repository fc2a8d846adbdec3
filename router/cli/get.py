"""``rampway get``: one route in full; with ``-w`` as a live picture."""

from __future__ import annotations

from typing import Annotated, Any

import click

from router.cli.client import Client, path_of
from router.cli.follow import follow, line
from router.cli.options import Connection, Format, Output, Route, interactive
from router.cli.parse import Option
from router.cli.show import (
    chosen,
    coloured,
    columns,
    emit,
    gate_lines,
    left,
    position,
    shadow_lines,
    when,
)
from router.core.words import percent, rate

DECISIONS_SHOWN = 5

HEADINGS = ("VERSION", "ROLE", "SHARE", "REQ/S", "ERRORS", "P50", "P99")


def run(
    link: Connection,
    route: Route = "",
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
            emit(status) if output is Output.JSON else click.echo(line(name, status))
    else:
        document = client.get(path_of("routes", name))
        if output is Output.JSON:
            emit(document)
        else:
            click.echo("\n".join(_lines(name, document, decisions(client, name))))


def decisions(client: Client, route: str) -> list[dict[str, Any]]:
    """The last entries of the journal, newest first."""
    found = client.get("/api/v1/journal", route=route, limit=DECISIONS_SHOWN)
    entries: list[dict[str, Any]] = found["entries"]
    return entries


def _lines(name: str, document: dict[str, Any], history: list[dict[str, Any]]) -> list[str]:
    status = document.get("rollout")
    rows = [version_row(version, window, document, status)
            for version, window in document["versions"].items()]  # fmt: skip
    table = columns(HEADINGS, rows).splitlines()
    if status is None:
        head = [f"{name}: {coloured('Healthy')}, {document['stable']} serves, no rollout"]
        return [*head, "", *table]
    waits = left(status)
    return [
        f"{name}: {coloured(status['health'])}",
        f"  {position(status)} ({status['strategy']}, revision {status['epoch']})",
        f"  {status['reason']}",
        *([f"  waits for {waits}"] if waits else []),
        *[f"  shadow: {text}" for text in shadow_lines(status.get("shadow"))],
        "",
        *table,
        "",
        "gates",
        *gate_lines(status["gates"]),
        "",
        "last decisions",
        *[f"  {when(entry['at'])}  {entry['actor']}: {entry['reason']}" for entry in history],
    ]


def version_row(
    version: str, window: dict[str, Any], document: dict[str, Any], status: dict[str, Any] | None
) -> tuple[str, ...]:
    """One version as a row of text; ``-`` where nothing was measured."""
    share_bp = 10_000 if version == document["stable"] else 0
    role = "stable" if version == document["stable"] else ""
    if status is not None and version in (status["stable"], status["candidate"]):
        on_trial = version == status["candidate"]
        share_bp = status["weight_bp"] if on_trial else 10_000 - status["weight_bp"]
        role = "candidate" if on_trial and status["phase"] != "completed" else role
    return (
        version,
        role,
        percent(share_bp),
        f"{window['requests_per_s']:.1f}",
        *(
            (rate(window["error_ratio"]), _milliseconds(window["p50_s"]),
             _milliseconds(window["p99_s"]))
            if window["requests"] else ("-", "-", "-")
        ),
    )  # fmt: skip


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
