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
from typing import Any

import click

from router.cli.client import Client
from router.cli.exits import Exit, VerbFailed
from router.core.usage.signals import written
from router.core.words import duration, odds, percent, rate

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
    return click.style(word, fg=colour) if colour and colourful() else word


def emit(document: Any) -> None:
    """JSON on stdout, the same keys as the API."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


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


def _odds(evidence: float | None) -> str:
    """``143 : 1`` as in the sentences; ``-`` where a gate does not bet."""
    return "-" if evidence is None else odds(evidence)


def counted(counts: dict[str, Any] | None) -> str:
    """``4 of 57 (7.0 %)``; ``-`` where nothing was counted."""
    if not counts or not counts.get("total"):
        return "-"
    return f"{counts['bad']:,} of {counts['total']:,} ({rate(counts['bad'] / counts['total'])})"


def position(rollout: dict[str, Any]) -> str:
    """``progressing, step 2 of 5, 25 % on v2``."""
    return (
        f"{coloured(rollout['phase'])}, step {rollout['step']} of {rollout['steps']}, "
        f"{percent(rollout['weight_bp'])} on {rollout['candidate']}"
    )


ENDED = ("completed", "aborted", "rolled_back")
"""Phases that wait for nothing."""


def left(rollout: dict[str, Any]) -> str:
    """What the step waits for, or an empty string."""
    if rollout.get("phase") in ENDED:
        return ""
    waits = []
    if rollout.get("remaining_s", 0) > 0:
        waits.append(duration(max(rollout["remaining_s"], 1.0)))
    if rollout.get("until_samples", 0) > rollout.get("samples", 0):
        waits.append(f"{rollout['until_samples'] - rollout['samples']:,} more samples")
    if held := rollout.get("waits_for"):
        waits.append(held.removeprefix("waits for ").replace("frozen by", "the freeze by", 1))
    return " and ".join(waits)


def through(rollout: dict[str, Any]) -> list[str]:
    """When it is over, if the candidate is as good as stable and the traffic stays."""
    at = rollout.get("through_at")
    return [f"  through by {when(at)} at this traffic, if nothing is found"] if at else []


def risks(rollout: dict[str, Any]) -> list[str]:
    """What passes unseen, below the gates that do not see it."""
    found = rollout.get("risks") or []
    return ["", "what passes unseen", *(f"  {text}" for text in found)] if found else []


def more_lines(rollout: dict[str, Any]) -> list[str]:
    """What not every rollout has: requests left behind, labels, rewards that move the shares."""
    lines = [
        f"{count} requests in flight on {version}, which gets no new ones"
        for version, count in (rollout.get("draining") or {}).items()
    ]
    for version, tally in (rollout.get("feedback") or {}).items():
        text = f"labels of {version}: {tally['right']:,} right, {tally['wrong']:,} wrong"
        if tally["rewards"]:
            text += f", {tally['rewards']:,} rewards of {tally['mean_reward']:.3g} on average"
        lines.append(text)
    if bandit := rollout.get("bandit"):
        lines.append(f"bandit: {bandit['warning']}")
    return lines


def _parts(gate: dict[str, Any]) -> Iterable[str]:
    """Figures of a gate that its sentence has already: each is shown once."""
    texts = (counted(gate.get(arm)) for arm in ("candidate", "stable"))
    return [text for text in texts if text in gate["sentence"]]


def told(status: dict[str, Any]) -> str:
    """Where a rollout stands and since when, in the line that a person would say."""
    at = status.get("decided_at")
    return f"{status['line']} ({when(at)})" if at else str(status["line"])


def said(entry: dict[str, Any]) -> str:
    """A decision in the line that a person would say; the numbers are in `why`."""
    return str(entry.get("line") or entry["reason"])


def word(gate: dict[str, Any]) -> str:
    """A gate's verdict; that it has not had its sample yet goes before that it found nothing."""
    quiet = gate.get("lacks") and gate["verdict"] in {"pass", "pending"}
    return "not enough yet" if quiet else str(gate["verdict"])


