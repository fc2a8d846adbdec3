"""What turns flights into probabilities. This module stays free of numpy and scikit-learn."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from prediction_services.flights import Flight
from prediction_services.versions import VERSIONS


class Predictor(Protocol):
    """Anything that can answer for a batch of flights."""

    @property
    def instant(self) -> bool:
        """Whether a call takes microseconds, so that it may run in the event loop."""

    def scores(self, flights: Sequence[Flight]) -> list[float]:
        """The probability, 0 to 1, that each flight arrives late.

        Runs in a pool thread unless `instant`.

        Raises:
            UnknownFlightError: a flight is not in the schedule.
        """


class StaticPredictor:
    """A fixed, even-looking function of the flight's name; no data, no lookup, no model."""

    instant = True

    def scores(self, flights: Sequence[Flight]) -> list[float]:
        """A checksum of the flight id, as a share: the same flight always gets the same score."""
        return [zlib.crc32(flight.flight_id.encode()) / 2**32 for flight in flights]


def load_predictor(version: str, cache: Path) -> Predictor:
    """Load what a version needs, training it on first use; seconds, so call it in a thread.

    Args:
        version: a key of `VERSIONS`.
        cache: the cache directory.

    Raises:
        KeyError: no such version.
        ModuleNotFoundError: the extra `services` is not installed.
    """
    chosen = VERSIONS[version]
    if chosen.model is None:
        return StaticPredictor()
    from prediction_services.models import ModelPredictor  # noqa: PLC0415 - scikit-learn takes 2 s

    return ModelPredictor.load(
        cache, chosen.model, chosen.delay_factor,
        lost_share=chosen.lost_share, dropped=chosen.dropped,
    )  # fmt: skip
