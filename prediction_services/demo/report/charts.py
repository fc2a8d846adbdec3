"""The five drawings of the report, each a function of the recording."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from prediction_services.demo.policy import SHADOW_SAMPLES
from prediction_services.demo.recording import (
    BIN_S,
    SCRAPE_S,
    Attempts,
    Entry,
    Moment,
    Recording,
    Served,
)
from router.drawing.plot import (
    Legend,
    LinearAxis,
    LogAxis,
    Plot,
    PlotPlace,
    Tick,
    unbroken,
)

EVIDENCE_SHOWN = (0.01, 10_000.0)
"""Evidence outside is drawn at the border; a failing candidate passes 10,000 : 1 in one batch."""

AGREEMENT_PERCENT = 96
"""What the demo's `agreement` gate asks for."""

SLOW_MS = 250.0
"""The promise of the demo's `slo` gate."""


def time_ticks(end_s: float, step_s: int = 10) -> list[Tick]:
    """`0 s`, `10 s`, … up to the end."""
    return [Tick(at, f"{at} s") for at in range(0, int(end_s) + 1, step_s)]


def stairs(points: Sequence[PlotPlace], end: float) -> list[PlotPlace]:
    """Points as a stair: each value holds until the next x, the last one until `end`."""
    found: list[PlotPlace] = []
    for (x, y), following in zip(points, [*(p[0] for p in points[1:]), end], strict=True):
        found += [(x, y), (following, y)]
    return found


def css_of(recording: Recording, version: str) -> str:
    """The colour class of a version: its place in the order of appearance."""
    names = list(recording.versions)
    return f"v{names.index(version)}" if version in names else "vx"


def shares(recording: Recording) -> Plot:
    """Who answered the clients, stacked to 100 %."""
    plot = _over_time(
        recording,
        "Who answered the clients",
        "Share of the answers of each version in every half second. A rollback is the moment in "
        "which a colour ends.",
        LinearAxis(0, 100),
        [Tick(0, "0 %"), Tick(50, "50 %"), Tick(100, "100 %")],
    )
    totals: dict[float, int] = defaultdict(int)
    counts: dict[tuple[float, str], int] = defaultdict(int)
    for bin_ in recording.served:
        totals[bin_.at_s] += bin_.answers
        counts[bin_.at_s, bin_.version] += bin_.answers
    times = sorted(at for at, total in totals.items() if total)
    below = dict.fromkeys(times, 0.0)
    for version in recording.versions:
        above = {at: below[at] + 100 * counts[at, version] / totals[at] for at in times}
        if above != below:
            plot.area(_steps(above), _steps(below), css_of(recording, version), version)
        below = above
    _turning_points(plot, recording)
    plot.legend = _versions(recording, {version for _, version in counts})
    return plot


def evidence(recording: Recording) -> Plot:
    """What counts against the candidate, beside the two lines that mean something."""
    plot = _over_time(
        recording,
        "Evidence against the candidate",
        "How much more likely the observed answers are if the candidate is worse than tolerated. "
        "At 3 : 1 it gets no more traffic, at 100 : 1 it is taken back; one that is within "
        "tolerance gets there in at most 1 % of all rollouts, however often one looks.",
        LogAxis(*EVIDENCE_SHOWN),
        [
            Tick(0.01, "0.01"),
            Tick(1, "1 : 1"),
            Tick(3, "3 : 1", "hold"),
            Tick(100, "100 : 1", "limit"),
            Tick(10_000, "10,000"),
        ],
    )
    plot.height = "15rem"
    seen: set[str] = set()
    for candidate, moments in _rollouts(recording.moments):
        points = [(moment.at_s, moment.evidence) for moment in moments]
        ending = _convicted(recording, candidate)
        if ending is not None:
            points.append((ending.at_s, _capital(ending)))
        css = css_of(recording, candidate)
        plot.line(points, css, f"evidence against {candidate}")
        seen.add(candidate)
        if ending is not None:
            words = f"{candidate} {_odds(_capital(ending))}"
            plot.dot(points[-1], css, words)
            plot.label(points[-1], words)
    _turning_points(plot, recording)
    plot.legend = _versions(recording, seen)
    return plot


