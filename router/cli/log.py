"""``rampway log``: the prediction log as a table, how it stands, and what must be forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from router.cli.exits import Exit, VerbFailed
from router.cli.options import AdminLink
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import emit
from router.cli.why import moment
from router.control.told.answers import LogView
from router.core.words import duration

AGAIN_S: Final = 1.0
"""After this long a running router has written what it had of a person: it is erased again."""


class LogDeed(StrEnum):
    """What is done."""

    EXPORT = "export"
    FORGET = "forget"
    STATUS = "status"


def run(  # noqa: PLR0917 - its options
    link: AdminLink,
    deed: Annotated[LogDeed, Argument("export FILE TABLE | forget FILE --key KEY | status.")],
    file: Annotated[str, Argument("The log: prediction_log.file of the policy.")] = "",
    target: Annotated[Path | None, Argument("The table: a name in .csv or .parquet.")] = None,
    key: Annotated[str, Option("forget: the person's sticky key, or field of the body.")] = "",
    route: Annotated[str, Option("export: only this route.")] = "",
    since: Annotated[str, Option("export: from this time on (2026-11-27T10:00).", "--from")] = "",
    until: Annotated[str, Option("export: before this time.", "--to")] = "",
    bodies: Annotated[bool, Option("export: requests and answers as they came, too.")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Export the prediction log, forget a person, or say how it stands."""
    if deed is LogDeed.STATUS:
        _status(link, output)
        return
    there(file, f"name the log, {deed} FILE ...")
    if deed is LogDeed.FORGET:
        count = _forget(file, key)
        said = f"{count:,} predictions of that person erased, with their truths"
    else:
        count = _export(file, target, route, since, until, bodies=bodies)
        said = f"{count:,} predictions written to {target}"
    if output is Output.JSON:
        emit({"predictions": count})
    else:
        echo(said)


def _export(
    file: str, target: Path | None, route: str, since: str, until: str, *, bodies: bool
) -> int:
    from router.reader import export  # noqa: PLC0415 - other deeds start without it

    if target is None or target.suffix not in (".csv", ".parquet"):
        raise VerbFailed(Exit.USAGE, "log export FILE TABLE, which ends in .csv or .parquet")
    chosen = export.ExportScope(
        route, moment(since) if since else 0.0, moment(until) if until else float("inf")
    )
    write = export.to_csv if target.suffix == ".csv" else export.to_parquet
    with table_errors(file):
        return write(file, target, chosen, bodies=bodies)


def there(file: str, hint: str) -> None:
    """Raise VerbFailed where a log's file is none."""
    from router.core.databases import POSTGRES_URLS  # noqa: PLC0415 - as above

    if not file.startswith(POSTGRES_URLS) and not Path(file).is_file():
        raise VerbFailed(Exit.USAGE, f"there is no file {file}: {hint}")


@contextmanager
def table_errors(file: str) -> Iterator[None]:
    """What a log's table raises is told in a line."""
    from router.reader.book import BookError  # noqa: PLC0415 - as above

    try:
        yield
    except (OSError, BookError) as error:
        raise VerbFailed(Exit.UNEXPECTED, f"{file}: {error}") from None


def _forget(file: str, key: str) -> int:
    from router.reader.book import BookError  # noqa: PLC0415 - as above
    from router.reader.keeper import digest_of, open_book  # noqa: PLC0415 - as above

    if not key:
        raise VerbFailed(Exit.USAGE, "log forget FILE --key KEY: say whom")
    try:
        book = open_book(file, writer=False)
        person = digest_of(key, book.secret("").encode())
        gone = book.forget([person])
        time.sleep(AGAIN_S)
        gone += book.forget([person])
        book.close()
    except BookError as error:
        raise VerbFailed(Exit.UNEXPECTED, f"{error}; send it again") from None
    return gone


def _status(link: AdminLink, output: Output) -> None:
    told = link.client().get(LogView, "/api/v1/log")
    if output is Output.JSON:
        emit(told)
        return
    if not told.file:
        echo("no route has a log")
        return
    held = told.held
    echo(
        f"{told.file}: {held.get('predictions', 0):,} predictions, "
        f"{held.get('truths', 0):,} truths, {held.get('waiting', 0):,} of them wait, "
        f"{held.get('bytes', 0) / 1e6:,.1f} MB"
    )
    for cause, rows in told.dropped.items():
        echo(f"dropped ({cause}): {rows:,} predictions")
    if told.unknown:
        echo(f"unknown: {told.unknown:,} truths, last {', '.join(told.unknown_ids)}")
    for route, lag in told.lag.items():
        half, most = duration(lag.p50_s), duration(lag.p95_s)
        echo(f"{route}: truths come after {half}, 95 % within {most} ({lag.truths:,})")
    if told.error:
        echo(f"the last write failed: {told.error}")
