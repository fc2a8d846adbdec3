"""Monitors as people and Prometheus see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from router.control.predictions.watching import RouteWatch
from router.control.told.views import AlarmView, MonitorsView, SignalView
from router.core.monitors.alarm import Alarm
from router.core.monitors.monitors import Monitors
from router.core.monitors.signal import Signal
from router.telemetry.metrics import Gauge, labels


def monitors_view(watch: RouteWatch) -> MonitorsView:
    """Everything about one route's monitors."""
    monitors = watch.monitors
    signals = [*_signals(monitors)]
    for name, part in monitors.parts.items():
        signals += _signals(part, name)
    return MonitorsView(
        reference=monitors.settings.reference or "the past",
        trouble=watch.trouble,
        requests=monitors.requests,
        alarms=[alarm_view(one) for one in monitors.lasting()],
        over=[alarm_view(one) for one in monitors.ended()],
        signals=signals,
    )


def _signals(monitors: Monitors, segment: str = "") -> Iterator[SignalView]:
    """Of one segment; empty: of all together."""
    left = monitors.foretold()
    for one in monitors.inputs.values():
        yield _signal(monitors, one, left, segment, output=False)
    for one in monitors.outputs.values():
        yield _signal(monitors, one, left, segment, output=True)


def _signal(
    monitors: Monitors, signal: Signal, left: Mapping[str, float], segment: str, *, output: bool
) -> SignalView:
    seen = monitors.seen.get(signal.name)
    found = seen.deviations if seen is not None else {}
    text = found["distribution"].text if found else ""
    return SignalView(
        name=signal.name,
        segment=segment,
        output=output,
        learnt=signal.learnt,
        sizes={check: round(one.size, 6) for check, one in found.items()},
        text="no request had it" if signal.never and not output else text,
        limit_in_s=left.get(signal.name),
    )


def alarm_view(alarm: Alarm) -> AlarmView:
    """One change, as people see it."""
    return AlarmView(
        signal=alarm.signal, check=alarm.check, cause=alarm.cause.value,
        course=alarm.course.value, since=alarm.since, until=alarm.until,
        accepted=alarm.accepted, sentence=alarm.sentence(),
    )  # fmt: skip


def monitor_gauges(route: str, watch: RouteWatch) -> Iterator[Gauge]:
    """How far each signal of a route is off, by check, and the changes that last by cause."""
    for name, seen in watch.monitors.seen.items():
        for check, one in seen.deviations.items():
            yield "monitor_size", labels(route=route, signal=name, check=check), one.size
    causes: dict[str, int] = {}
    for alarm in watch.monitors.lasting():
        causes[alarm.cause.value] = causes.get(alarm.cause.value, 0) + 1
    for cause, number in causes.items():
        yield "monitor_alarms", labels(route=route, cause=cause), number