def errors(recording: Recording) -> Plot:
    """Failures of every version as the router saw them, and of all answers as clients did."""
    plot = _over_time(
        recording,
        "Failures: what the versions did, what clients saw",
        "Share of failed requests of each version as the router counts them, second by second, and "
        "of all clients' requests (the thick line). Failures of a candidate are answered by "
        "stable, so the thick line stays at 0.",
        LinearAxis(0, 100),
        [Tick(0, "0 %"), Tick(50, "50 %"), Tick(100, "100 %")],
    )
    lines = _failed_shares(recording.attempts)
    for version, points in lines.items():
        css = css_of(recording, version)
        for part in unbroken(points, 2 * SCRAPE_S):
            plot.line(part, css, f"failed requests of {version}")
        for point in points:
            if point[1] > 0:
                plot.dot(point, css, f"{version}: {point[1]:.0f} % of a second's requests")
    plot.line(_client_errors(recording.served), "clients", "failed requests of clients")
    _turning_points(plot, recording)
    plot.legend = [*_versions(recording, set(lines)), Legend("clients", "all clients")]
    return plot


def latency(recording: Recording) -> Plot:
    """What clients waited, per version that answered."""
    plot = _over_time(
        recording,
        "What clients waited",
        "Median (line) and 95th percentile (thin) of the answers of each version, from the "
        "moment the request was due to its last byte.",
        LogAxis(1, 400),
        [
            Tick(1, "1 ms"),
            Tick(10, "10 ms"),
            Tick(100, "100 ms"),
            Tick(SLOW_MS, "250 ms", "limit"),
        ],
    )
    by_version: dict[str, list[Served]] = defaultdict(list)
    for bin_ in recording.served:
        if bin_.answers:
            by_version[bin_.version].append(bin_)
    for version, bins in by_version.items():
        css = css_of(recording, version)
        for part in unbroken([(b.at_s, b.p95_ms) for b in bins], 2 * BIN_S):
            plot.line(part, f"{css} thin", f"95th percentile, {version}")
        for part in unbroken([(b.at_s, b.p50_ms) for b in bins], 2 * BIN_S):
            plot.line(part, css, f"median, {version}")
    plot.legend = _versions(recording, set(by_version))
    return plot


def agreement(recording: Recording) -> Plot:
    """How often the candidates' predictions were stable's, as the comparison went on."""
    lines: dict[str, list[PlotPlace]] = {}
    for candidate, moments in _rollouts(recording.moments):
        gates = [gate for moment in moments if (gate := moment.gate("agreement")) and gate.total]
        points: list[PlotPlace] = [
            (gate.total, 100 * (1 - gate.bad / gate.total)) for gate in gates
        ]
        ending = _convicted(recording, candidate)
        last = ending.report("agreement") if ending else None
        if last is not None and last.total:
            points.append((last.total, 100 * (1 - last.bad / last.total)))
        if points:
            lines[candidate] = sorted(points)
    most = max((line[-1][0] for line in lines.values()), default=SHADOW_SAMPLES)
    least = min((share for line in lines.values() for _, share in line), default=100.0)
    low = min(20 * int(least / 20), 80)
    plot = Plot(
        "Do the predictions agree?",
        "Requests are copied to a candidate whose answers nobody sees, and the two predictions are "
        "compared: running share of equal ones. A better model differs a little; a broken one "
        "shows within a few dozen answers, although its statuses and times are perfect.",
        LinearAxis(0, most),
        LinearAxis(low, 100),
        [Tick(0, "0 compared"), *(Tick(n, f"{n:,}") for n in range(250, int(most) + 1, 250))],
        [
            *(Tick(share, f"{share} %") for share in range(low, 100, 20)),
            Tick(AGREEMENT_PERCENT, f"{AGREEMENT_PERCENT} %", "limit"),
            Tick(100, ""),
        ],
    )
    for candidate, points in lines.items():
        css = css_of(recording, candidate)
        plot.line(points, css, candidate)
        words = f"{candidate} {points[-1][1]:.1f} % of {points[-1][0]:,.0f}"
        plot.dot(points[-1], css, words)
        if _convicted(recording, candidate) is not None and points[-1][1] < AGREEMENT_PERCENT:
            plot.label(points[-1], f"{words}: taken back")
    plot.legend = _versions(recording, set(lines))
    return plot


