"""A flight as a client knows it: carrier, number, origin and schedule, and nothing engineered.

The data are the 336,776 flights that left New York in 2013 (nycflights13). Within them the six
fields of `Flight` name one row uniquely, so they serve as its identity.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

YEAR = 2013
FLIGHT_NUMBER_MAX = 9_999

_FLIGHT_ID = re.compile(
    r"(?P<carrier>[A-Z0-9]{2})(?P<flight>\d{1,4})"
    r"\.(?P<origin>[A-Z]{3})"
    r"\.2013-(?P<month>\d\d)-(?P<day>\d\d)"
    r"\.(?P<sched_dep_time>\d{4})"
)
_CARRIER = re.compile(r"[A-Z0-9]{2}")
_ORIGIN = re.compile(r"[A-Z]{3}")


Where = Callable[[str], str]
"""From the name of a field to its place in the request, for error messages."""


class BadFieldError(ValueError):
    """A field of a request is missing or out of range: the client's fault, answered with 400.

    Attributes:
        field: where it is, such as `inputs.month[2]`.
        problem: what is wrong with it, as a sentence without its subject.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnknownFlightError(BadFieldError):
    """A well-formed flight that never was in the schedule: answered with 422."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One scheduled departure.

    Attributes:
        carrier: two characters of IATA, such as `UA`, `B6` or `9E`.
        flight: flight number, 1 to 9999.
        origin: three letters of IATA, such as `EWR`.
        month: 1 to 12, of the year 2013.
        day: 1 to 31.
        sched_dep_time: local time as a number, HHMM: 515 is 05:15.
        dep_delay: minutes that it left late, where the client says so; None: it is looked up.
    """

    carrier: str
    flight: int
    origin: str
    month: int
    day: int
    sched_dep_time: int
    dep_delay: float | None = None

    @property
    def flight_id(self) -> str:
        """The flight as one string, such as `UA1545.EWR.2013-01-01.0515`."""
        return (
            f"{self.carrier}{self.flight}.{self.origin}"
            f".{YEAR}-{self.month:02}-{self.day:02}.{self.sched_dep_time:04}"
        )


DELAY_FIELD = "dep_delay"
DELAY_MAX_MIN = 10_000

FLIGHT_FIELDS = ("carrier", "flight", "origin", "month", "day", "sched_dep_time")
"""The six fields that together name a flight, in the order of `Flight`."""


def parse_flight_id(text: object, field: str) -> Flight:
    """Read `UA1545.EWR.2013-01-01.0515`.

    Args:
        text: what the client sent.
        field: where it stood, for the error message.

    Raises:
        BadFieldError: it is not a string of that form.
    """
    match = _FLIGHT_ID.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BadFieldError(
            field,
            f"expected a flight id like UA1545.EWR.{YEAR}-01-01.0515, got {_short(text)}",
        )
    numbers = {name: int(match[name]) for name in ("flight", "month", "day", "sched_dep_time")}
    return flight_from(match.groupdict() | numbers, lambda _name: field)


def flight_from(fields: Mapping[str, object], where: Where) -> Flight:
    """Check the six fields one by one and make a flight of them.

    Args:
        fields: values by the names in `FLIGHT_FIELDS`.
        where: gives the place of a field by its name, for the error message.

    Raises:
        BadFieldError: a field is missing, has the wrong type or is out of range.
    """
    for name in FLIGHT_FIELDS:
        if name not in fields:
            raise BadFieldError(where(name), "missing; a flight needs " + ", ".join(FLIGHT_FIELDS))
    return Flight(
        carrier=_text(fields, "carrier", _CARRIER, "two characters like UA", where),
        flight=_number(fields, "flight", (1, FLIGHT_NUMBER_MAX), where),
        origin=_text(fields, "origin", _ORIGIN, "three letters like EWR", where),
        month=_number(fields, "month", (1, 12), where),
        day=_number(fields, "day", (1, 31), where),
        sched_dep_time=_clock(fields, where),
    )


def delayed(flight: Flight, minutes: object, field: str) -> Flight:
    """The flight with the delay that the client knows; None: it knows none.

    Raises:
        BadFieldError: it is no number of minutes.
    """
    if minutes is None:
        return flight
    if not isinstance(minutes, int | float) or isinstance(minutes, bool):
        raise BadFieldError(field, f"expected minutes or null, got {_short(minutes)}")
    if not -DELAY_MAX_MIN <= minutes <= DELAY_MAX_MIN:
        raise BadFieldError(field, f"expected minutes of at most a week, got {_short(minutes)}")
    return replace(flight, dep_delay=float(minutes))


def _text(
    fields: Mapping[str, object], name: str, pattern: re.Pattern[str], wanted: str, where: Where
) -> str:
    value = fields[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadFieldError(where(name), f"expected {wanted}, got {_short(value)}")
    return value


def _number(fields: Mapping[str, object], name: str, bounds: tuple[int, int], where: Where) -> int:
    value, (low, high) = fields[name], bounds
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a client that sends every tensor as FP64 still names a whole number
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadFieldError(
            where(name), f"expected a whole number from {low} to {high}, got {_short(value)}"
        )
    return value


def _clock(fields: Mapping[str, object], where: Where) -> int:
    value = _number(fields, "sched_dep_time", (0, 2359), where)
    if value % 100 > 59:
        raise BadFieldError(where("sched_dep_time"), f"expected a time as HHMM, got {value}")
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
