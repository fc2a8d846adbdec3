"""What people may ask about data and about how right predictions were; nothing here decides."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from router.control.predictions.watching import RouteWatch
from router.control.told.data_views import (
    ArmView,
    CheckView,
    DataSignalView,
    DataView,
    PerformanceView,
    SignalCourseView,
    SignalDetailView,
)
from router.control.told.monitored import alarm_view
from router.control.told.pipeline import PipelineView, pipeline
from router.core.monitors.distances import shares
from router.core.monitors.monitors import Monitors
from router.core.monitors.profile import EXTRA, Profile
from router.core.monitors.signal import COURSE, Signal

if TYPE_CHECKING:
    from router.control.told.parts import Parts

DIGITS: Final = 5
"""That are told of a number."""
CHECKS: Final = ("nulls", "type", "outside")
"""Those whose size is a share."""
ARMS: Final = ("stable", "candidate")


class DataDesk:
    """Reads what monitors and the prediction log have."""

    def __init__(self, plane: Parts) -> None:
        self._plane = plane

    def __repr__(self) -> str:
        return f"<DataDesk of {len(self._plane.watching.watches)} watched routes>"

    async def performance(self, name: str, span_s: float) -> PerformanceView:
        """Of the last ``span_s`` seconds. Raises UnknownRoute, LogUnreadable."""
        self._plane.reconciler.run_of(name)
        return await self._plane.performed.of(name, span_s)

    def pipeline(self) -> PipelineView:
        """Routes that feed each other."""
        return pipeline(self._plane)

    def quality(
        self, name: str, signal: str = "", segment: str = "", *, named: bool = False
    ) -> DataView:
        """What is watched, with everything about one ``signal``.

        ``named``: categories of features by their names, which are what clients sent. Raises
        UnknownRoute.
        """
        self._plane.reconciler.run_of(name)
        watch = self._plane.watching.watches.get(name)
        chosen = (signal, segment) if signal else None
        return data_view(name, watch, chosen, named=named)


def data_view(
    route: str, watch: RouteWatch | None, chosen: tuple[str, str] | None, *, named: bool
) -> DataView:
    """See :meth:`DataDesk.quality`; a route without monitors has no signals."""
    if watch is None:
        return DataView(
            route=route, watched=False, reference="", trouble="", requests=0, window_s=0.0,
            slot_s=0.0, alarms=[], over=[], signals=[], chosen=None,
        )  # fmt: skip
    monitors = watch.monitors
    settings = monitors.settings
    groups = {"": monitors, **monitors.parts}
    detail = None
    if chosen is not None and (of := groups.get(chosen[1])) is not None:
        detail = _detail(of, *chosen, named=named)
    return DataView(
        route=route, watched=True, reference=settings.reference or "the past",
        trouble=watch.trouble, requests=monitors.requests,
        window_s=settings.terms.window * settings.slot_s, slot_s=settings.slot_s,
        alarms=[alarm_view(one) for one in monitors.lasting()],
        over=[alarm_view(one) for one in monitors.ended()],
        signals=[one for segment, of in groups.items() for one in _signals(of, segment)],
        chosen=detail,
    )  # fmt: skip


def _signals(monitors: Monitors, segment: str) -> Iterator[DataSignalView]:
    left = monitors.foretold()
    for name, signal in (*monitors.inputs.items(), *monitors.outputs.items()):
        seen = monitors.seen.get(name)
        found = seen.deviations if seen is not None else {}
        whole = found.get("distribution")
        yield DataSignalView(
            name=name, segment=segment, output=name not in monitors.inputs,
            kind=signal.kind or "", learnt=signal.learnt,
            checks=[
                CheckView(
                    check=one.check, size=_short(one.size), limit=one.limit,
                    chance=_short(one.chance), text=one.text,
                    cyclic=seen is not None and one.check in seen.cyclic,
                ) for one in found.values()
            ],
            jensen_shannon=_short(whole.beside.get("jensen_shannon", 0.0)) if whole else None,
            ks=_known(whole.beside.get("ks")) if whole else None,
            chance=_short(whole.chance) if whole else None,
            limit_in_s=left.get(name),
            psi_at=_column(signal, "at"), psi=_column(signal, "psi"),
        )  # fmt: skip


def _detail(monitors: Monitors, name: str, segment: str, *, named: bool) -> SignalDetailView | None:
    if name not in monitors.inputs and name not in monitors.outputs:
        return None
    signal = monitors.signal(name)
    profile = signal.profile
    named = named or name in monitors.outputs
    columns = {column: _column(signal, column) for column in COURSE}
    window = signal.memory.window(max(monitors.settings.terms.window, 1))
    return SignalDetailView(
        name=name, segment=segment,
        cells=cell_names(profile, named=named) if profile is not None else [],
        reference=_shares(profile.counts) if profile is not None and signal.learnt else [],
        now=_shares(window) if profile is not None else [],
        arms={arm: one for arm in ARMS if (one := _arm(monitors, signal, arm)) is not None},
        course=SignalCourseView(ks=[
            _known(row[COURSE.index("ks")]) for row in signal.course
        ], **{name: column for name, column in columns.items() if name != "ks"}),
    )  # fmt: skip


def _arm(monitors: Monitors, signal: Signal, arm: str) -> ArmView | None:
    found = signal.deviation_of(arm, monitors.settings.terms)
    if not found:
        return None
    counts = signal.arms[arm]
    rows = sum(counts[:-1])
    missing, mistyped, outside = (counts[-EXTRA + place] / max(rows, 1) for place in range(EXTRA))
    return ArmView(
        rows=rows, nulls=_short(missing), type=_short(mistyped), outside=_short(outside),
        psi=_short(found["distribution"].size), cells=_shares(counts),
    )  # fmt: skip


def cell_names(profile: Profile, *, named: bool) -> list[str]:
    """What each cell of values holds: ranges of numbers, or categories (else by their rank)."""
    if profile.kind == "numeric":
        edges = [f"{edge:.4g}" for edge in profile.edges]
        if not edges:
            return [f"{profile.low:.4g} to {profile.high:.4g}"]
        between = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
        return [f"below {edges[0]}", *between, f"from {edges[-1]}"]
    names = profile.names if named else [f"category {n + 1}" for n in range(len(profile.names))]
    return [*names, "others"]


def _column(signal: Signal, name: str) -> list[float]:
    place = COURSE.index(name)
    return [_short(row[place] or 0.0, DIGITS if place else 14) for row in signal.course]


def _shares(counts: Sequence[float]) -> list[float]:
    return [_short(one) for one in shares(counts[:-EXTRA])]


def _known(number: float | None) -> float | None:
    return None if number is None else _short(number)


def _short(number: float, digits: int = DIGITS) -> float:
    return float(f"{number:.{digits}g}")
