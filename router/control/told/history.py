"""What the plots of a page show: each route's last hours, in columns of bounded length.

A route's history begins anew with each attempt of a rollout, one point a second. When it is full,
every two points become one and the spacing doubles, so that it always reaches back to the
beginning (up to ten hours, then the oldest go). A route without traffic and rollout costs nothing.

Only for people: nothing here decides anything.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from router.control.rollouts.run import Run
from router.control.rollouts.trial import Trial
from router.control.told.views import HistoryView, VersionHistory
from router.core.judge import Judge
from router.core.wire.counts import VersionCounts
from router.core.wire.histogram import BUCKETS, quantile
from router.core.wire.outcomes import BAD_OUTCOMES, Outcome

POINTS_MAX: Final = 600
"""Points of one route; 44 KB with two versions."""

SPACING_MAX_S: Final = 64.0
"""Points are not drawn further together than that."""

QUIET_SPACING_S: Final = 4.0
"""Where no rollout is watched."""

SAMPLES_A_SECOND: Final = 100
"""Routes that get a point in one second; with more of them they take turns."""

SAMPLES_A_TURN: Final = 25
"""Of those in one turn of the loop, some 60 µs each."""

VERSIONS_MAX: Final = 6
"""Versions of one route that have curves: stable, candidate and some others."""

_ANSWERING: Final = tuple(
    int(o) for o in Outcome if o is Outcome.OK or o in BAD_OUTCOMES or o is Outcome.CLIENT_ABORT
)
_BAD: Final = tuple(int(o) for o in BAD_OUTCOMES)
_NONE: Final = math.nan


@dataclass(slots=True)
class _Since:
    """What one version did since its last point."""

    requests: int = 0
    bad: int = 0
    latency: dict[int, int] = field(default_factory=dict)

    def add(self, counts: VersionCounts) -> None:
        self.requests += sum(counts.outcomes[i] for i in _ANSWERING)
        self.bad += sum(counts.outcomes[i] for i in _BAD)
        for bucket, number in counts.latency:
            self.latency[bucket] = self.latency.get(bucket, 0) + number

    def quantiles(self) -> tuple[float, float]:
        """p50 and p99, seconds; not a number without answers."""
        if not self.latency:
            return _NONE, _NONE
        counts = [0] * BUCKETS
        for bucket, number in self.latency.items():
            counts[bucket] += number
        return quantile(counts, 0.5), quantile(counts, 0.99)


class Column:
    """Numbers of one kind; not a number where there was none."""

    __slots__ = ("numbers", "worst")

    def __init__(self, length: int = 0, *, worst: bool = False) -> None:
        """``length`` points were before it; ``worst``: of two points the larger one is kept."""
        self.numbers = array("d", [_NONE]) * length
        self.worst = worst

    def halve(self) -> None:
        """Every two points become one."""
        old = self.numbers
        pairs = zip(old[::2], old[1::2], strict=False)
        self.numbers = array("d", (_one(a, b, worst=self.worst) for a, b in pairs))

    def told(self, begin: int) -> list[float | None]:
        """From a place on, four digits of each."""
        return [None if math.isnan(x) else _short(x) for x in self.numbers[begin:]]


def _one(a: float, b: float, *, worst: bool) -> float:
    if math.isnan(a) or math.isnan(b):
        return b if math.isnan(a) else a
    return max(a, b) if worst else (a + b) / 2


def _short(number: float) -> float:
    return float(f"{number:.6g}")


FIGURES: Final = ("requests_per_s", "error_ratio", "p50_s", "p99_s")
_WORST: Final = frozenset({"p99_s", "error_ratio"})


class RouteHistory:
    """One route's columns. All have the length of ``at``."""

    def __init__(self) -> None:
        self.about = ("", 0)
        """Rollout and attempt that it began with."""
        self.spacing_s = QUIET_SPACING_S
        self.due_s = 0.0
        self.sampled_s: float | None = None
        self.at = array("d")
        self.columns: dict[str, Column] = {}
        self.versions: dict[str, dict[str, Column]] = {}
        self.since: dict[str, _Since] = {}
        self.rate = 0.0
        self.error_ratio = 0.0

    def begin(self, about: tuple[str, int], spacing_s: float) -> None:
        """Forget what was before."""
        self.about, self.spacing_s, self.due_s = about, spacing_s, 0.0
        self.at = array("d")
        self.columns.clear()
        self.versions.clear()

    def point(
        self, now: float, wall: float, told: Mapping[str, float], candidate: str = ""
    ) -> None:
        """One more point: what was counted since the last one, and ``told``."""
        elapsed = max(now - self.sampled_s, 1e-3) if self.sampled_s is not None else 0.0
        self.sampled_s, self.due_s = now, now + self.spacing_s
        if not elapsed:
            self.since.clear()
            return
        before = len(self.at)
        self.at.append(wall)
        for name, number in (*told.items(), ("measured", self._measured(candidate))):
            self._put(self.columns, name, number, before)
        self._count(elapsed, before)
        for column in self._all():
            if len(column.numbers) == before:
                column.numbers.append(_NONE)
        if len(self.at) >= POINTS_MAX:
            self._shorten()

    def _measured(self, candidate: str) -> float:
        """The candidate's part of what was answered since the last point."""
        requests = sum(one.requests for one in self.since.values())
        own = self.since.get(candidate)
        return (own.requests if own else 0) / requests if candidate and requests else _NONE

    def _count(self, elapsed: float, before: int) -> None:
        requests = sum(one.requests for one in self.since.values())
        bad = sum(one.bad for one in self.since.values())
        self.rate = requests / elapsed
        self.error_ratio = bad / requests if requests else 0.0
        for name in {**self.versions, **self.since}:
            one = self.since.get(name) or _Since()
            columns = self.versions.get(name)
            if columns is None:
                if len(self.versions) >= VERSIONS_MAX:
                    continue
                columns = self.versions[name] = {}
            ratio = one.bad / one.requests if one.requests else _NONE
            figures = (one.requests / elapsed, ratio, *one.quantiles())
            for figure, number in zip(FIGURES, figures, strict=True):
                self._put(columns, figure, number, before)
        self.since.clear()

    @staticmethod
    def _put(columns: dict[str, Column], name: str, number: float, before: int) -> None:
        column = columns.get(name)
        if column is None:
            column = columns[name] = Column(before, worst=name in _WORST)
        column.numbers.append(number)

    def _all(self) -> Iterable[Column]:
        yield from self.columns.values()
        for columns in self.versions.values():
            yield from columns.values()

    def _shorten(self) -> None:
        if self.spacing_s < SPACING_MAX_S:
            self.spacing_s *= 2
            self.at = self.at[1::2]
            for column in self._all():
                column.halve()
            return
        del self.at[:2]
        for column in self._all():
            del column.numbers[:2]


