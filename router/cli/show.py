"""How things look: aligned text for people, JSON for programs; colour only where it is wanted.

Plain text is made by hand, since importing rich would cost a third of the start-up time; only
``get -w`` needs rich.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from router.cli.exits import Exit, VerbFailed
from router.cli.say import echo, style
from router.core.usage.signals import written
from router.core.words import duration, odds, percent, rate

if TYPE_CHECKING:
    from router.cli.client import Client
    from router.control.told.answers import EntryView, ReportView
    from router.control.told.compared import PairsView
    from router.control.told.views import (
        CountsView,
        GateView,
        OfferedRollout,
        RolloutView,
        RouteView,
        VersionView,
    )

COLOURS = {
    "healthy": "green", "pass": "green", "completed": "green",
    "degraded": "red", "fail": "red", "error": "red", "rolled_back": "red", "aborted": "red",
    "paused": "yellow", "pending": "yellow", "inconclusive": "yellow", "not_enough_yet": "yellow",
    "awaiting_approval": "yellow",
    "progressing": "cyan", "baking": "cyan",
}  # fmt: skip
"""Colour is never the only signal: the word itself is always there."""

_COLOUR_CODE = re.compile(r"\x1b\[[0-9;]*m")

DECISIONS_SHOWN = 5

HEADINGS = ("VERSION", "ROLE", "SHARE", "REQ/S", "ERRORS", "P50", "P99")
"""Of :func:`version_row`."""

DEGRADED = "Degraded"
HEALTHY = "Healthy"


def colourful() -> bool:
    """Whether stdout is a terminal whose owner did not object (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def coloured(word: str) -> str:
    """A state word in its colour."""
    colour = COLOURS.get(word.lower().replace(" ", "_"))
    return style(word, colour) if colour and colourful() else word


def emit(document: Any) -> None:
    """JSON on stdout, the same keys as the API."""
    import msgspec  # noqa: PLC0415 - most who ask for no JSON do without

    plain = msgspec.to_builtins(document)
    echo(json.dumps(plain, indent=2, ensure_ascii=False))


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns, two blanks apart; the last is not padded."""
    table = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(_width(row[i]) for row in table) for i in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in table
    )


def _width(cell: str) -> int:
    """Characters that a terminal shows."""
    return len(_COLOUR_CODE.sub("", cell))


def when(at: float) -> str:
    """Local time with its zone: ``2026-11-21 12:01:02 +0100``."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def counted(counts: CountsView) -> str:
    """``4 of 57 (7.0 %)``; ``-`` where nothing was counted."""
    if not counts.total:
        return "-"
    return f"{counts.bad:,} of {counts.total:,} ({rate(counts.bad / counts.total)})"


def position(rollout: RolloutView) -> str:
    """``progressing, step 2 of 5, 25 % on v2``."""
    return (
        f"{coloured(rollout.phase)}, step {rollout.step} of {rollout.steps}, "
        f"{percent(rollout.weight_bp)} on {rollout.candidate}"
    )


ENDED = ("completed", "aborted", "rolled_back")
"""Phases that wait for nothing."""


def left(rollout: RolloutView) -> str:
    """What the step waits for, or an empty string."""
    if rollout.phase in ENDED:
        return ""
    waits = []
    if rollout.remaining_s > 0:
        waits.append(duration(max(rollout.remaining_s, 1.0)))
    if rollout.until_samples > rollout.samples:
        waits.append(f"{rollout.until_samples - rollout.samples:,} more samples")
    if held := rollout.waits_for:
        waits.append(held.removeprefix("waits for ").replace("frozen by", "the freeze by", 1))
    return " and ".join(waits)


def through(rollout: RolloutView) -> list[str]:
    """When it is over, if the candidate is as good as stable and the traffic stays."""
    at = rollout.through_at
    return [f"  through by {when(at)} at this traffic, if nothing is found"] if at else []


def risks(rollout: RolloutView) -> list[str]:
    """What passes unseen, below the gates that do not see it."""
    found = rollout.risks
    return ["", "what passes unseen", *(f"  {text}" for text in found)] if found else []


def more_lines(rollout: RolloutView) -> list[str]:
    """What not every rollout has: requests left behind, labels, rewards that move the shares."""
    lines = [
        f"{count} requests in flight on {version}, which gets no new ones"
        for version, count in rollout.draining.items()
    ]
    for version, tally in rollout.feedback.items():
        text = f"labels of {version}: {tally.right:,} right, {tally.wrong:,} wrong"
        if tally.mean_reward is not None:
            text += f", {tally.rewards:,} rewards of {tally.mean_reward:.3g} on average"
        lines.append(text)
    if bandit := rollout.bandit:
        lines.append(f"bandit: {bandit.warning}")
    return lines


def _arms(gate: GateView | ReportView) -> list[str]:
    """Counts of both arms that its sentence has not already: each figure is shown once."""
    arms = (("candidate", gate.candidate), ("stable", gate.stable))
    told = [(arm, counted(counts)) for arm, counts in arms]
    return [f"    {arm} {text}" for arm, text in told if text != "-" and text not in gate.sentence]


def told(status: RolloutView) -> str:
    """Where a rollout stands and since when, in the line that a person would say."""
    at = status.decided_at
    return f"{status.line} ({when(at)})" if at else status.line


def said(entry: EntryView) -> str:
    """A decision in the line that a person would say; the numbers are in `why`."""
    return entry.line or entry.reason


def word(verdict: str, lacks: str = "") -> str:
    """A gate's verdict; that it has not had its sample yet goes before that it found nothing."""
    return "not enough yet" if lacks and verdict in {"pass", "pending"} else verdict


def gate_lines(gates: Iterable[GateView | ReportView]) -> list[str]:
    """One line a gate with evidence and counts, the sentence below it."""
    lines = []
    for gate in gates:
        dry = " (dry run)" if gate.dry_run else ""
        lacks = getattr(gate, "lacks", "")  # of the present alone
        facts = [f"  {gate.gate}{dry}: {coloured(word(gate.verdict, lacks))}"]
        told = f"evidence {odds(gate.evidence)}"
        if gate.limit is not None and told not in gate.sentence:
            facts.append(f"{told}, limit {odds(gate.limit)}")
        lines += ["  ".join(facts), *_arms(gate), f"    {gate.sentence}"]
    return lines


def pairs_line(pairs: PairsView) -> str:
    """``412 pairs, 98.4 % agree, 0 failed; ...``."""
    text, score = f"{pairs.pairs:,} pairs", pairs.score
    if pairs.agreement is not None:
        text += (
            f", {rate(pairs.agreement)} agree, {pairs.stricter:,} stricter, "
            f"{pairs.looser:,} looser, {pairs.failed:,} failed"
        )
    if score.mean is not None and score.far_share is not None:
        text += (
            f"; scores {score.mean:.3g} apart on average, "
            f"{rate(score.far_share)} more than {score.far:g}"
        )
    return text


def shadow_lines(rollout: RolloutView) -> list[str]:
    """The shadow in a line or two."""
    if (shadow := rollout.shadow) is None:
        return []
    learning = "; noise is being learnt, nothing counts yet" if shadow.learning else ""
    return [pairs_line(shadow) + learning, *filter(None, [shadow.alarm])]


def chosen(client: Client, route: str) -> str:
    """The route that is meant: the named one, or the only one there is."""
    if route:
        return route
    names = [summary.name for summary in client.routes()]
    if len(names) == 1:
        return names[0]
    raise VerbFailed(Exit.USAGE, f"name a route: {', '.join(names)}")


def of_route(client: Client, route: str) -> tuple[str, OfferedRollout]:
    """The chosen route and its rollout. Fails if it has none."""
    name = chosen(client, route)
    status = client.rollout(name)
    if status is None:
        raise VerbFailed(Exit.USAGE, f"{name} has no rollout")
    return name, status


def decisions(client: Client, route: str) -> list[EntryView]:
    """The last entries of the journal, newest first."""
    from router.control.told.answers import JournalView  # noqa: PLC0415 - offline verbs have none

    path = "/api/v1/journal"
    return client.get(JournalView, path, route=route, limit=DECISIONS_SHOWN).entries


def usage_lines(versions: dict[str, VersionView]) -> list[str]:
    """What each version says that it uses and costs, or why it does not."""
    lines = []
    for name, window in versions.items():
        if (used := window.usage) is None:
            continue
        parts = [written(signal, value) for signal, value in used.signals.items()]
        if used.answers:
            tokens = (used.tokens_in + used.tokens_out) / used.answers
            parts.append(f"{tokens:,.0f} tokens an answer")
        if used.per_request:
            parts.append(f"a request costs {used.per_request:.4g}")
        parts += [used.trouble] if used.trouble else []
        lines.append(f"  {name} uses: {', '.join(parts) or 'nothing that is told'}")
    return lines


def given_lines(versions: dict[str, VersionView]) -> list[str]:
    """What a cache or a table answered in the place of each version, since the router began."""
    lines = []
    for name, window in versions.items():
        if (cache := window.cache) is not None:
            lines.append(
                f"cache of {name}: {cache.hits:,} answered again, {cache.waited:,} waited for the "
                f"answer to another, {cache.asked:,} asked, {cache.passed:,} never kept"
            )
        if (table := window.table) is not None:
            lines.append(
                f"table of {name}: {table.hits:,} found, {table.misses:,} not in it, "
                f"{table.stale:,} too old or not there"
            )
    return lines


def batch_lines(rollout: RolloutView) -> list[str]:
    """Where batch traffic goes."""
    if rollout.batch_bp is None or rollout.phase in ENDED:
        return []
    return [f"batch: {percent(rollout.batch_bp)} on {rollout.candidate}"]


def version_row(
    version: str, window: VersionView, document: RouteView, status: RolloutView | None
) -> tuple[str, ...]:
    """One version as a row of text; ``-`` where nothing was measured."""
    shares_bp = (status or document).shares_bp
    role = "stable" if version == document.stable else ""
    if status is not None and version == status.candidate and status.phase != "completed":
        role = "candidate"
    return (
        version,
        role,
        percent(shares_bp.get(version, 0)),
        f"{window.requests_per_s:.1f}",
        rate(window.error_ratio) if window.requests else "-",
        *(_milliseconds(quantile, window.requests) for quantile in (window.p50_s, window.p99_s)),
    )


def _milliseconds(seconds: float | None, of: int) -> str:
    return "-" if seconds is None or not of else f"{seconds * 1000:.3g} ms"
