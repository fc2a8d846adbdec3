"""How well the versions of a route did, over time: ``python -m router.reader.performance``.

Control starts it, with ``{"place", "route", "since", "until"}`` on standard input, and reads the
answer from standard output; what cannot be read is told as ``{"error": ...}``. A process of its
own, since a log has millions of rows and a decision waits for none of them. What is read is
bounded: of each stretch of time at most :data:`ROWS_MAX` rows, taken at :data:`PIECES` places that
are spread evenly over it. Counts and means alone come out, no payload.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any, Final

from router.core.logged.figures import auc_band, mean_band, share_band
from router.reader.book import BookError
from router.reader.export import reading
from router.reader.report import Figures, Inputs
from router.reader.reported import LoggedRow
from router.reader.sql_layout import ROWS
from router.reader.sql_link import SqlLink

STRETCHES: Final = 48
"""Of the time that is looked at: points of a curve."""
ROWS_MAX: Final = 2_000
"""Rows that are read of a stretch."""
PIECES: Final = 8
"""Places of a stretch where rows are read, when it has more than that."""
SCANNED_MAX: Final = 20_000
"""Rows of any route that are passed over in a stretch."""
SEGMENTS_MAX: Final = 50
FEATURES_MAX: Final = 64
VERSIONS_MAX: Final = 12
"""With their copies; further ones are not told."""
LAGS_MAX: Final = 100_000
NICE: Final = 10
COPIES: Final = " (copies)"
"""Behind the name of a version whose answers nobody was served."""

_Figure = tuple[float, float | None, float | None, int] | None
"""A value, the band of 95 % around it, and of how many; None: nothing tells."""


def _accuracy(one: Figures) -> _Figure:
    count = one.right + one.wrong
    band = share_band(one.right, count)
    return (one.right / count, *band, count) if band else None


def _auc(one: Figures) -> _Figure:
    area, yes, no = one.area()
    return (area, *auc_band(area, yes, no), yes + no) if area is not None else None


def _mae(one: Figures) -> _Figure:
    return _mean(one.distances())


def _value(one: Figures) -> _Figure:
    return _mean(one.values)


def _accepted(one: Figures) -> _Figure:
    count = one.taken + one.refused
    band = share_band(one.taken, count)
    return (one.taken / count, *band, count) if band else None


def _failed(one: Figures) -> _Figure:
    band = share_band(one.errors, one.count)
    return (one.errors / one.count, *band, one.count) if band else None


def _nulls(one: Figures) -> _Figure:
    empty = one.missing + one.unreadable
    band = share_band(empty, one.count)
    return (empty / one.count, *band, one.count) if band else None


def _score(one: Figures) -> _Figure:
    return _mean(one.scores)


def _mean(values: list[float]) -> _Figure:
    if not values:
        return None
    low, high = mean_band(values) or (None, None)
    return sum(values) / len(values), low, high, len(values)


METRICS: Final[Mapping[str, Callable[[Figures], _Figure]]] = {
    "accuracy": _accuracy, "auc": _auc, "mae": _mae, "business": _value, "trust": _accepted,
    "failed": _failed, "nulls": _nulls, "score": _score,
}  # fmt: skip
"""By the name of the gate that asks for it, where one does."""
SEGMENTED: Final = ("accuracy", "auc", "mae", "business", "trust")


class KnownVersion:
    """What is known of one version, as a whole and in each stretch."""

    def __init__(self) -> None:
        self.whole = Figures()
        self.stretches: dict[int, Figures] = {}
        self.lags: list[float] = []
        self.labelled: dict[int, int] = {}

    def add(self, row: LoggedRow, stretch: int) -> None:
        """One prediction."""
        self.whole.add(row)
        self.stretches.setdefault(stretch, Figures()).add(row)
        if row.label_time is not None:
            self.labelled[stretch] = self.labelled.get(stretch, 0) + 1
            if len(self.lags) < LAGS_MAX:
                self.lags.append(max(row.label_time - row.time, 0.0))

    def to_json(self) -> dict[str, Any]:
        """Figures, and a curve of each that there is."""
        lags, whole = sorted(self.lags), self.whole
        told = sum(self.labelled.values())
        metrics = {name: found for name, of in METRICS.items() if (found := of(whole)) is not None}
        return {
            "predictions": whole.count, "labelled": told,
            "covered": told / whole.count if whole.count else None,
            "lag_p50_s": _at(lags, 0.5), "lag_p95_s": _at(lags, 0.95),
            "unreadable": whole.unreadable, "missing": whole.missing,
            "classes": whole.outputs()["classes"],
            "metrics": {name: _figure(found) for name, found in metrics.items()},
            "course": {name: self._course(METRICS[name]) for name in metrics},
            "covered_course": [
                self.labelled.get(n, 0) / one.count if (one := self.stretches.get(n)) else None
                for n in range(STRETCHES)
            ],
        }  # fmt: skip

    def _course(self, of: Callable[[Figures], _Figure]) -> dict[str, list[float | int | None]]:
        found = [of(one) if (one := self.stretches.get(n)) else None for n in range(STRETCHES)]
        return {
            name: [None if one is None else _short(one[place]) for one in found]
            for place, name in enumerate(("value", "low", "high", "count"))
        }


def performance(place: str, route: str, since: float, until: float) -> dict[str, Any]:
    """What a page shows, as JSON (``PerformanceView``); ``until`` is now.

    Without a version where nothing was logged. Raises BookError.
    """
    with reading(place) as db:
        span = _span(db, route, since, until)
        begin, end, edges = span.begin, span.end, span.edges()
        kept: dict[str, KnownVersion] = {}
        parts: dict[tuple[str, str], Figures] = {}
        inputs: dict[str, dict[str, Inputs]] = {}
        asked: dict[str, int] = {}
        counted = ReadSoFar()
        for stretch, row in _rows(db, route, span, counted):
            name = row.version + (COPIES if row.role == "shadow" else "")
            if name not in kept and len(kept) >= VERSIONS_MAX:
                continue
            kept.setdefault(name, KnownVersion()).add(row, stretch)
            part = (row.segment, name)
            if row.segment and (part in parts or len(parts) < SEGMENTS_MAX):
                parts.setdefault(part, Figures()).add(row)
            if row.features:
                asked[name] = asked.get(name, 0) + 1
                _ask(inputs, name, json.loads(row.features))
    return {
        "since": begin, "until": end, "whole": counted.whole, "read": counted.read,
        "at": [round((a + b) / 2, 3) for a, b in pairwise(edges)],
        "versions": {name: one.to_json() for name, one in sorted(kept.items())},
        "segments": [
            {"segment": segment, "version": name, "predictions": one.count, "metrics": {
                metric: _figure(found) for metric in SEGMENTED
                if (found := METRICS[metric](one)) is not None
            }}
            for (segment, name), one in sorted(parts.items())
        ],
        "inputs": {
            feature: {name: one.to_json(asked[name]) for name, one in sorted(found.items())}
            for feature, found in sorted(inputs.items())
        },
    }  # fmt: skip


class ReadSoFar:
    """How much was read."""

    def __init__(self) -> None:
        self.read = 0
        self.whole = True
        """Everything that there is."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The time that is looked at, and its rows by number."""

    first: int
    last: int
    begin: float
    end: float

    def edges(self) -> list[float]:
        """Of all stretches."""
        wide = (self.end - self.begin) / STRETCHES
        return [self.begin + n * wide for n in range(STRETCHES + 1)]


