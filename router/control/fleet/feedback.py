"""Late truth about predictions: receipts checked, counted once, handed to the evidence.

A label becomes evidence when its receipt says that a coin chose the version, and the rollout that
tossed the coin is still live: counts of an older attempt are of another question. Everything else
is counted for people. The weight is the receipt's, of the moment of routing, so labels may come in
any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from router.control.predictions.booked import PredictionLog
from router.control.rollouts.reconciler import Reconciler
from router.control.rollouts.run import LabelTally, Run
from router.control.rollouts.trial import Trial
from router.control.state.clock import Clock
from router.control.told.answers import RefusedView, StatementsView
from router.core.logged.truth import Truth
from router.core.pairs.labelled import TrueLabel
from router.core.wire.outcomes import Batch, Labels
from router.core.wire.receipt import BadReceipt, Chosen, Receipt, mark_of, opened, route_of
from router.telemetry.metrics import Metrics, labels

WAITING_TOLD_MAX: Final = 20
"""Ids without a prediction that one answer names."""
AHEAD_S: Final = 60.0
"""How far another replica's clock may be ahead of ours."""


OnLabel = Callable[[str, str, int, int], None]
"""``labelled(route, version, right, wrong)``: who hears of labels besides the evidence."""


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about one prediction: either whether it was right, or how good it was."""

    receipt: str
    correct: bool | None = None
    reward: float | None = None
    """0.0 to 1.0."""
    truth: TrueLabel | None = None
    """What would have been right; it judges both answers of a mirrored request."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody says of one prediction, which it names by receipt or, in it, by request id."""

    truth: Truth
    receipt: str = ""


class Feedback:
    """Takes labels and rewards in, finds the predictions they belong to, and tells the judge."""

    def __init__(
        self, reconciler: Reconciler, clock: Clock, metrics: Metrics,
        log: PredictionLog | None = None,
    ) -> None:  # fmt: skip
        self._reconciler = reconciler
        self._clock = clock
        self._metrics = metrics
        self.labelled: OnLabel = lambda *_told: None
        """Told of each label."""
        self._log = log

    def __repr__(self) -> str:
        return f"<Feedback {self._reconciler.receipts!r}>"

    async def tell(self, given: Sequence[Statement]) -> StatementsView:
        """Take statements by receipt or by request id; durable when it returns.

        What waits has no logged prediction yet; it is unknown if none comes. Raises NotAnswered:
        send them again, each counts once.
        """
        refused: list[RefusedView] = []
        truths: list[Truth] = []
        accepted = 0
        for index, one in enumerate(given):
            try:
                truth = self._for_the_log(one)
                if truth is None:
                    self._take(_label(one))
                    accepted += 1
                else:
                    truths.append(truth)
            except BadReceipt as bad:
                refused.append(RefusedView(index=index, why=str(bad)))
        if refused:
            self._count("", "", "refused", len(refused))
        taken = await self._log.tell(truths) if self._log is not None and truths else ()
        waiting = [t.key for t, what in zip(truths, taken, strict=True) if what == "waiting"]
        duplicates = sum(what == "duplicate" for what in taken)
        for result, number in (("waiting", len(waiting)), ("duplicate", duplicates)):
            if number:
                self._count("", "", result, number)
        return StatementsView(
            accepted=accepted + len(taken) - duplicates, refused=refused,
            joined=len(taken) - len(waiting) - duplicates, waiting=len(waiting),
            waiting_ids=waiting[:WAITING_TOLD_MAX], duplicates=duplicates,
        )  # fmt: skip

    def _for_the_log(self, one: Statement) -> Truth | None:
        """What the log is told; None: its receipt is all there is. Raises BadReceipt."""
        if not one.receipt:
            if self._log is None or not self._log.kept:
                raise BadReceipt("no route has a log, so that only receipts find predictions")
            return one.truth
        run, receipt = self._verified(one.receipt)
        if self._log is None or not self._log.keeps(run.route.name):
            return None
        return replace(one.truth, request_id="", receipt=f"{receipt.nonce:016x}")

    def _take(self, label: Label) -> None:
        run, receipt = self._verified(label.receipt)
        if not self._reconciler.receipts.use(mark_of(label.receipt)):
            raise BadReceipt("this receipt was used before")
        self._book(run, receipt, label)
        trial = run.trial
        if trial is None or receipt.revision < trial.revision:
            return
        if label.truth is not None:
            self._judge_both(trial, receipt, label.truth)
        if receipt.arm is Chosen.FORCED:
            return
        reward = label.reward if label.reward is not None else float(bool(label.correct))
        trial.reward(receipt.version, reward, self._clock.now())
        if label.correct is not None and receipt.arm is not Chosen.OTHER:
            self._judge(trial, receipt, correct=label.correct)

    def _verified(self, text: str) -> tuple[Run, Receipt]:
        """The receipt and what it is about. Raises BadReceipt."""
        run = self._reconciler.runs.get(route_of(text))
        if run is None or run.route.feedback is None:
            raise BadReceipt("its route takes no feedback")
        receipt = opened(text, run.route.feedback.secret.get_secret_value())
        age_s = self._clock.wall() - receipt.issued
        if age_s > run.route.feedback.expires:
            raise BadReceipt("it has expired")
        if age_s < -AHEAD_S:
            raise BadReceipt("it was issued in the future")
        return run, receipt

    def _book(self, run: Run, receipt: Receipt, label: Label) -> None:
        if receipt.version not in run.route.versions:
            raise BadReceipt(f"{receipt.version} is no longer in the policy")
        tally = run.labelled.setdefault(receipt.version, LabelTally())
        if label.reward is not None:
            tally.rewards += 1
            tally.reward_sum += label.reward
            result = "rewarded"
        elif label.correct:
            tally.right += 1
            result = "right"
        else:
            tally.wrong += 1
            result = "wrong"
        self._count(receipt.route, receipt.version, result, 1)
        if label.correct is not None:
            right = int(label.correct)
            self.labelled(receipt.route, receipt.version, right, 1 - right)

    def _judge(self, trial: Trial, receipt: Receipt, *, correct: bool) -> None:
        if not trial.counts_label(receipt.unit):
            return
        candidate = receipt.arm is Chosen.CANDIDATE
        counted = Labels(
            receipt.weight_bp,
            candidate_wrong=int(candidate and not correct),
            candidate_right=int(candidate and correct),
            stable_wrong=int(not candidate and not correct),
            stable_right=int(not candidate and correct),
        )
        self._reconciler.observe((Batch(receipt.route, receipt.revision, labels=(counted,)),))

    def _judge_both(self, trial: Trial, receipt: Receipt, truth: TrueLabel) -> None:
        """No coin is needed: both versions answered the same request."""
        if (pairs := trial.shadow.judged(receipt.nonce, truth)) is not None:
            batch = Batch(receipt.route, receipt.revision, labelled_pairs=pairs)
            self._reconciler.observe((batch,))

    def _count(self, route: str, version: str, result: str, by: int) -> None:
        series = labels(route=route, version=version, result=result)
        self._metrics.count("feedback_total", series, by)


def _label(one: Statement) -> Label:
    """What can be made of a receipt alone. Raises BadReceipt."""
    said = one.truth
    if said.correct is None and said.score is None:
        raise BadReceipt("its route has no log: say correct or score, whatever else is known")
    correct = said.correct if said.score is None else None
    return Label(one.receipt, correct, said.score, said.label)
