"""``rampway replay``: decisions of a recording made again, or as an edited policy makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import emit
from router.core.words import count, duration

if TYPE_CHECKING:
    from router.control.rollouts.edited import Compared, Edited
    from router.control.rollouts.replay import Replayed


def run(
    recording: Annotated[
        list[Path],
        Argument("Files that the policy's `recording` wrote; older ones first.", "RECORDING..."),
    ],
    *,
    policy: Annotated[
        Path | None,
        Option("An edited policy: say what it would have decided on the same outcomes."),
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """Make every decision of a recording again; exit 1 if one comes out otherwise.

    With --policy: what an edited policy would have decided. Exit 0 if every rollout ends as it did,
    1 if one ends otherwise, 4 if the recording ends before the edited policy lets one go.
    """
    from router.config.extensions import extend  # noqa: PLC0415 - gates and evidence take time to load

    extend()
    if policy is not None:
        _edited(recording, policy, output)
    else:
        _again(recording, output)


def _lines(files: list[Path]) -> Iterator[tuple[Path, Iterator[bytes]]]:
    for file in files:
        try:
            with file.open("rb") as lines:
                yield file, lines
        except OSError as error:
            raise VerbFailed(Exit.USAGE, f"{file}: {error.strerror or error}") from None


# --- the same decisions ---------------------------------------------------------------------------


def _again(files: list[Path], output: Output) -> None:
    from router.control.rollouts.replay import Replay  # noqa: PLC0415 - see run

    made: list[Replayed] = []
    for file, lines in _lines(files):
        found = list(Replay().run(lines))
        if all(one.action == "line" for one in found):
            said = found[0].difference if found else "it holds no decision"
            raise VerbFailed(Exit.USAGE, f"{file}: expected a recording with decisions: {said}")
        made += found
    wrong = [one for one in made if one.difference]
    if output is Output.JSON:
        emit({"decisions": [asdict(one) for one in made], "different": len(wrong)})
    else:
        echo("\n".join(text for one in made for text in _told(one)))
        echo(f"{count(len(made), 'decision')} made again, {len(wrong)} different")
    if wrong:
        raise VerbFailed(Exit.UNEXPECTED, "")


def _told(one: Replayed) -> Iterator[str]:
    mark = "DIFFERENT" if one.difference else "same"
    where = f"{one.route} " if one.route else ""
    yield f"{mark:9}  line {one.line}  {duration(one.clock)}  {where}{one.action}: {one.reason}"
    if one.difference:
        yield f"           {one.difference}"


# --- another policy's decisions -------------------------------------------------------------------

EXITS = {"same": Exit.OK, "later": Exit.TIMED_OUT, "different": Exit.UNEXPECTED}


def _edited(files: list[Path], path: Path, output: Output) -> None:
    made = _decided(files, path)
    if not made.compared:
        why = "; ".join(f"{name}: {text}" for name, text in made.unknown.items())
        raise VerbFailed(Exit.USAGE, f"nothing to decide again: {why or 'it holds no rollout'}")
    if output is Output.JSON:
        told = [asdict(one) | {"verdict": one.verdict} for one in made.compared]
        emit({"rollouts": told, "not_decided": made.unknown})
    else:
        for one in made.compared:
            echo("\n".join(_compared(one)))
        for name, why in made.unknown.items():
            echo(f"{name}: not decided again: {why}")
    verdicts = {one.verdict for one in made.compared}
    worst = next(v for v in ("different", "later", "same") if v in verdicts)
    if worst != "same":
        raise VerbFailed(EXITS[worst], "")


def _decided(files: list[Path], path: Path) -> Edited:
    from router.config.check import load  # noqa: PLC0415 - see run
    from router.config.problems import PolicyError  # noqa: PLC0415 - see run
    from router.control.rollouts.edited import Edited  # noqa: PLC0415 - see run
    from router.core.policy.segments import expanded  # noqa: PLC0415 - see run

    try:
        routes = expanded(load(path).policy).routes
    except PolicyError as error:
        raise VerbFailed(Exit.USAGE, f"{path} cannot be used\n{error}") from None
    made = Edited({route.name: route for route in routes})
    for file, lines in _lines(files):
        try:
            made.run(lines)
        except (ValueError, KeyError, TypeError) as error:
            raise VerbFailed(Exit.USAGE, f"{file}: no recording of this rampway: {error}") from None
    return made


def _compared(one: Compared) -> Iterator[str]:
    heads = {
        "same": f"ends the same: {one.edited_end}",
        "later": f"LATER: it was {one.recorded_end}; here the recording ends before that",
        "different": f"DIFFERENT: it was {one.recorded_end}; with this policy {one.edited_end}",
    }
    yield f"{one.route}, attempt {one.attempt} of {one.rollout}: {heads[one.verdict]}"
    for title, decisions in (("recorded", one.recorded), ("edited", one.edited)):
        for made in decisions:
            yield f"  {title:8}  {duration(made.clock)}  {made.action}: {made.reason}"
    for note in one.notes:
        yield f"  note: {note}"
