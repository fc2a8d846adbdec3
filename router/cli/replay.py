"""``rampway replay``: the decisions of a recording made again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import click

from router.cli.exits import Exit, VerbFailed
from router.cli.options import Format, Output
from router.cli.parse import Argument
from router.cli.show import emit
from router.core.words import count, duration


def run(
    recording: Annotated[Path, Argument("File that the policy's `recording` wrote.")],
    output: Format = Output.TABLE,
) -> None:
    """Make every decision of a recording again; exit 1 if one comes out otherwise."""
    from router.config.extensions import extend  # noqa: PLC0415 - see below
    from router.control.rollouts.replay import Replay  # noqa: PLC0415 - gates and evidence take time to load

    extend()
    try:
        with recording.open("rb") as lines:
            made = list(Replay().run(lines))
    except OSError as error:
        raise VerbFailed(Exit.USAGE, f"{recording}: {error.strerror or error}") from None
    if all(one.action == "line" for one in made):
        said = made[0].difference if made else "it holds no decision"
        raise VerbFailed(Exit.USAGE, f"{recording}: expected a recording with decisions: {said}")
    wrong = [one for one in made if one.difference]
    if output is Output.JSON:
        emit({"decisions": [asdict(one) for one in made], "different": len(wrong)})
    else:
        for one in made:
            mark = "DIFFERENT" if one.difference else "same"
            where = f"{one.route} " if one.route else ""
            place = f"line {one.line}  {duration(one.clock)}"
            click.echo(f"{mark:9}  {place}  {where}{one.action}: {one.reason}")
            if one.difference:
                click.echo(f"           {one.difference}")
        click.echo(f"{count(len(made), 'decision')} made again, {len(wrong)} different")
    if wrong:
        raise VerbFailed(Exit.UNEXPECTED, "")
