"""What a matured prediction is to a live rollout: evidence, a reward, or only a figure."""

from __future__ import annotations

from router.control.rollouts.run import LabelTally, Run
from router.control.rollouts.trial import Trial
from router.core.logged.truth import Judged, Matured, MaturedRow
from router.core.wire.outcomes import FULL_BP
from router.core.wire.receipt import Chosen
from router.core.wire.ripe import Ripe, RipePair


def ripe(one: Matured, trial: Trial) -> Ripe | None:
    """Its evidence for this attempt; None: it is of an earlier one, or no outcome of its own."""
    if not one.counts or one.revision < trial.revision or not one.rows:
        return None
    if one.rows[0].shadow is not None:
        pairs = tuple(pair for row in one.rows if (pair := _pair(row, trial)) is not None)
        return Ripe(pairs=pairs) if pairs else None
    drawn = one.arm in (Chosen.CANDIDATE, Chosen.STABLE) and 0 < one.weight_bp < FULL_BP
    if not drawn or not trial.counts_label(one.unit):
        return None
    row = one.rows[0]
    served = row.served
    return Ripe(
        one.weight_bp, one.arm == Chosen.CANDIDATE, served.correct, served.error,
        served.score, row.positive, row.value, taken(one, row),
    )  # fmt: skip


def taken(one: Matured, row: MaturedRow) -> bool | None:
    """Whether a person took the prediction: said so, or labelled it alike."""
    if row.accepted is not None:
        return row.accepted
    return row.served.correct if one.human else None


def _pair(row: MaturedRow, trial: Trial) -> RipePair | None:
    terms, served, other = trial.shadow.terms, row.served, row.shadow
    if other is None:
        return None
    by_name: dict[str, Judged] = {served.version: served, other.version: other}
    if by_name.keys() != {terms.stable, terms.candidate}:
        return None
    stable, candidate = by_name[terms.stable], by_name[terms.candidate]
    return RipePair(
        row.positive, stable.correct, candidate.correct, stable.error, candidate.error,
        stable.score, candidate.score,
    )  # fmt: skip


def book(one: Matured, run: Run) -> str:
    """Count it for people, each row; how it is told in the metric."""
    if one.rows[0].shadow is not None:
        return ""
    result = "told"
    for row in one.rows:
        tally = run.labelled.setdefault(row.served.version, LabelTally())
        if row.rating is not None:
            tally.rewards += 1
            tally.reward_sum += row.rating
            result = "rewarded"
        if row.served.correct is not None:
            tally.right += row.served.correct
            tally.wrong += not row.served.correct
            result = "right" if row.served.correct else "wrong"
    return result


def reward(one: Matured) -> float | None:
    """How good a drawn prediction was, for a split that learns; None: nobody says."""
    row = one.rows[0]
    if one.arm == Chosen.FORCED or row.shadow is not None or not one.counts:
        return None
    if row.rating is not None:
        return row.rating
    return None if row.served.correct is None else float(row.served.correct)
