"""``rampway review``: questions that wait for people, and how sure a version has to be."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

from router.cli.exits import Exit, VerbFailed
from router.cli.log import table_errors, there
from router.cli.options import AdminLink
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import columns, emit, when
from router.control.told.reviewed import ReviewsView, RouteReviews
from router.core.quantities import parse_share
from router.core.words import FULL_BP, count

if TYPE_CHECKING:
    from router.core.reviews.coverage import CurvePoint

RISK: Final = 0.05
"""Chance that the proposed threshold lets more errors through than was asked for."""
HEADINGS = ("  VERSION", "ASKED SINCE IT WAS", "DECIDED", "OVERRULED", "EXPIRED")
CURVE = ("  SURE AT", "ANSWERS BY ITSELF", "WRONG OF THOSE", "AT MOST (95 %)")


class ReviewDeed(StrEnum):
    """What is done."""

    STATUS = "status"
    CURVE = "curve"


def run(  # noqa: PLR0917 - its options
    link: AdminLink,
    deed: Annotated[ReviewDeed, Argument("status | curve LOG.")] = ReviewDeed.STATUS,
    file: Annotated[str, Argument("curve: the prediction log, prediction_log.file.")] = "",
    route: Annotated[str, Option("Only this route.")] = "",
    version: Annotated[str, Option("curve: whose answers.")] = "",
    error: Annotated[str, Option("curve: wrong answers that are accepted, as 5%.")] = "5%",
    score: Annotated[str, Option("curve: what the score is: probability | confidence.")] = (
        "probability"
    ),
    output: Format = Output.TABLE,
) -> None:
    """Questions that wait for people; or how sure a version has to be to answer by itself."""
    if deed is ReviewDeed.CURVE:
        there(file, "review curve LOG --route ROUTE --version VERSION")
        points, best = _curve(file, route, version, error, score)
        if output is Output.JSON:
            emit({"points": points, "proposed": best})
        else:
            echo("\n".join(_drawn(points, best, error)))
        return
    told = link.client().get(ReviewsView, "/api/v1/reviews")
    if output is Output.JSON:
        emit(told)
        return
    named = {name: one for name, one in told.routes.items() if route in ("", name)}
    if not named:
        raise VerbFailed(Exit.USAGE, "no such route has a review: add review: {audit: 5%} to one")
    echo("\n".join(line for name, one in named.items() for line in _lines(name, one)))


def _lines(name: str, one: RouteReviews) -> Iterator[str]:
    oldest = f", the oldest since {when(one.oldest)}" if one.oldest else ""
    yield f"{name}: {count(one.open, 'open question')}, {one.claimed:,} of them claimed{oldest}"
    yield f"  asked below {one.below:.1%} and at {one.audit:.1%} of the rest: {one.then}"
    if one.kappa is not None:
        yield f"  two people agree with kappa {one.kappa:.2f} ({count(one.twice, 'question')})"
    rows = [
        (f"  {version}", reason, f"{rated.decided:,}",
         "-" if rated.overrule_rate is None else f"{rated.overrule_rate:.1%}",
         f"{rated.expired:,}")
        for version, reasons in one.versions.items()
        for reason, rated in reasons.items()
    ]  # fmt: skip
    if rows:
        yield columns(HEADINGS, rows)


def _curve(
    file: str, route: str, version: str, error: str, score: str
) -> tuple[list[CurvePoint], CurvePoint | None]:
    from router.core.reviews.coverage import curve, proposed  # noqa: PLC0415 - for this deed
    from router.reader.sureness import sure_and_right  # noqa: PLC0415 - likewise

    if not (route and version) or score not in ("probability", "confidence"):
        raise VerbFailed(Exit.USAGE, "review curve LOG --route ROUTE --version VERSION")
    try:
        share = parse_share(error) / FULL_BP
    except ValueError as why:
        raise VerbFailed(Exit.USAGE, f"--error: {why}") from None
    if not share:
        raise VerbFailed(Exit.USAGE, "--error: no finite number of answers proves 0 %")
    with table_errors(file):
        said = sure_and_right(file, route, version, probability=score == "probability")
    points = curve(said, RISK)
    return points, proposed(points, share, RISK)


def _drawn(points: list[CurvePoint], best: CurvePoint | None, error: str) -> Iterator[str]:
    if not points:
        yield "no predictions with a score and a truth: people's answers, or POST /api/v1/feedback"
        return
    yield columns(CURVE, (
        (f"  {one.threshold:.2%}", f"{one.coverage:.1%}", f"{one.error:.2%} ({one.wrong:,})",
         f"{one.at_most:.2%}")
        for one in points[:: max(len(points) // 12, 1)]
    ))  # fmt: skip
    if best is None:
        yield f"no threshold is proven to keep errors at {error}: ask for more, or wait for truths"
        return
    yield (
        f"review: {{below: {best.threshold:.2%}}}  # by itself {best.coverage:.1%}, of which at "
        f"most {best.at_most:.2%} wrong ({best.count:,} predictions)"
    )