def _over_time(
    recording: Recording, title: str, caption: str, y: LinearAxis | LogAxis, y_ticks: list[Tick]
) -> Plot:
    """A plot over the whole play with the acts as bands."""
    end = max(recording.ends_s, 1.0)
    plot = Plot(title, caption, LinearAxis(0, end), y, time_ticks(end), y_ticks)
    for act in recording.acts:
        css = "odd" if act.number % 2 else "even"
        plot.band(act.begins_s, act.ends_s, css, str(act.number), act.title)
    return plot


def _turning_points(plot: Plot, recording: Recording) -> None:
    for entry in recording.journal:
        if entry.phase_to in ("rolled_back", "aborted"):
            plot.upright(entry.at_s, "back", entry.reason)
        elif entry.phase_to == "completed":
            plot.upright(entry.at_s, "done", entry.reason)


def _steps(heights: dict[float, float]) -> list[PlotPlace]:
    points = sorted(heights.items())
    return stairs(points, points[-1][0] + BIN_S) if points else []


def _rollouts(moments: Iterable[Moment]) -> Iterable[tuple[str, list[Moment]]]:
    """Moments of each candidate while it was live, in order of appearance."""
    found: dict[str, list[Moment]] = {}
    for moment in moments:
        if moment.candidate and moment.phase not in ("completed", "aborted", "rolled_back"):
            found.setdefault(moment.candidate, []).append(moment)
    return found.items()


def _convicted(recording: Recording, candidate: str) -> Entry | None:
    """The entry in which evidence took the candidate back."""
    back = recording.ending(candidate, "rolled_back")
    return back if back is not None and back.actor == "router" and back.evidence else None


def _failed_shares(attempts: Iterable[Attempts]) -> dict[str, list[PlotPlace]]:
    """Failed percent of each version, in the middle of the second that a scrape looks back on."""
    asked: dict[tuple[str, float], int] = defaultdict(int)
    failed: dict[tuple[str, float], int] = defaultdict(int)
    for seen in attempts:
        asked[seen.version, seen.at_s] += seen.requests
        failed[seen.version, seen.at_s] += seen.bad
    found: dict[str, list[PlotPlace]] = defaultdict(list)
    for (version, at_s), requests in sorted(asked.items()):
        share = failed[version, at_s] / requests if requests else 0.0
        found[version].append((max(at_s - SCRAPE_S / 2, 0.0), 100 * share))
    return found


def _odds(capital: float) -> str:
    return "over 1,000,000 : 1" if capital > 1_000_000 else f"{capital:,.0f} : 1"


def _capital(entry: Entry) -> float:
    return float(entry.evidence.get("capital") or 1.0)


def _client_errors(served: Iterable[Served]) -> list[PlotPlace]:
    asked: dict[float, int] = defaultdict(int)
    bad: dict[float, int] = defaultdict(int)
    for bin_ in served:
        asked[bin_.at_s] += max(bin_.answers, bin_.bad)
        bad[bin_.at_s] += bin_.bad
    return [(at, 100 * bad[at] / total) for at, total in sorted(asked.items()) if total]


def _versions(recording: Recording, seen: set[str]) -> list[Legend]:
    return [Legend(css_of(recording, name), name) for name in recording.versions if name in seen]
