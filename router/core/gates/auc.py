"""Gate ``auc``: does the candidate order positives and negatives worse than stable?

The area under the ROC curve is the chance that a positive scores above a negative (Hanley &
McNeil, Radiology 1982). So the truths are put into couples, one positive and one negative, in the
order in which they come and each once: couples are independent, and each is one bet. A tie is half
a success. Accuracy hardly sees a model whose scores broke, since most answers are the base rate;
this gate does after some tens of couples.

A couple of drawn requests counts where one coin after the other chose the same version for both:
the candidate with probability ``w1 w2 / (w1 w2 + (1 - w1)(1 - w2))``, which is its coin.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import Field

from router.core.gates.gate import COMPARED_BP, GateContext
from router.core.gates.late import LateState
from router.core.gates.needs import Need
from router.core.gates.segmented import LateGate
from router.core.quantities import BasisPoints
from router.core.snapshots import Lasting
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from router.core.wire.outcomes import Batch
    from router.core.wire.ripe import Ripe

WAITING_MAX: Final = 1_000
"""Truths of the more frequent kind that wait for one of the other; the oldest go."""

_Scores = tuple[float, ...]


class Couples(Lasting, listed="_positive _waiting"):
    """Positives and negatives that wait for each other."""

    _positive: bool
    _waiting: deque[_Scores]

    def __init__(self) -> None:
        self._waiting: deque[_Scores] = deque(maxlen=WAITING_MAX)
        self._positive = False
        """Of which kind those are that wait."""

    def add(self, scores: _Scores, *, positive: bool) -> tuple[_Scores, _Scores] | None:
        """One more; (positive's, negative's) if it makes a couple."""
        if not self._waiting or positive == self._positive:
            self._positive = positive
            self._waiting.append(scores)
            return None
        other = self._waiting.popleft()
        return (scores, other) if positive else (other, scores)


class AucState(LateState, waiting="_pairs _drawn"):
    """Losses are 1 where a couple is in the wrong order."""

    _pairs: Couples
    _drawn: Couples

    unit = "couples"
    by_pairs = True

    def __init__(self, name: str, context: GateContext, margin: float, *, dry_run: bool) -> None:
        super().__init__(name, context, margin, dry_run=dry_run)
        self._pairs, self._drawn = Couples(), Couples()

    def loss(self, one: Ripe) -> float | None:  # noqa: ARG002 - couples lose, not requests
        """A request alone has no order."""
        return None

    def observe(self, batch: Batch) -> None:
        """Take in what has matured and told whether it was positive."""
        for one in batch.matured:
            for pair in one.pairs[:1]:
                if None not in (pair.positive, pair.stable_score, pair.candidate_score):
                    scores = float(pair.candidate_score or 0), float(pair.stable_score or 0)
                    if couple := self._pairs.add(scores, positive=bool(pair.positive)):
                        above, below = couple
                        self.evidence.pair(wrong(above[0], below[0]), wrong(above[1], below[1]))
            if one.candidate is not None and one.positive is not None and one.score is not None:
                w = one.weight_bp / FULL_BP
                drawn = one.score, w, float(one.candidate)
                if couple := self._drawn.add(drawn, positive=one.positive):
                    self._draw(*couple)

    def _draw(self, above: _Scores, below: _Scores) -> None:
        if above[2] != below[2]:
            return
        both = above[1] * below[1]
        neither = (1.0 - above[1]) * (1.0 - below[1])
        w = both / (both + neither) if both else 0.0
        self.evidence.draw(w, wrong(above[0], below[0]), candidate=bool(above[2]))

    def shown(self, loss: float) -> str:
        """The area."""
        return f"AUC {1.0 - loss:.3f}"

    def tolerated(self) -> str:
        """In hundredths of the area."""
        return f"stable - {self.evidence.margin:g}"


def wrong(positive: float, negative: float) -> float:
    """1 where a positive scored below a negative, half where they tie."""
    return 0.0 if positive > negative else 1.0 if positive < negative else 0.5


class Auc(LateGate):
    """Order of scores by late labels, candidate against stable."""

    kind: ClassVar[str] = "auc"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.TRUTHS, Need.SCORES})
    brake_bp: ClassVar[int] = COMPARED_BP

    margin: Annotated[BasisPoints, Field(lt=10_000)] = 100
    """Area below stable's that is tolerated: 1% is 0.01."""

    def begin(self, context: GateContext) -> AucState:
        """Evidence 1 : 1."""
        return AucState(self.title, context, self.margin / FULL_BP, dry_run=self.dry_run)