class History:
    """The histories of all routes."""

    def __init__(self) -> None:
        self._routes: dict[str, RouteHistory] = {}
        self._turn = 0

    def __repr__(self) -> str:
        return f"<History {len(self._routes)} routes>"

    def add(self, counts: Iterable[VersionCounts]) -> None:
        """Book what a worker counted; copies are not drawn."""
        for one in counts:
            if one.role == "shadow" or not any(one.outcomes):
                continue
            kept = self._routes.setdefault(one.route, RouteHistory())
            kept.since.setdefault(one.version, _Since()).add(one)

    def due(self, runs: Mapping[str, Run], now: float) -> Iterable[list[Run]]:
        """Routes whose turn it is to have a point, in parts for one turn of the loop each."""
        for gone in [name for name in self._routes if name not in runs]:
            del self._routes[gone]
        due = [run for name, run in runs.items() if self._is_due(name, run, now)]
        begin = self._turn % len(due) if len(due) > SAMPLES_A_SECOND else 0
        self._turn += SAMPLES_A_SECOND
        due = (due[begin:] + due[:begin])[:SAMPLES_A_SECOND]
        return [due[at : at + SAMPLES_A_TURN] for at in range(0, len(due), SAMPLES_A_TURN)]

    def sample(self, runs: Iterable[Run], now: float, wall: float) -> None:
        """The next point of each of these routes."""
        for run in runs:
            if (kept := self._routes.get(run.route.name)) is not None:
                candidate = run.rollout.candidate if run.rollout else ""
                kept.point(now, wall, _told(run), candidate)

    def _is_due(self, name: str, run: Run, now: float) -> bool:
        rollout = run.rollout
        kept = self._routes.get(name)
        if kept is None:
            if run.live is None:
                return False
            kept = self._routes[name] = RouteHistory()
        about = (rollout.id, rollout.attempt) if rollout else ("", 0)
        if about != kept.about:
            kept.begin(about, 1.0 if run.live else QUIET_SPACING_S)
        return now >= kept.due_s

    def rate(self, route: str) -> tuple[float, float]:
        """Requests a second and share of failures at the last point."""
        kept = self._routes.get(route)
        return (kept.rate, kept.error_ratio) if kept is not None else (0.0, 0.0)

    def view(self, run: Run, since: float = 0.0) -> HistoryView:
        """Points later than ``since`` (wall time), with the limits that they are read against."""
        kept = self._routes.get(run.route.name) or RouteHistory()
        return view_of(run.route.name, kept, run.trial.judge if run.trial else None, since)


