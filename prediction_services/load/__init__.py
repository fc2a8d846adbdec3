"""A load generator that counts what clients really saw.

Open loop: requests leave when the plan says, however slow the answers are, and a latency runs
from the planned moment, so a stalled server cannot hide behind a generator that waits for it
(coordinated omission).
"""

from prediction_services.load.arrivals import Arrival, Arrivals
from prediction_services.load.generator import Answer, LoadGenerator, Truth
from prediction_services.load.tally import Tally
from prediction_services.load.trips import Trip, flight_trips, invented_trips

__all__ = [
    "Answer",
    "Arrival",
    "Arrivals",
    "LoadGenerator",
    "Tally",
    "Trip",
    "Truth",
    "flight_trips",
    "invented_trips",
]