def _rows(
    db: SqlLink, route: str, span: _Span, counted: ReadSoFar
) -> Iterator[tuple[int, LoggedRow]]:
    """Each stretch's rows, with its number."""
    inner = (_place(db, at, span.last) for at in span.edges()[1:-1])
    # Rows are in the order in which they ended, so those at an edge may stand behind it: at both
    # ends of the time none is left out.
    ids = [*accumulate((span.first, *inner), max), span.last + 1]
    for stretch, (first, after) in enumerate(pairwise(ids)):
        pieces = [*_pieces(first, after)]
        for begin, end in pieces:
            counted.whole &= end - begin >= (after - first) / len(pieces) - 1
            most = ROWS_MAX // len(pieces)
            found = db.execute(
                f"{ROWS} WHERE p.id >= ? AND p.id < ? AND p.route = ? ORDER BY p.id LIMIT ?",
                (begin, end, route, most),
            )
            names = [name for name, *_ in found.description]
            chosen = itemgetter(*map(names.index, LoggedRow._fields))
            rows = [LoggedRow._make(chosen(one)) for one in found]
            counted.read += len(rows)
            counted.whole &= len(rows) < most
            for row in rows:
                yield stretch, row


def _pieces(first: int, after: int) -> Iterable[tuple[int, int]]:
    """Where a stretch is read: whole, or at places that are spread evenly."""
    rows = after - first
    if rows <= ROWS_MAX:
        return [(first, after)]
    wide = min(rows // PIECES, SCANNED_MAX // PIECES)
    starts = (first + rows * n // PIECES for n in range(PIECES))
    return [(start, start + wide + (rows <= SCANNED_MAX)) for start in starts]


def _last(db: SqlLink) -> int:
    (last,) = db.execute("SELECT max(id) FROM predictions").fetchone()
    return int(last or 0)


def _place(db: SqlLink, at: float, last: int) -> int:
    """The first row that is not before ``at``; rows are in the order in which they ended."""
    low, high = 0, last + 1
    while low < high:
        middle = (low + high) // 2
        found = db.execute(
            "SELECT time FROM predictions WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
        ).fetchone()
        if found is None or found[0] >= at:
            high = middle
        else:
            low = middle + 1
    return low


def _span(db: SqlLink, route: str, since: float, until: float) -> _Span:
    """From the first row of that time to its end."""
    last = _last(db)
    first = _place(db, since, last)
    found = db.execute(
        "SELECT time FROM predictions WHERE id >= ? AND id < ? AND route = ? ORDER BY id LIMIT 1",
        (first, first + STRETCHES * SCANNED_MAX, route),
    ).fetchone()
    begin = max(since, found[0]) if found else since
    return _Span(first, last, begin, max(until, begin + 1.0))


def _ask(inputs: dict[str, dict[str, Inputs]], version: str, asked: Mapping[str, Any]) -> None:
    for name, value in asked.items():
        if name in inputs or len(inputs) < FEATURES_MAX:
            inputs.setdefault(name, {}).setdefault(version, Inputs()).add(value)


def _figure(found: _Figure) -> dict[str, float | int | None] | None:
    if found is None:
        return None
    value, low, high, of = found
    return {"value": _short(value), "low": _short(low), "high": _short(high), "count": of}


def _short(number: float | None) -> float | int | None:
    return number if number is None or isinstance(number, int) else float(f"{number:.5g}")


def _at(values: list[float], share: float) -> float | None:
    return values[min(int(share * len(values)), len(values) - 1)] if values else None


def main() -> None:
    """Read what is asked, say what was found."""
    os.nice(NICE)
    asked = json.loads(sys.stdin.read())
    try:
        told = performance(asked["place"], asked["route"], asked["since"], asked["until"])
    except (BookError, ValueError) as error:
        told = {"error": str(error)}
    json.dump(told, sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
