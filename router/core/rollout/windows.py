"""Time windows: when a rollout may go on, by the clock on somebody's wall.

A window is written ``mon-fri 09:00-17:00 Europe/Berlin``: days, local times, an IANA time zone. It
is open while the clock in that zone shows a time within it, so a change to summer time needs no
rule of its own: a time that the clock skips never opens, one that it shows twice opens twice. A
window that ends before it begins lasts over midnight and belongs to the day on which it begins.

The present is an argument, seconds since 1970; nothing here reads a clock. The rules of the zones
are data that :mod:`zoneinfo` loads once, like code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final, Self
from zoneinfo import ZoneInfo

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN: Final = 1440

LOOK_AHEAD_DAYS: Final = 15
"""How far the next opening is looked for: a weekly window opens within 8 days, or within 15 when
summer time skips it once."""

OPENINGS_MAX: Final = 64
"""How many openings a hold is followed through for a date."""

WINDOW_PATTERN: Final = (
    r"^(daily|(mon|tue|wed|thu|fri|sat|sun)([,-](mon|tue|wed|thu|fri|sat|sun))*)"
    r" [0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9] [A-Za-z][A-Za-z0-9_+/-]{0,63}$"
)
_EXAMPLE: Final = "mon-fri 09:00-17:00 Europe/Berlin"
_WINDOW: Final = re.compile(
    r"(?P<days>[a-z,-]{3,64}) (?P<opens>\d\d:\d\d)-(?P<closes>\d\d:\d\d) (?P<zone>\S{1,64})"
)


@dataclass(frozen=True, slots=True)
class Window:
    """Days of the week (0 is Monday) and minutes after local midnight, in a time zone."""

    days: frozenset[int]
    opens_min: int
    """0..1439."""
    closes_min: int
    """Exclusive; above 1440 on the following day."""
    zone: str
    text: str
    """As it was written."""

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: object) -> Self:
        """The window in ``text``. Raises ValueError with a message for the author of a policy."""
        match = _WINDOW.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"expected a window such as {_EXAMPLE}, got {text!r:.60}")
        opens_min, closes_min = _minutes(match["opens"]), _minutes(match["closes"])
        if opens_min in (closes_min, DAY_MIN):
            raise ValueError(
                f"expected a window that is open for a time, got {text!r}. "
                "The whole day is 00:00-24:00"
            )
        if closes_min < opens_min:
            closes_min += DAY_MIN
        _zone(match["zone"])
        return cls(_days(match["days"]), opens_min, closes_min, match["zone"], match.string)

    def is_open(self, at: float) -> bool:
        """Whether the wall clock of the zone shows a time within it at ``at``."""
        local = datetime.fromtimestamp(at, _zone(self.zone))
        minute = local.hour * 60 + local.minute
        today = local.weekday() in self.days and self.opens_min <= minute < self.closes_min
        yesterday = (local.weekday() - 1) % 7 in self.days
        return today or (yesterday and minute + DAY_MIN < self.closes_min)

    def next_open(self, at: float) -> float | None:
        """The first moment from ``at`` on at which it is open, to the minute; None: never."""
        if self.is_open(at):
            return at
        zone = _zone(self.zone)
        first = datetime.fromtimestamp(at, zone).date() - timedelta(days=1)
        for offset in range(LOOK_AHEAD_DAYS + 2):
            day = first + timedelta(days=offset)
            if day.weekday() not in self.days:
                continue
            starts = [t for t in self._starts(day, zone) if t >= at and self.is_open(t)]
            if starts:
                return _first_open(self, min(starts), at)
        return None

    def closes(self, at: float) -> float:
        """When the opening that holds at ``at`` ends, to the minute; infinity: it does not."""
        zone = _zone(self.zone)
        local = datetime.fromtimestamp(at, zone)
        for offset in range(-1, LOOK_AHEAD_DAYS):
            day = local.date() + timedelta(days=offset + self.closes_min // DAY_MIN)
            minute = self.closes_min % DAY_MIN
            clock = time(minute // 60, minute % 60)
            for fold in (0, 1):
                closes = datetime.combine(day, clock.replace(fold=fold), zone).timestamp()
                if closes > at and self.is_open(closes - 60) and not self.is_open(closes):
                    return closes
        return float("inf")

    def _starts(self, day: date, zone: ZoneInfo) -> Iterable[float]:
        """Moments at which it may open on ``day``.

        Both readings of a time that is shown twice or skipped (PEP 495), and the midnight after,
        for a window over midnight whose start is skipped.
        """
        clock = time(self.opens_min // 60, self.opens_min % 60)
        for fold in (0, 1):
            yield datetime.combine(day, clock.replace(fold=fold), zone).timestamp()
        if self.closes_min > DAY_MIN:
            midnight = datetime.combine(day + timedelta(days=1), time(), zone)
            yield midnight.timestamp()


def any_open(windows: Iterable[Window], at: float) -> bool:
    """Whether one of the windows is open; no windows at all are always open."""
    listed = tuple(windows)
    return not listed or any(window.is_open(at) for window in listed)


def next_open(windows: Iterable[Window], at: float) -> float | None:
    """The first moment from ``at`` on at which one of them is open; None: never again."""
    listed = tuple(windows)
    if not listed:
        return at
    found = [t for window in listed if (t := window.next_open(at)) is not None]
    return min(found, default=None)


def open_for(windows: Iterable[Window], at: float, seconds: float) -> float | None:
    """The first moment by which windows were open for ``seconds`` since ``at``, and one still is.

    None: not within :data:`OPENINGS_MAX` openings.
    """
    listed = tuple(windows)
    if not listed:
        return at + seconds
    for _ in range(OPENINGS_MAX):
        opens = next_open(listed, at)
        if opens is None:
            return None
        closes = max(one.closes(opens) for one in listed if one.is_open(opens))
        if seconds < closes - opens:
            return opens + seconds
        seconds, at = seconds - (closes - opens), closes
    return None


def moment(at: float, zone: str = "") -> str:
    """A moment for people: ``Mon 2026-11-23 09:00 Europe/Berlin``; UTC without a zone."""
    local = datetime.fromtimestamp(at, _zone(zone) if zone else UTC)
    return f"{local:%a %Y-%m-%d %H:%M} {zone or 'UTC'}"


def _first_open(window: Window, at: float, least: float) -> float:
    """Back to where the clock jumped into the window, if it did: at most an hour or two."""
    while at - 60 >= least and window.is_open(at - 60):
        at -= 60
    return at


def _minutes(clock: str) -> int:
    hours, minutes = int(clock[:2]), int(clock[3:])
    if minutes > 59 or hours * 60 + minutes > DAY_MIN:
        raise ValueError(f"expected a time from 00:00 to 24:00, got {clock}")
    return hours * 60 + minutes


def _days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"expected days such as mon-fri, sat,sun or daily, got {text!r}")
        start, end = DAYS.index(first), DAYS.index(last or first)
        days.update((start + n) % 7 for n in range((end - start) % 7 + 1))
    return frozenset(days)


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"expected a time zone such as Europe/Berlin or UTC, got {name!r}"
        ) from None
