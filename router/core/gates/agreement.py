"""Gate ``agreement``: does the shadow answer as stable does, often enough (and not too often)?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from router.core.evidence import GuardEvidence
from router.core.gates.gate import Gate, GateContext, GateState, mean
from router.core.gates.needs import Need
from router.core.gates.sample import Detect, Sample
from router.core.gates.sample import absolute as absolute_sample
from router.core.gates.verdict import Counts, judged, of
from router.core.quantities import BasisPoints
from router.core.wire.outcomes import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.pairs.compare import Compare
    from router.core.wire.outcomes import Batch


class AgreementState(GateState):
    """One evidence a border of the band, averaged."""

    def __init__(
        self, name: str, context: GateContext, borders: tuple[GuardEvidence, ...], tolerated: str,
        *, dry_run: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(name, context, dry_run=dry_run)
        self.borders = borders
        self.tolerated = tolerated
        self.failed = 0
        """Copies that failed; they are among the disagreements."""

    @property
    def capital(self) -> float:
        """Average evidence that agreement lies outside the band."""
        return mean(border.capital for border in self.borders)

    @property
    def candidate(self) -> Counts:
        """Disagreements among compared pairs."""
        first = self.borders[0]
        return Counts(first.bad, first.bad + first.ok)

    def observe(self, batch: Batch) -> None:
        """A copy that failed does not agree either."""
        if batch.pairs is not None:
            disagreed = batch.pairs.disagreed + batch.pairs.failed
            self.failed += batch.pairs.failed
            for border in self.borders:
                border.observe(disagreed, batch.pairs.agreed)

    def sample(self, detect: Detect, weight_bp: int) -> Sample:  # noqa: ARG002 - alike at all
        """Pairs that show a candidate which disagrees too often by `detect`."""
        limit, least = self.context.limit, self.context.min_bad
        wanted = absolute_sample(self.borders[0].limit, detect, limit=limit, min_bad=least)
        return Sample(self.candidate.total, wanted)

    @property
    def fails(self) -> bool:
        """Most of the disagreements are failures."""
        return 2 * self.failed > self.candidate.bad

    def plain(self) -> str:
        """Failures as failures, else predictions that differ."""
        seen = self.candidate
        if self.fails:
            return f"{self.failed:,} of {seen.total:,} requests copied to it failed"
        return f"{seen.bad:,} of {seen.total:,} of its predictions differed from {{stable}}'s"

    def sentence(self) -> str:
        """Disagreements, the band, the evidence."""
        seen = f"disagreed with stable: {of(self.candidate)} compared answers"
        return judged(seen, self.tolerated, self.capital, self.context.limit)

    def snapshot(self) -> dict[str, Any]:
        """Every border's state."""
        borders = [border.snapshot() for border in self.borders]
        return {"borders": borders, "failed": self.failed}

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot of as many borders."""
        for border, part in zip(self.borders, data["borders"], strict=True):
            border.restore(part)
        self.failed = int(data.get("failed", 0))


class Agreement(Gate):
    """Share of mirrored requests to which both versions give the same answer."""

    kind: ClassVar[str] = "agreement"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PAIRS})

    at_least: Annotated[BasisPoints, Field(ge=400, lt=10_000)] = 9_800
    """Agreement the candidate must reach; some difference is what a new model is for."""
    at_most: Annotated[BasisPoints, Field(gt=0, lt=10_000)] | None = None
    """Agreement it must not exceed: a "new" model that never differs is the old one."""

    @model_validator(mode="after")
    def _band(self) -> Self:
        if self.at_most is not None and self.at_most <= self.at_least:
            raise ValueError("expected at_most above at_least")
        return self

    def doubts(self, payload: str, compare: Compare) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - see Gate
        """Bytes that differ say little about predictions."""
        if payload == "opaque":
            message = f"{self.kind} compares byte by byte: payload opaque reads no answers"
            yield message, "add payload: json to the route"

    def start(self, context: GateContext) -> AgreementState:
        """Disagreement above ``1 - at_least``, and where asked below ``1 - at_most``."""
        borders = [GuardEvidence(1.0 - self.at_least / FULL_BP)]
        tolerated = f"at least {self.at_least / 100:g} % agreement"
        if self.at_most is not None:
            borders.append(GuardEvidence(1.0 - self.at_most / FULL_BP, side="below"))
            tolerated += f", at most {self.at_most / 100:g} %"
        return AgreementState(self.title, context, tuple(borders), tolerated, dry_run=self.dry_run)
