"""What a matured prediction is to a live rollout: evidence, a reward, or only a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from router.control.rollouts.run import LabelTally, Run
from router.control.rollouts.trial import Fact, Trial
from router.core.logged.truth import AnsweredTruth, Judged, Matured, MaturedRow
from router.core.pairs.comparison import (
    DIFFERENCES_MAX,
    Comparison,
    Difference,
    Direction,
    Kind,
)
from router.core.pairs.tally import PairFinding, Result
from router.core.policy.review import ReviewPolicy
from router.core.reviews.confidence import confidence, least
from router.core.wire.counts import PairSample
from router.core.wire.outcomes import Pairs
from router.core.wire.paired import PairRow
from router.core.wire.receipt import Chosen
from router.core.wire.ripe import Ripe, RipePair
from router.core.wire.sampled import PredictedRow
from router.core.words import FULL_BP


def ripe(one: Matured, trial: Trial) -> Ripe | None:
    """Its evidence for this attempt; None: it is of an earlier one, or no outcome of its own."""
    if not one.counts or one.revision < trial.revision or not one.rows:
        return None
    if one.rows[0].shadow is not None:
        pairs = tuple(pair for row in one.rows if (pair := _pair(row, trial)) is not None)
        told = any(fact is not None for pair in pairs for fact in pair)
        counts = told and trial.counts(Fact.PAIR, one.unit)
        return Ripe(pairs=pairs, segment=one.segment) if counts else None
    if one.rows[0].answered is not None:
        return None  # an audit: it is held against people's answers, see beside_person
    drawn = one.arm in (Chosen.CANDIDATE, Chosen.STABLE) and 0 < one.weight_bp < FULL_BP
    if not drawn:
        return None
    row = one.rows[0]
    served, accepted = row.served, taken(one, row)
    judged = served.correct is not None or served.error is not None
    labelled = judged and trial.counts(Fact.LABEL, one.unit)
    valued = row.value is not None and trial.counts(Fact.VALUE, one.unit)
    answered = accepted is not None and trial.counts(Fact.ACCEPTED, one.unit)
    if not (labelled or valued or answered):
        return None
    ours = (served.correct, served.error, served.score, row.positive)
    return Ripe(
        one.weight_bp, one.arm == Chosen.CANDIDATE, *(ours if labelled else (None,) * 4),
        row.value if valued else None, accepted if answered else None, segment=one.segment,
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


def beside_person(one: Matured, trial: Trial, at: float, review: ReviewPolicy | None) -> (
    Pairs | None
):  # fmt: skip
    """What a person's answer says of the candidate's; shown as well.

    Either nobody was served by the candidate's, or people audit what a client got. What it would
    leave to people at `partial` (``review``) is no evidence of what it would answer by itself.
    """
    rows = [(row, row.answered) for row in one.rows if row.answered is not None]
    terms = trial.shadow.terms
    if not rows or one.revision < trial.revision or not one.counts or not terms.person:
        return None
    row, first = rows[0]
    copied = row.shadow is not None
    versions = (row.served.version, row.shadow.version if row.shadow else "")
    if versions != ((terms.stable, terms.candidate) if copied else (terms.candidate, "")):
        return None
    sample = PairSample(
        one.route, terms.candidate, one.revision, one.request_id, 200, 200, primary_s=one.lag_s,
        shadow_s=first.seconds, segment=one.segment,
    )  # fmt: skip
    answers = [answered for _, answered in rows]
    if copied and review is not None and _unsure(answers, review):
        trial.shadow.told(sample, PairFinding(Result.UNUSABLE, why=LEFT_TO_PEOPLE), at)
        return None
    return trial.shadow.told(sample, compared(answers, terms.declared.label or "answer"), at)


LEFT_TO_PEOPLE: Final = "the candidate is not sure of it: people answer that at partial"


def _unsure(answers: Sequence[AnsweredTruth], review: ReviewPolicy) -> bool:
    probability = review.score == "probability"
    sure = least([confidence(one.score, probability=probability) for one in answers])
    return review.below > 0 and (sure is None or sure < review.below / FULL_BP)


def compared(answers: Sequence[AnsweredTruth], name: str) -> PairFinding:
    """A request that a person and a version answered. ``name``: the field, for people."""
    if any(one.agreed is None and one.said is None for one in answers):
        return PairFinding(Result.FAILED)  # it made no prediction
    agreed = all(one.agreed for one in answers)
    differences = tuple(
        Difference(name, Kind.TEXT, str(one.person), str(one.said))
        for one in answers
        if not one.agreed
    )
    first = answers[0]
    ours, theirs = first.positive
    rows = tuple(
        PairRow(bool(one.agreed), PredictedRow(str(one.person)), PredictedRow(str(one.said)),
                _change(*one.positive))
        for one in answers
    )  # fmt: skip
    found = Comparison(
        agreed=agreed, direction=_leaning(ours, theirs), differences=differences[:DIFFERENCES_MAX],
        stable_positive=ours, candidate_positive=theirs, rows=rows if len(rows) > 1 else (),
        fields=frozenset((name,)) if differences else frozenset(),
    )  # fmt: skip
    return PairFinding(Result.AGREED if agreed else Result.DISAGREED, found)


def _change(ours: bool | None, theirs: bool | None) -> int | None:
    return None if ours is None or theirs is None else int(theirs) - int(ours)


def _leaning(ours: bool | None, theirs: bool | None) -> Direction:
    change = _change(ours, theirs)
    if not change:
        return Direction.NONE
    return Direction.LOOSER if change > 0 else Direction.STRICTER


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
