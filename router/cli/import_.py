"""``rampway import``: rollouts of other tools as policies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.output import Format, Output
from router.cli.parse import Argument
from router.cli.say import echo
from router.cli.show import emit
from router.config.problems import PolicyError
from router.core.words import count
from router.importing import import_policy

FILE_BYTES_MAX = 4_194_304
"""A manifest larger than this is no manifest."""


def run(
    manifest: Annotated[Path, Argument("YAML with a manifest of such a kind; - reads.")],
    output: Format = Output.TABLE,
) -> None:
    """Write a policy for a Rollout, Canary, HTTPRoute or InferenceService; the rest is a comment.

    The kinds are of Argo Rollouts, Flagger, the Gateway API and KServe.

    The policy goes to stdout; how many comments there are goes to stderr.
    """
    try:
        made = import_policy(_read(manifest), str(manifest))
    except PolicyError as error:
        raise VerbFailed(Exit.USAGE, f"{manifest} cannot be imported\n{error}") from None
    if output is Output.JSON:
        emit({"policy": made.text, "notes": list(made.notes)})
        return
    echo(made.text, nl=False)
    if made.notes:
        notes = count(len(made.notes), "comment")
        echo(f"rampway: {notes} in the policy on what differs; read them first", err=True)


def _read(manifest: Path) -> bytes:
    try:
        if str(manifest) == "-":
            return sys.stdin.buffer.read(FILE_BYTES_MAX)
        with manifest.open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise VerbFailed(Exit.USAGE, f"{manifest}: {error.strerror}") from None
