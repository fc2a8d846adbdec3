"""Fewer requests where the machine cannot follow: the play is to show the router, not a queue.

A shadow costs every request twice; on a machine that is busy with something else, services that
share two cores with everything here would fall behind, and an open loop never waits for them.
"""

import asyncio

from prediction_services.demo.recorder import Recorder
from prediction_services.load import LoadGenerator

LOOK_S = 0.5

GRACE_S = 2.0
"""First connections and first predictions are slow on any machine."""

SLOW_MS = 100.0
"""95th percentile of a second's answers (usually below 20) above which the load is lowered."""

QUICK_MS = 40.0
"""95th percentile below which it may grow again."""

DOWN, UP = 0.6, 1.1
"""Factors per look: down fast, up slowly."""

RATE_MIN_PER_S = 50.0
"""Not lower: the play needs answers to decide by."""


class Governor:
    """Lowers and restores the rate of a load while it runs."""

    def __init__(self, load: LoadGenerator, recorder: Recorder) -> None:
        self._load = load
        self._recorder = recorder
        self._wanted_per_s = load.rate_per_s
        self._said = False

    async def govern(self) -> None:
        """Look until cancelled."""
        await asyncio.sleep(GRACE_S)
        while True:
            await asyncio.sleep(LOOK_S)
            served = [bin_ for bin_ in self._recorder.recent() if bin_.answers]
            # The version with most answers: a candidate that is slow is the router's business.
            most = max(served, key=lambda bin_: bin_.answers, default=None)
            if most is not None:
                self.adjust(most.p95_ms)

    def adjust(self, p95_ms: float) -> None:
        """One step towards a rate that the machine can bear."""
        rate = self._load.rate_per_s
        if p95_ms > SLOW_MS:
            self._load.rate_per_s = min(rate, max(rate * DOWN, RATE_MIN_PER_S))
            if not self._said:
                self._said = True
                self._recorder.mark(
                    "machine", f"this machine is busy (95th percentile {p95_ms:.0f} ms): less load"
                )
        elif p95_ms < QUICK_MS and rate < self._wanted_per_s:
            self._load.rate_per_s = min(rate * UP, self._wanted_per_s)
