"""The live picture of ``rampway get -w``, drawn four times a second from the event stream."""

from __future__ import annotations

import time
from math import log

from msgspec.structs import replace
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from router.cli.client import Client, path_of
from router.cli.show import (
    COLOURS,
    ENDED,
    HEADINGS,
    decisions,
    more_lines,
    said,
    told,
    version_row,
    when,
    word,
)
from router.control.told.answers import AnnouncementView, EntryView, StatusView
from router.control.told.views import GateView, RolloutView, RouteView
from router.core.words import FULL_BP, duration

REFRESH_PER_S = 4
BAR_CHARS = 24
EVIDENCE_CHARS = 12


class Picture:
    """What was last heard, and how it looks at a moment. Made of rich renderables."""

    def __init__(self, name: str, document: RouteView, history: list[EntryView]) -> None:
        self.name = name
        self.document = document
        self.history = history
        self.heard = time.monotonic()

    @property
    def status(self) -> RolloutView | None:
        """The rollout as last heard."""
        return self.document.rollout

    def hear(self, status: RolloutView | None) -> None:
        """A new status of the rollout."""
        self.heard = time.monotonic()
        self.document = replace(self.document, rollout=status)
        if status is not None:
            self.document = replace(
                self.document, stable=status.serving_stable,
                versions={**self.document.versions, **status.versions},
            )  # fmt: skip

    def render(self) -> Group:
        """Head, versions, gates, decisions."""
        status = self.status
        if status is None:
            return Group(Text(f"{self.name}: no rollout"), self._versions())
        return Group(
            *self._head(status), Text(), self._versions(), Text(), self._gates(status), Text(),
            *self._decisions(),
        )  # fmt: skip

    def _head(self, status: RolloutView) -> list[Text]:
        health = status.health
        first = Text.assemble(
            (self.name, "bold"), "  ", (health, f"bold {_colour(health)}"),
            f"  {status.strategy}, step {status.step} of {status.steps}, "
            f"{status.phase.replace('_', ' ')}, revision {status.revision}",
        )  # fmt: skip
        return [first, Text(told(status)), Text(self._countdown(status), style="dim")]

    def _countdown(self, status: RolloutView) -> str:
        """Time goes on between two messages, unless the clock of the rollout stands."""
        if status.phase in ENDED:
            return "; ".join(more_lines(status))
        since = 0.0 if status.health == "Paused" else time.monotonic() - self.heard
        waits = []
        if (remaining := status.remaining_s - since) > 0:
            waits.append(duration(max(round(remaining), 1)))
        if status.until_samples > status.samples:
            waits.append(f"{status.until_samples - status.samples:,} more samples")
        told = [f"next step in {' and '.join(waits)}"] if waits else []
        return "; ".join([*told, *filter(None, [status.waits_for]), *more_lines(status)])

    def _versions(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in (*HEADINGS[:2], "", *HEADINGS[2:]):
            table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right")
        for version, window in self.document.versions.items():
            row = version_row(version, window, self.document, self.status)
            share_bp = round(float(row[2].removesuffix(" %")) * 100)
            bar = _bar(share_bp / FULL_BP, BAR_CHARS, "cyan" if row[1] == "candidate" else "green")
            table.add_row(row[0], row[1], bar, *row[2:])
        return table

    def _gates(self, status: RolloutView) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in ("GATE", "VERDICT", "EVIDENCE", ""):
            table.add_column(heading, no_wrap=heading != "", overflow="fold")
        for gate in status.gates:
            verdict = Text(word(gate.verdict, gate.lacks), style=_colour(gate.verdict))
            table.add_row(gate.gate, verdict, _evidence(gate),
                          gate.sentence)  # fmt: skip
        return table

    def _decisions(self) -> list[Text]:
        return [
            Text.assemble((when(entry.at), "dim"), f"  {entry.actor}: {said(entry)}")
            for entry in self.history
        ]


def _evidence(gate: GateView) -> ProgressBar | Text:
    """How far the evidence is on its way to the limit, on the scale on which it grows."""
    evidence, limit = gate.evidence, gate.limit
    if limit is None or limit <= 1:
        return Text("-")
    done = log(max(evidence, 1.0)) / log(limit)
    return _bar(min(done, 1.0), EVIDENCE_CHARS, _colour(gate.verdict))


def _bar(share: float, chars: int, colour: str) -> ProgressBar:
    return ProgressBar(
        total=1.0, completed=share, width=chars, complete_style=colour, finished_style=colour
    )


def _colour(word: str) -> str:
    return COLOURS.get(word.lower(), "default")


def watch(client: Client, name: str, console: Console | None = None) -> None:
    """Draw until interrupted."""
    picture = Picture(name, client.get(RouteView, path_of("routes", name)), decisions(client, name))
    with Live(
        get_renderable=picture.render, refresh_per_second=REFRESH_PER_S, console=console
    ):  # fmt: skip
        for event in client.events(name):
            if isinstance(event.data, AnnouncementView):
                picture.history = decisions(client, name)
            elif isinstance(event.data, StatusView):
                picture.hear(event.data.rollout)
            else:
                picture.hear((event.data.rollouts or {}).get(name))
