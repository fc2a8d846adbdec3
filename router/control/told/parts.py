"""The parts of the control process, as far as what is told of it is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.control.fleet.compare import Comparer
    from router.control.fleet.feedback import Feedback
    from router.control.fleet.fleet import Fleet
    from router.control.outside.judges import Judges
    from router.control.outside.outreach import Outreach
    from router.control.outside.traces import Traces
    from router.control.predictions.booked import PredictionLog
    from router.control.predictions.cascades import Cascades
    from router.control.predictions.performed import Performed
    from router.control.predictions.usage import Usages
    from router.control.predictions.watching import Watching
    from router.control.reviews.queue import Reviews
    from router.control.rollouts.reconciler import Reconciler
    from router.control.state.clock import Clock
    from router.control.state.store import Store
    from router.control.told.announce import Announcer
    from router.control.told.history import History
    from router.control.watch import PolicySource
    from router.telemetry.metrics import Metrics


class Parts:
    """Made and kept by the plane, read by the controller."""

    announcer: Announcer
    cascades: Cascades
    clock: Clock
    comparer: Comparer
    feedback: Feedback
    fleet: Fleet
    log: PredictionLog
    history: History
    judges: Judges
    metrics: Metrics
    performed: Performed
    outreach: Outreach
    reconciler: Reconciler
    reviews: Reviews
    source: PolicySource
    store: Store
    traces: Traces
    usages: Usages
    watching: Watching
    lag_s: float
    """Largest delay of the loop since it was last told, seconds."""
    loop_failures: dict[tuple[str, str], int]
    """What was raised in loops of workers that are there, by process and loop."""
    worker_lag_s: dict[int, float]
    worker_connections: dict[int, int]

    @property
    def starting(self) -> bool:
        """Whether the store does not have the rollouts yet that the start begins."""
        raise NotImplementedError
