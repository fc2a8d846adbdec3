"""``rampway diff``: what an edit of a policy means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.output import Format, Output
from router.cli.parse import Argument
from router.cli.say import echo
from router.cli.show import emit
from router.config.check import load
from router.config.diff import consequences, diff
from router.config.problems import PolicyError
from router.core.policy import Policy


def run(
    before: Annotated[Path, Argument("Policy file as it was.")],
    after: Annotated[Path, Argument("Policy file as it is now.")],
    output: Format = Output.TABLE,
) -> None:
    """What an edit of a policy changes in meaning, a sentence a change; none if nothing."""
    old, new = _policy(before), _policy(after)
    changes, means = diff(old, new), consequences(old, new)
    if output is Output.JSON:
        emit({"changes": changes, "consequences": means})
    elif changes:
        echo("\n".join([*changes, *(f"so {text}" for text in means)]))


def _policy(path: Path) -> Policy:
    try:
        return load(path).policy
    except PolicyError as error:
        raise VerbFailed(Exit.USAGE, f"{path} cannot be used\n{error}") from None
