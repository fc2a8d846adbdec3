"""What the load asks about: real flights in time order with their true labels, or invented ones."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, overload

from prediction_services.flights import Flight

if TYPE_CHECKING:
    from prediction_services.dataset import FlightTable

FIRST_SERVED_MONTH = 3
"""January and February trained the models."""


class Trip(NamedTuple):
    """One flight to ask about.

    Attributes:
        flight_id: as `flights.Flight.flight_id`.
        late: the true label; None when it is not known (cancelled, or invented).
    """

    flight_id: str
    late: bool | None


def flight_trips(cache: Path, month: int = FIRST_SERVED_MONTH) -> Sequence[Trip]:
    """Real flights in time order from the first of a month to the end of the year.

    Reads the cache, or fills it on first use (about 3 s).

    Args:
        cache: the cache directory.
        month: 1 to 12 of 2013.
    """
    from prediction_services.dataset import load_table  # noqa: PLC0415 - imports numpy

    table = load_table(cache)
    return _TableTrips(table, table.first_row(month))


def invented_trips(count: int = 10_000, seed: int = 0) -> Sequence[Trip]:
    """Flights that never were, for the version `static`: needs neither data nor numpy."""
    chance = random.Random(seed)
    flights = (
        Flight(
            carrier=chance.choice(("UA", "B6", "EV", "DL", "AA")),
            flight=chance.randint(1, 9_999),
            origin=chance.choice(("EWR", "JFK", "LGA")),
            month=chance.randint(3, 12),
            day=chance.randint(1, 28),
            sched_dep_time=chance.randint(5, 22) * 100 + chance.randint(0, 59),
        )
        for _ in range(count)
    )
    return [Trip(flight.flight_id, None) for flight in flights]


class _TableTrips(Sequence[Trip]):
    """Trips made on demand from the table's arrays: 285,000 ready-made ones would cost 50 MB."""

    def __init__(self, table: "FlightTable", first_row: int) -> None:
        self._table = table
        self._first_row = first_row

    def __len__(self) -> int:
        return len(self._table) - self._first_row

    @overload
    def __getitem__(self, place: int) -> Trip: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Trip]: ...
    def __getitem__(self, place: int | slice) -> Trip | Sequence[Trip]:
        if isinstance(place, slice):
            return [self._trip(place_) for place_ in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self._trip(place % len(self))

    def __iter__(self) -> Iterator[Trip]:
        return map(self._trip, range(len(self)))

    def _trip(self, place: int) -> Trip:
        row = self._first_row + place
        return Trip(self._table.row_flight(row).flight_id, self._table.late(row))
