"""``rampway store``: copies of the file in which rollouts and the journal are kept."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.output import Format, Output
from router.cli.parse import Argument
from router.cli.say import echo
from router.cli.show import emit


class StoreDeed(StrEnum):
    """What is done."""

    BACKUP = "backup"
    VERIFY = "verify"
    RESTORE = "restore"


def run(
    deed: Annotated[StoreDeed, Argument("backup FILE COPY | verify FILE | restore COPY FILE.")],
    source: Annotated[Path, Argument("What is copied or looked at.")],
    target: Annotated[Path | None, Argument("The copy's name, or the store it replaces.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Copy a store while its router runs, verify one, or put a copy in its place."""
    from router.control.state import copies  # noqa: PLC0415 - other verbs start without it
    from router.control.state.errors import StoreDamaged, StoreLocked  # noqa: PLC0415 - as above

    if str(source).startswith(("postgresql:/", "postgres:/")):
        said = "a store in PostgreSQL is copied by pg_dump; `rampway doctor POLICY` looks at one"
        raise VerbFailed(Exit.USAGE, said)
    if (target is None) is not (deed is StoreDeed.VERIFY):
        raise VerbFailed(Exit.USAGE, "store backup FILE COPY | verify FILE | restore COPY FILE")
    try:
        if target is None:
            account, told = copies.verify(source), "whole"
        elif deed is StoreDeed.BACKUP:
            account, told = copies.backup(source, target), "copied and read back"
        else:
            account, told = copies.restore(source, target), "in place; what was there is beside it"
    except StoreLocked as error:
        raise VerbFailed(Exit.CONFLICT, str(error)) from None
    except StoreDamaged as error:
        raise VerbFailed(Exit.UNEXPECTED, str(error)) from None
    if output is Output.JSON:
        emit(asdict(account))
    else:
        echo(f"{account.sentence}: {told}")
