"""``rampway pipeline``: which route feeds which, by which version, and which moved first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.options import AdminLink
from router.cli.output import Format, Output
from router.cli.parse import Option
from router.cli.say import echo
from router.cli.show import ENDED, coloured, columns, emit, when
from router.control.told.pipeline import PipelineArm, PipelineFeed, PipelineRoute, PipelineView
from router.core.words import count, duration, percent, rate

HEADINGS = ("  INPUT MADE BY", "REQUESTS", "FAILED", "FAULTY ROWS", "MEAN SCORE", "WRONG")


def run(
    link: AdminLink,
    route: Annotated[str, Option("Only what feeds this route, or is fed by it.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """Routes that feed each other: what became of each version's answers, and who moved first."""
    told = link.client().get(PipelineView, "/api/v1/pipeline")
    if output is Output.JSON:
        emit(told)
        return
    feeds = [one for one in told.feeds if route in ("", one.feeder, one.fed)]
    if not feeds:
        raise VerbFailed(Exit.USAGE, "no route feeds another: add feeds: [OTHER_ROUTE] to one")
    echo("\n".join(_lines(told, feeds)))


def _lines(told: PipelineView, feeds: list[PipelineFeed]) -> Iterator[str]:
    known = {one.route: one for one in told.routes}
    for feed in feeds:
        by = feed.by + (f" within {duration(feed.within_s)}" if feed.within_s else "")
        yield f"{_placed(known[feed.feeder])} -> {_placed(known[feed.fed])}, by {by}"
        yield (
            f"  {count(feed.joined, 'request')} of {feed.fed} joined with who made the input, "
            f"{feed.unjoined:,} not"
        )
        if feed.arms:
            yield columns(HEADINGS, map(_row, feed.arms))
        if feed.sentence:
            yield f"  {coloured(feed.verdict)}: {feed.sentence}"
        yield ""
    first = told.moved_first
    yield f"{first.sentence} ({when(first.at)})" if first is not None else "nothing moves"


def _placed(one: PipelineRoute) -> str:
    """``profile (a1; a2 at 25 %)``."""
    if one.candidate is None or one.phase is None or one.candidate == one.stable:
        return f"{one.route} ({one.stable})"
    share = one.phase.replace("_", " ") if one.phase in ENDED else f"at {percent(one.weight_bp)}"
    return f"{one.route} ({one.stable}; {one.candidate} {share})"


def _row(arm: PipelineArm) -> tuple[str, ...]:
    return (
        f"  {arm.version}", f"{arm.requests:,}", _share(arm.errors, arm.requests),
        _share(arm.faulty, arm.rows), f"{arm.score:.4g}" if arm.score is not None else "-",
        _share(arm.wrong, arm.labels),
    )  # fmt: skip


def _share(some: int, of: int) -> str:
    return f"{some:,} ({rate(some / of)})" if of else "-"
