"""What becomes of answers in the routes that are fed with them: evidence, and figures for people.

A sampled request of a fed route tells which draws made its input (its baggage, or the prediction
log by a key, see :mod:`router.core.wire.origin`). What was answered, and later the truth, is booked
under the version that made it, and goes to the rollout of the route that feeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from router.core.logged.truth import Matured
from router.core.wire.fed import FedRequest, FedTold
from router.core.wire.outcomes import BAD_OUTCOMES, FAULT, Outcome
from router.core.wire.ripe import Ripe

if TYPE_CHECKING:
    from router.control.fleet.samples import Samples
    from router.control.predictions.booked import PredictionLog
    from router.control.rollouts.reconciler import Reconciler
    from router.core.wire.origin import Origin
    from router.core.wire.sampled import Sampled
    from router.link.reading import Looked

VERSIONS_MAX: Final = 64
"""Versions of a route that feeds of which figures are kept, the first ones."""


@dataclass(slots=True)
class ArmTally:
    """What became of one version's answers in one fed route, since the process began."""

    requests: int = 0
    errors: int = 0
    rows: int = 0
    faulty: int = 0
    scores: int = 0
    score_sum: float = 0.0
    labels: int = 0
    wrong: int = 0


@dataclass(slots=True)
class FeedTally:
    """One route that feeds another one."""

    joined: int = 0
    """Requests of the fed route whose maker is known."""
    unjoined: int = 0
    arms: dict[str, ArmTally] = field(default_factory=dict)
    """By version of the route that feeds."""

    def arm(self, version: str) -> ArmTally:
        """Of one version; of too many, those beyond are not kept."""
        found = self.arms.get(version)
        if found is None:
            found = ArmTally()
            if len(self.arms) < VERSIONS_MAX:
                self.arms[version] = found
        return found


class Cascades:
    """See the module. Everything happens in the decider's loop."""

    def __init__(self, reconciler: Reconciler, samples: Samples, log: PredictionLog) -> None:
        """Hears from now on what samples and the log tell."""
        self._reconciler = reconciler
        samples.on_made, log.made = self.looked, self.matured
        self.tallies: dict[tuple[str, str], FeedTally] = {}
        """By the route that feeds and the one that is fed."""

    def __repr__(self) -> str:
        return f"<Cascades {len(self.tallies)} feeds met>"

    def keep_only(self) -> None:
        """Forget feeds that left the policy."""
        runs = self._reconciler.runs
        gone = [
            (feeder, fed)
            for feeder, fed in self.tallies
            if fed not in runs or feeder not in runs[fed].route.fed_by
        ]
        for key in gone:
            del self.tallies[key]

    def tally(self, feeder: str, fed: str) -> FeedTally:
        """What is known of one feed; nothing yet: an empty one, which is not kept."""
        return self.tallies.get((feeder, fed)) or FeedTally()

    def _tally(self, feeder: str, fed: str) -> FeedTally:
        return self.tallies.setdefault((feeder, fed), FeedTally())

    # --- what was answered ------------------------------------------------------------------------

    def looked(self, sample: Sampled, looked: Looked) -> Iterator[FedTold]:
        """What a read sample tells of the routes that made its input."""
        run = self._reconciler.runs.get(sample.route)
        if run is None:
            return
        known = {origin.route: origin for origin in looked.made}
        for feeder in run.route.fed_by:
            tally = self._tally(feeder, sample.route)
            origin = known.get(feeder)
            if origin is None:
                tally.unjoined += 1
                continue
            tally.joined += 1
            bad = _failed(Outcome(sample.outcome))
            _count(tally.arm(origin.version), looked, bad=bool(bad))
            if origin.drawn:
                yield feeder, origin.revision, _fed(
                    sample.route, origin, bad=bad, missing=looked.missing, facts=looked.facts
                )  # fmt: skip

    # --- what became known of it ------------------------------------------------------------------

    def matured(self, one: Matured) -> Iterator[FedTold]:
        """What a truth about a prediction tells of the routes that made its input."""
        run = self._reconciler.runs.get(one.route)
        if run is None or not one.rows or one.rows[0].shadow is not None:
            return
        row = one.rows[0]
        served = row.served
        for origin in one.made:
            if origin.route not in run.route.fed_by:
                continue
            arm = self._tally(origin.route, one.route).arm(origin.version)
            said = [told.served.correct for told in one.rows]
            arm.labels += len(said) - said.count(None)
            arm.wrong += said.count(False)
            if one.counts and origin.drawn:
                ripe = Ripe(
                    origin.weight_bp, origin.candidate, served.correct, served.error, served.score,
                    row.positive,
                )  # fmt: skip
                yield origin.route, origin.revision, _fed(one.route, origin, ripe=ripe)


def _failed(outcome: Outcome) -> bool | None:
    """Whether the version failed; None: its client left, or it was never asked."""
    if outcome in BAD_OUTCOMES:
        return True
    return False if FAULT[outcome] == "nobody" else None


def _fed(route: str, origin: Origin, **told: Any) -> FedRequest:
    return FedRequest(route, origin.weight_bp, origin.candidate, origin.unit or origin.draw, **told)


def _count(arm: ArmTally, looked: Looked, *, bad: bool) -> None:
    rows = looked.facts.rows if looked.facts is not None else ()
    scores = [row.score for row in rows if row.score is not None]
    arm.requests += 1
    arm.errors += bad
    arm.rows += len(rows)
    arm.faulty += sum(bool(row.fault) for row in rows)
    arm.scores += len(scores)
    arm.score_sum += sum(scores)
