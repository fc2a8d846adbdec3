"""What comparing has found, as people see it: the views of :mod:`.compared`, made."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import asdict

from router.control.told.compared import (
    AgreementView,
    DeliveryView,
    DifferenceView,
    DisagreementView,
    DistanceView,
    JudgeView,
    NoiseView,
    NoisyField,
    PairsView,
    PositiveView,
    QuantilesView,
    ShadowBrief,
    ShadowView,
    TallyView,
)
from router.core.pairs.comparison import Direction
from router.core.pairs.noise import Noise
from router.core.pairs.shadow import ShadowBook
from router.core.pairs.tally import FAR, Disagreement, Distances, Result, Tally
from router.core.wire.histogram import quantile


def shadow_brief(book: ShadowBook) -> ShadowBrief:
    """The candidate's pairs in one line."""
    return ShadowBrief(
        **asdict(_pairs(book.candidate)), learning=book.noise.learning,
        uncompared=book.uncompared, awaited=book.awaited, alarm=book.alarm,
    )  # fmt: skip


def shadow_view(
    book: ShadowBook, *, route: str, rollout: str, live: bool, judges: Iterable[JudgeView] = ()
) -> ShadowView:
    """Everything, by version; the second calls to stable under ``(stable)``."""
    terms = book.terms
    return ShadowView(
        route=route, rollout=rollout, live=live, stable=terms.stable, candidate=terms.candidate,
        payload=terms.payload, uncompared=book.uncompared, awaited=book.awaited, alarm=book.alarm,
        noise=noise_view(book.noise),
        versions={
            name: _tally(tally, evidence=name == terms.candidate)
            for name, tally in book.tallies.items()
        },
        judges=list(judges),
    )  # fmt: skip


def noise_view(noise: Noise) -> NoiseView:
    """Counts of each field, the most frequent first."""
    names = sorted(
        noise.raw.keys() | noise.noise.keys(), key=lambda name: (-noise.raw.get(name, 0), name)
    )
    return NoiseView(
        share_bp=noise.share_bp, wanted=noise.pairs if noise.share_bp else 0,
        learning=noise.learning, raw_pairs=noise.raw_pairs, noise_pairs=noise.noise_pairs,
        silenced=sorted(noise.silenced),
        fields=[
            NoisyField(
                field=name, raw=noise.raw.get(name, 0), noise=noise.noise.get(name, 0),
                silenced=name in noise.silenced,
            ) for name in names
        ],
    )  # fmt: skip


def _pairs(tally: Tally) -> PairsView:
    results, directions = tally.results, tally.directions
    return PairsView(
        pairs=tally.pairs, agreement=_short(tally.agreement), rows=tally.rows[1],
        agreed=results[Result.AGREED], disagreed=results[Result.DISAGREED],
        failed=results[Result.FAILED], unusable=results[Result.UNUSABLE],
        refused=results[Result.REFUSED], stricter=directions[Direction.STRICTER],
        looser=directions[Direction.LOOSER], score=_distances(tally.distances),
        unusable_because=dict(tally.reasons),
    )  # fmt: skip


def _tally(tally: Tally, *, evidence: bool) -> TallyView:
    delivery = tally.delivery
    return TallyView(
        **asdict(_pairs(tally)), evidence=evidence,
        positive=PositiveView(
            pairs=tally.scored, stable=_rate(tally.stable_positive, tally.scored),
            candidate=_rate(tally.own_positive, tally.scored),
        ),
        latency={"stable": _quantiles(tally.stable_latency), "candidate": _quantiles(
            tally.own_latency
        )},
        segments=[
            AgreementView(segment=name, pairs=pairs, agreement=round(agreed / pairs, 6))
            for name, (agreed, pairs) in sorted(tally.segments.items())
        ],
        delivery=DeliveryView(
            delivered=delivery.delivered, failed=delivery.failed, dropped=dict(delivery.dropped)
        ),
        worst=[_disagreement(one) for one in tally.worst],
    )  # fmt: skip


def _distances(seen: Distances) -> DistanceView:
    if not seen.count:
        return DistanceView(pairs=0, mean=None, far_share=None, far=FAR, max=None)
    return DistanceView(
        pairs=seen.count, mean=round(seen.total / seen.count, 6),
        far_share=round(seen.far / seen.count, 6), far=FAR, max=round(seen.longest, 6),
    )  # fmt: skip


def _disagreement(one: Disagreement) -> DisagreementView:
    return DisagreementView(
        request_id=one.request_id, at=one.at, segment=one.segment, reverse=one.reverse,
        direction=one.direction.value, score_distance=one.score_distance,
        differences=[
            DifferenceView(
                path=found.path, kind=found.kind.value, stable=found.stable,
                candidate=found.candidate, decides=found.decides,
            ) for found in one.differences
        ],
    )  # fmt: skip


def _quantiles(counts: list[int]) -> QuantilesView:
    return QuantilesView(p50_s=quantile(counts, 0.5), p99_s=quantile(counts, 0.99))


def _rate(positive: int, scored: int) -> float | None:
    return round(positive / scored, 6) if scored else None


def _short(share: float | None) -> float | None:
    return None if share is None else round(share, 6)
