"""How soon a candidate that was taken back may be tried again."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, StrictInt

from router.core.quantities import Seconds
from router.core.spec import Spec
from router.core.words import count, duration

DAY_S: Final = 86_400.0


class AntiFlap(Spec):
    """Bounds of `retry`, so that a failing candidate does not come back again and again.

    The first retry in a day may be at once. ``--force`` overrides both bounds.
    """

    backoff: Seconds = 60.0
    """Time between its end and the second retry in a day; doubles with each further one."""
    backoff_max: Seconds = 3600.0
    """The longest such time."""
    per_day: Annotated[StrictInt, Field(ge=1, le=100)] = 10
    """Retries of one candidate within 24 hours; more only by force."""

    def refusal(self, retries: Sequence[float], ended: float, now: float) -> str:
        """Why it may not be tried again yet; empty when it may.

        ``retries``: when it was tried again before; ``ended``: when it was taken back last; all in
        rollout clock seconds. Worked example with the defaults: the 2nd retry waits 1m, the 3rd
        2m, the 8th an hour, and an 11th within 24 hours waits until the first is a day old.
        """
        recent = [at for at in retries if now - at < DAY_S]
        if not recent:
            return ""
        if len(recent) >= self.per_day:
            left_s = sorted(recent)[-self.per_day] + DAY_S - now
            why = f"per_day is {self.per_day}"
        else:
            wait_s = min(self.backoff * 2.0 ** (len(recent) - 1), self.backoff_max)
            left_s = ended + wait_s - now
            why = f"the back-off is {duration(wait_s)}"
        if left_s <= 0:
            return ""
        tried = count(len(recent), "time")
        return f"retried {tried} within a day, {why}; possible in {duration(left_s)}, or by force"
