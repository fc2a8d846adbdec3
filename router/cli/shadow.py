"""``rampway shadow``: what comparing answers has found, with the disagreements to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from router.cli.client import path_of
from router.cli.options import AdminLink
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import chosen, columns, emit, pairs_line, when
from router.control.told.compared import (
    DisagreementView,
    JudgeView,
    NoiseView,
    ShadowView,
    TallyView,
)
from router.core.words import duration, rate

PATH_HEADINGS = ("    FIELD", "KIND", "STABLE", "CANDIDATE", "DECIDES")
SEGMENT_HEADINGS = ("  SEGMENT", "PAIRS", "AGREE")


def run(
    link: AdminLink,
    route: Annotated[str, Argument("Route; may be left out if there is just one.")] = "",
    worst: Annotated[int, Option("So many disagreements, the furthest.", least=0, most=20)] = 5,
    output: Format = Output.TABLE,
) -> None:
    """Compared answers of a shadow: agreement, segments, noise, and the worst disagreements."""
    client = link.client()
    name = chosen(client, route)
    told = client.get(ShadowView, path_of("rollouts", name, "shadow"))
    if output is Output.JSON:
        emit(told)
    else:
        echo("\n".join(_lines(name, told, worst)))


def _lines(name: str, told: ShadowView, worst: int) -> Iterator[str]:
    live = "" if told.live else ", over"
    yield f"{name}: {told.candidate} beside {told.stable} (payload {told.payload}{live})"
    if told.alarm:
        yield told.alarm
    if told.awaited:
        yield f"{told.awaited:,} answers of {told.stable} are still to come"
    for judge in told.judges:
        yield from _judge(judge)
    yield from books(told, worst)


def books(told: ShadowView, worst: int) -> Iterator[str]:
    """What comparing has found, version by version."""
    yield from _noise(told.noise)
    for version, tally in told.versions.items():
        yield ""
        yield f"{version}{'' if tally.evidence else ' (only shown)'}"
        yield from _figures(tally)
        if tally.segments:
            rows = ((f"  {_plain(s.segment)}", f"{s.pairs:,}", rate(s.agreement))
                    for s in tally.segments)  # fmt: skip
            yield columns(SEGMENT_HEADINGS, rows)
        for one in tally.worst[:worst]:
            yield from _disagreement(one)


def _judge(one: JudgeView) -> Iterator[str]:
    """Whom a gate asks, what he said, what he may still be asked."""
    said = f"{one.worse:,} worse, {one.better:,} better, {one.alike:,} alike"
    asked = f"{one.asked:,} asked, {one.unanswered:,} without a verdict"
    yield f"{one.gate}: {said} ({one.same:,} of them equal); {asked}"
    today = one.today
    spent = [f"{today.calls:,} of {today.calls_most:,} calls"]
    if today.tokens or today.tokens_most:
        most = f" of {today.tokens_most:,}" if today.tokens_most else ""
        spent.append(f"{today.tokens:,}{most} tokens")
    if today.cost or today.cost_most:
        most = f" of {today.cost_most:g}" if today.cost_most else ""
        spent.append(f"cost {today.cost:g}{most}")
    yield f"  today: {', '.join(spent)}" + (", so nobody is asked" if today.used_up else "")
    if one.place:
        yield f"  {one.place}"
    if one.trouble:
        yield f"  last question: {_plain(one.trouble)}" + (
            "; left alone for a while" if one.left_alone else ""
        )


def _noise(noise: NoiseView) -> Iterator[str]:
    if noise.learning:
        pairs = f"{noise.raw_pairs:,} and {noise.noise_pairs:,}"
        yield f"noise is being learnt ({pairs} of {noise.wanted:,} pairs), nothing counts yet"
    if noise.silenced:
        yield f"noise, so they do not decide: {', '.join(map(_plain, noise.silenced))}"


def _figures(tally: TallyView) -> Iterator[str]:
    yield f"  {pairs_line(tally)}"
    ours, theirs = tally.positive.stable, tally.positive.candidate
    if ours is not None and theirs is not None:
        yield f"  positive: candidate {rate(theirs)}, stable {rate(ours)}"
    if tally.pairs:
        for arm in ("candidate", "stable"):
            p50_s, p99_s = tally.latency[arm].p50_s or 0.0, tally.latency[arm].p99_s or 0.0
            yield f"  {arm}: half within {duration(p50_s)}, 99 % within {duration(p99_s)}"
    delivery = tally.delivery
    dropped = ", ".join(f"{n:,} dropped ({cause})" for cause, n in delivery.dropped.items())
    yield (
        f"  copies: {delivery.delivered:,} delivered, {delivery.failed:,} failed"
        + (f", {dropped}" if dropped else "")
    )


def _disagreement(one: DisagreementView) -> Iterator[str]:
    distance = one.score_distance
    facts = [
        _plain(one.request_id), when(one.at), one.direction,
        f"scores {distance:.3g} apart" if distance is not None else "",
        f"segment {_plain(one.segment)}" if one.segment else "",
        "reverse" if one.reverse else "",
    ]  # fmt: skip
    yield "  " + ", ".join(filter(None, facts))
    rows = (
        (f"    {_plain(d.path) or '-'}", d.kind, _plain(d.stable),
         _plain(d.candidate), "yes" if d.decides else "no")
        for d in one.differences
    )  # fmt: skip
    yield columns(PATH_HEADINGS, rows)


def _plain(text: str) -> str:
    """Words of models and clients, unable to command the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