def view_of(name: str, kept: RouteHistory, judge: Judge | None, since: float) -> HistoryView:
    """A history as it is told: points later than ``since``, with the limits of ``judge``."""
    begin = next((i for i, at in enumerate(kept.at) if at > since), len(kept.at))
    columns = {n: column.told(begin) for n, column in kept.columns.items()}
    gates = {n.removeprefix("gate:"): c for n, c in columns.items() if n.startswith("gate:")}
    return HistoryView(
        route=name, rollout=kept.about[0], attempt=kept.about[1],
        every_s=kept.spacing_s, at=[round(at, 3) for at in kept.at[begin:]],
        **{n: columns.get(n, []) for n in COLUMNS},
        gates=gates,
        versions={
            version: VersionHistory(**{f: c.told(begin) for f, c in figures.items()})
            for version, figures in kept.versions.items()
        },
        evidence_limit=judge.limit if judge else None,
        hold_level=judge.settings.hold_level if judge else None,
        margin=judge.settings.margin if judge else None,
        proof_limit=1.0 / judge.settings.risk if judge else None,
    )  # fmt: skip


COLUMNS: Final = (
    "share", "measured", "mirrored", "evidence", "proof", "low", "high", "difference", "agreement",
)  # fmt: skip


def _told(run: Run) -> dict[str, float]:
    """What is known now besides counts: shares 0..1, evidence ``x : 1``."""
    entry = run.entry
    told: dict[str, float] = {}
    if 0 <= entry.candidate < len(entry.weights_bp):
        told["share"] = entry.weights_bp[entry.candidate] / 10_000
    if run.live is not None:
        told["mirrored"] = run.live.split.mirror_bp / 10_000
    elif run.rollout is not None:
        told.setdefault("share", 0.0 if run.record.stable == run.rollout.stable else 1.0)
    if run.trial is not None:
        told |= _judged(run.trial)
    return told


def _judged(trial: Trial) -> dict[str, float]:
    judge = trial.judge
    told = {"evidence": judge.capital, "proof": judge.promotion.best}
    for title, state in judge.states.items():
        if math.isfinite(state.context.limit):
            told[f"gate:{title}"] = state.capital
    if (limits := judge.promotion.band.limits) is not None:
        band = judge.promotion.band
        told |= {"low": limits.low, "high": limits.high, "difference": band.total / band.requests}
    if (agreement := trial.shadow.candidate.agreement) is not None:
        told["agreement"] = agreement
    return told
