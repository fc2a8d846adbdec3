"""``rampway shadow``: what comparing answers has found, with the disagreements to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import click

from router.cli.options import AdminLink, Format, Output
from router.cli.parse import Argument, Option
from router.cli.show import chosen, columns, emit, shadow_lines, when
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
    told = client.get(f"/api/v1/rollouts/{name}/shadow")
    if output is Output.JSON:
        emit(told)
    else:
        click.echo("\n".join(_lines(name, told, worst)))


def _lines(name: str, told: dict[str, Any], worst: int) -> Iterator[str]:
    live = "" if told["live"] else ", over"
    yield f"{name}: {told['candidate']} beside {told['stable']} (payload {told['payload']}{live})"
    if told["alarm"]:
        yield told["alarm"]
    if told["awaited"]:
        yield f"{told['awaited']:,} answers of {told['stable']} are still to come"
    yield from _noise(told["noise"])
    for version, tally in told["versions"].items():
        yield ""
        yield f"{version}{'' if tally['evidence'] else ' (only shown)'}"
        yield from _figures({**tally, "learning": False, "alarm": ""})
        if tally["segments"]:
            rows = ((f"  {_plain(s['segment'])}", f"{s['pairs']:,}", rate(s["agreement"]))
                    for s in tally["segments"])  # fmt: skip
            yield columns(SEGMENT_HEADINGS, rows)
        for one in tally["worst"][:worst]:
            yield from _disagreement(one)


def _noise(noise: dict[str, Any]) -> Iterator[str]:
    if noise["learning"]:
        pairs = f"{noise['raw_pairs']:,} and {noise['noise_pairs']:,}"
        yield f"noise is being learnt ({pairs} of {noise['wanted']:,} pairs), nothing counts yet"
    if noise["silenced"]:
        yield f"noise, so they do not decide: {', '.join(map(_plain, noise['silenced']))}"


def _figures(tally: dict[str, Any]) -> Iterator[str]:
    for line in shadow_lines(tally):
        yield f"  {line}"
    positive = tally["positive"]
    if positive["pairs"]:
        ours, theirs = rate(positive["stable"]), rate(positive["candidate"])
        yield f"  positive: candidate {theirs}, stable {ours}"
    if tally["pairs"]:
        for arm in ("candidate", "stable"):
            p50, p99 = (tally["latency"][arm][key] for key in ("p50_s", "p99_s"))
            yield f"  {arm}: half within {duration(p50)}, 99 % within {duration(p99)}"
    delivery = tally["delivery"]
    dropped = ", ".join(f"{n:,} dropped ({cause})" for cause, n in delivery["dropped"].items())
    yield (
        f"  copies: {delivery['delivered']:,} delivered, {delivery['failed']:,} failed"
        + (f", {dropped}" if dropped else "")
    )


def _disagreement(one: dict[str, Any]) -> Iterator[str]:
    distance = one["score_distance"]
    facts = [
        _plain(one["request_id"]), when(one["at"]), one["direction"],
        f"scores {distance:.3g} apart" if distance is not None else "",
        f"segment {_plain(one['segment'])}" if one["segment"] else "",
        "reverse" if one["reverse"] else "",
    ]  # fmt: skip
    yield "  " + ", ".join(filter(None, facts))
    rows = (
        (f"    {_plain(d['path']) or '-'}", d["kind"], _plain(d["stable"]),
         _plain(d["candidate"]), "yes" if d["decides"] else "no")
        for d in one["differences"]
    )  # fmt: skip
    yield columns(PATH_HEADINGS, rows)


def _plain(text: str) -> str:
    """Words of models and clients, unable to command the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
