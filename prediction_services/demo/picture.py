"""What the terminal shows: a picture that moves on a terminal, plain lines elsewhere."""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from prediction_services.demo.recorder import Recorder
from prediction_services.demo.recording import Moment, Recording, Served
from prediction_services.demo.story import Story

FRAME_S = 0.25
STATUS_S = 5.0
"""Between two status lines where there is no terminal."""

COLOURS = ("dodger_blue1", "green3", "orange1", "red1", "medium_orchid")
"""By order of appearance, as in the report."""

BAR_CELLS = 60
EVIDENCE_SHOWN = (0.01, 10_000.0)
HOLD_AT = 3.0
LINES_SHOWN = 7


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened, for the log below the picture."""

    at_s: float
    text: str
    style: str = ""


def lines(recording: Recording) -> list[Line]:
    """Marks and journal as lines in order of time."""
    found = [Line(mark.at_s, mark.text, _MARK_STYLES[mark.kind]) for mark in recording.marks]
    found += [
        Line(entry.at_s, f"{entry.action}: {entry.reason}", _entry_style(entry.phase_to))
        for entry in recording.journal
    ]
    return sorted(found, key=lambda line: line.at_s)


_MARK_STYLES = {
    "act": "bold",
    "edit": "cyan",
    "fault": "yellow",
    "machine": "dim",
    "command": "bold magenta",
}


def _entry_style(phase_to: str) -> str:
    return {"rolled_back": "bold red", "completed": "bold green"}.get(phase_to, "")


class Picture:
    """Shows the play until cancelled.

    Args:
        console: where to; a terminal gets the moving picture.
    """

    def __init__(self, console: Console, story: Story, recorder: Recorder) -> None:
        self._console = console
        self._story = story
        self._recorder = recorder
        self._shown: set[Line] = set()

    async def show(self) -> None:
        """Draw until cancelled; the last picture stays on the screen."""
        if not self._console.is_terminal:
            await self._show_lines()
            return
        with Live(self.frame(), console=self._console, auto_refresh=False) as live:
            try:
                while True:
                    live.update(self.frame(), refresh=True)
                    await asyncio.sleep(FRAME_S)
            finally:
                live.update(self.frame(), refresh=True)

    def frame(self) -> Group:
        """The whole picture now."""
        recorder, now = self._recorder, self._recorder.now
        served = [bin_ for bin_ in recorder.recent() if bin_.answers or bin_.bad]
        return Group(
            self._headline(),
            Text(),
            self._traffic(served),
            self._table(served, now),
            Text(),
            *self._evidence(now),
            Text(),
            *self._log(),
        )

    def flush_lines(self) -> None:
        """Print what has happened since the last time (plain mode)."""
        for line in lines(self._recorder.recording):
            if line in self._shown:  # the journal is read late, so new lines may be earlier ones
                continue
            self._shown.add(line)
            text = Text(f"{line.at_s:6.1f} s  {line.text}", style=line.style)
            self._console.print(text, soft_wrap=True)

    async def _show_lines(self) -> None:
        next_status_s = STATUS_S
        while True:
            self.flush_lines()
            if self._recorder.clock_s >= next_status_s:
                next_status_s += STATUS_S
                self._console.print(self._status_line(), soft_wrap=True)
            await asyncio.sleep(FRAME_S)

    def _status_line(self) -> Text:
        served = [bin_ for bin_ in self._recorder.recent() if bin_.answers]
        total = sum(bin_.answers for bin_ in served) or 1
        shares = ", ".join(f"{b.version} {100 * b.answers / total:.0f} %" for b in served)
        now = self._recorder.now
        odds = f"; evidence {now.evidence:.3g} : 1" if now and now.candidate else ""
        return Text(
            f"{self._recorder.clock_s:6.1f} s    clients: {shares or 'nothing yet'}, "
            f"{self._recorder.failed} failed{odds}",
            style="dim",
        )

    def _headline(self) -> Text:
        act = f"act {self._story.act} of 4" if self._story.act else "before the play"
        return Text.assemble(
            ("Rampway ", "bold"),
            (f"{act}: {self._story.title}", "bold cyan"),
            (f"   {self._recorder.clock_s:.0f} s", "dim"),
        )

    def _traffic(self, served: Iterable[Served]) -> Text:
        shares = {bin_.version: bin_.answers for bin_ in served}
        total = sum(shares.values())
        bar = Text("who answers  ")
        ends = 0
        for version in self._recorder.recording.versions:
            if not total:
                break
            begins, ends = ends, ends + shares.get(version, 0)
            cells = round(BAR_CELLS * ends / total) - round(BAR_CELLS * begins / total)
            bar.append("█" * cells, style=self._colour(version))
        return bar

    def _table(self, served: list[Served], now: Moment | None) -> Table:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for name in ("version", "role"):
            table.add_column(name)
        for name in ("share", "answers/s", "failed", "p50 ms", "p95 ms"):
            table.add_column(name, justify="right")
        total = sum(bin_.answers for bin_ in served) or 1
        known = {bin_.version: bin_ for bin_ in served}
        for version in self._recorder.recording.versions:
            seen = known.get(version)
            role = _role(version, now)
            if seen is None and not role:
                continue
            cells = ["0 %", "0", "0", "–", "–"] if seen is None else [  # noqa: RUF001 - a dash for no data
                f"{100 * seen.answers / total:.1f} %", f"{seen.answers}", f"{seen.bad}",
                f"{seen.p50_ms:.1f}", f"{seen.p95_ms:.1f}",
            ]  # fmt: skip
            table.add_row(Text(version, style=self._colour(version)), role, *cells)
        return table

    def _evidence(self, now: Moment | None) -> list[Text]:
        sent = f"clients so far: {self._sent():,} answers, {self._recorder.failed} failed"
        tail = Text(sent, style="green" if not self._recorder.failed else "bold red")
        if now is None or not now.candidate:
            return [tail]
        head = Text.assemble(
            (now.candidate, self._colour(now.candidate)),
            f" {now.phase.replace('_', ' ')}, step {now.step} of {now.steps} at "
            f"{now.weight_bp / 100:g} %",
            f", mirror {now.mirror_bp / 100:g} %" if now.mirror_bp else "",
            f", {now.remaining_s:.0f} s left" if now.remaining_s else "",
        )
        meter = _meter(now.evidence, now.limit)
        agreement = now.gate("agreement")
        if agreement is None or not agreement.total:
            return [head, meter, tail]
        share = 1 - agreement.bad / agreement.total
        compared = Text(f"predictions compared: {agreement.total:,}, {share:.1%} equal stable's")
        return [head, meter, compared, tail]

    def _log(self) -> list[Text]:
        room = self._console.width - 12
        return [
            Text.assemble(
                (f"{line.at_s:6.1f} s  ", "dim"), (_shortened(line.text, room), line.style)
            )
            for line in lines(self._recorder.recording)[-LINES_SHOWN:]
        ]

    def _colour(self, version: str) -> str:
        names = list(self._recorder.recording.versions)
        return COLOURS[names.index(version) % len(COLOURS)] if version in names else "white"

    def _sent(self) -> int:
        return sum(self._recorder.answered(name) for name in self._recorder.recording.versions)


def _role(version: str, now: Moment | None) -> str:
    """What a version is now, in one word."""
    if now is None:
        return ""
    if version == now.candidate and now.phase in ("rolled_back", "aborted"):
        return "taken back"
    if now.phase == "completed":
        return "stable" if version == now.candidate else ""
    if version == now.candidate:
        return "shadow" if now.mirror_bp and not now.weight_bp else "candidate"
    return "stable" if version == now.stable else ""


def _meter(evidence: float, limit: float) -> Text:
    """The evidence on a logarithmic bar with its two marks."""
    low, high = EVIDENCE_SHOWN

    def cell(value: float) -> int:
        inside = min(max(value, low), high)
        return int((BAR_CELLS - 1) * math.log(inside / low) / math.log(high / low))

    colour = "red" if evidence >= limit else "yellow" if evidence >= HOLD_AT else "green"
    bar = Text("evidence     ")
    for place in range(BAR_CELLS):
        if place == cell(limit):
            bar.append("┃", style="bold red")
        elif place == cell(HOLD_AT):
            bar.append("┃", style="yellow")
        else:
            bar.append("━" if place <= cell(evidence) else "·", style=colour)
    bar.append(f"  {evidence:,.3g} : 1", style=colour)
    bar.append("   ┃ 3 hold", style="yellow")
    bar.append(f"  ┃ {limit:g} out", style="red")
    return bar


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 1)] + "…"