def gate_lines(gates: Iterable[dict[str, Any]]) -> list[str]:
    """One line a gate with evidence and counts, the sentence below it."""
    lines = []
    for gate in gates:
        name = gate.get("gate") or gate.get("name") or "?"
        dry = " (dry run)" if gate.get("dry_run") else ""
        facts = [f"  {name}{dry}: {coloured(word(gate))}"]
        told = f"evidence {_odds(gate.get('evidence'))}"
        if gate.get("limit") is not None and told not in gate["sentence"]:
            facts.append(f"evidence {_odds(gate.get('evidence'))}, limit {_odds(gate['limit'])}")
        lines.append("  ".join(facts))
        arms = [(arm, counted(gate.get(arm))) for arm in ("candidate", "stable")]
        lines += [f"    {arm} {text}" for arm, text in arms if text not in {"-", *_parts(gate)}]
        lines.append(f"    {gate['sentence']}")
    return lines


def shadow_lines(shadow: dict[str, Any] | None) -> list[str]:
    """The shadow in a line or two: ``412 pairs, 98.4 % agree, 0 failed; ...``."""
    if not shadow:
        return []
    agreement = shadow["agreement"]
    text = f"{shadow['pairs']:,} pairs"
    if agreement is not None:
        text += (
            f", {rate(agreement)} agree, {shadow['stricter']:,} stricter, "
            f"{shadow['looser']:,} looser, {shadow['failed']:,} failed"
        )
    if (score := shadow.get("score")) and score["pairs"]:
        text += (
            f"; scores {score['mean']:.3g} apart on average, "
            f"{rate(score['far_share'])} more than {score['far']:g}"
        )
    if shadow["learning"]:
        text += "; noise is being learnt, nothing counts yet"
    return [text, *([shadow["alarm"]] if shadow["alarm"] else [])]


def chosen(client: Client, route: str) -> str:
    """The route that is meant: the named one, or the only one there is."""
    if route:
        return route
    names = [summary["name"] for summary in client.routes()]
    if len(names) == 1:
        return str(names[0])
    raise VerbFailed(Exit.USAGE, f"name a route: {', '.join(names)}")


def of_route(client: Client, route: str) -> tuple[str, dict[str, Any]]:
    """The chosen route and its rollout. Fails if it has none."""
    name = chosen(client, route)
    status = client.rollout(name)
    if status is None:
        raise VerbFailed(Exit.USAGE, f"{name} has no rollout")
    return name, status


def decisions(client: Client, route: str) -> list[dict[str, Any]]:
    """The last entries of the journal, newest first."""
    found = client.get("/api/v1/journal", route=route, limit=DECISIONS_SHOWN)
    entries: list[dict[str, Any]] = found["entries"]
    return entries


def usage_lines(versions: dict[str, Any]) -> list[str]:
    """What each version says that it uses and costs, or why it does not."""
    lines = []
    for name, window in versions.items():
        if (used := window.get("usage")) is None:
            continue
        parts = [written(signal, value) for signal, value in used["signals"].items()]
        if used["answers"]:
            tokens = (used["tokens_in"] + used["tokens_out"]) / used["answers"]
            parts.append(f"{tokens:,.0f} tokens an answer")
        if used["per_request"]:
            parts.append(f"a request costs {used['per_request']:.4g}")
        parts += [used["trouble"]] if used["trouble"] else []
        lines.append(f"  {name} uses: {', '.join(parts) or 'nothing that is told'}")
    return lines


def version_row(
    version: str, window: dict[str, Any], document: dict[str, Any], status: dict[str, Any] | None
) -> tuple[str, ...]:
    """One version as a row of text; ``-`` where nothing was measured."""
    shares_bp = (status or document)["shares_bp"]
    role = "stable" if version == document["stable"] else ""
    if status is not None and version in (status["stable"], status["candidate"]):
        on_trial = version == status["candidate"]
        role = "candidate" if on_trial and status["phase"] != "completed" else role
    return (
        version,
        role,
        percent(shares_bp.get(version, 0)),
        f"{window['requests_per_s']:.1f}",
        *(
            (rate(window["error_ratio"]), _milliseconds(window["p50_s"]),
             _milliseconds(window["p99_s"]))
            if window["requests"] else ("-", "-", "-")
        ),
    )  # fmt: skip


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
