"""Who asks what, and when: a seeded plan that does not depend on how the answers come."""

import itertools
import random
from collections.abc import Sequence
from typing import NamedTuple

from prediction_services.load.trips import Trip

USERS_DEFAULT = 10_000
ZIPF_EXPONENT = 1.1
"""Popularity of the k-th user is k to the minus this: the first of 10,000 sends one in eight."""


class Arrival(NamedTuple):
    """One request of the plan.

    Attributes:
        number: 0, 1, 2, …
        wait: time since the arrival before, in units of the mean gap; divide by the rate.
        user: `user-1` is the most frequent.
        trip: what is asked.
    """

    number: int
    wait: float
    user: str
    trip: Trip


class Arrivals:
    """An endless Poisson stream: same seed and trips, same stream, whatever the rate.

    Args:
        trips: asked in order; begins anew at the end.
        seed: of gaps and users.
        users: how many different users there are.
        exponent: of their Zipf popularity; 0 makes all alike.
    """

    def __init__(
        self,
        trips: Sequence[Trip],
        *,
        seed: int,
        users: int = USERS_DEFAULT,
        exponent: float = ZIPF_EXPONENT,
    ) -> None:
        self._trips = trips
        self._gaps = random.Random(f"gaps/{seed}")
        self._choices = random.Random(f"users/{seed}")
        self._names = [f"user-{rank}" for rank in range(1, users + 1)]
        self._weights = list(itertools.accumulate(rank**-exponent for rank in range(1, users + 1)))
        self._number = 0

    def __iter__(self) -> "Arrivals":
        return self

    def __next__(self) -> Arrival:
        """The next arrival; never ends."""
        number, self._number = self._number, self._number + 1
        return Arrival(
            number=number,
            wait=self._gaps.expovariate(1.0),
            user=self._choices.choices(self._names, cum_weights=self._weights)[0],
            trip=self._trips[number % len(self._trips)],
        )
