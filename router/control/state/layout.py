"""How a store file is laid out, and whether one can be trusted.

What cannot be read is refused with the name of the file and the way out: a guessed position could
send traffic to a version that was taken back.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from router.control.state.answers import AnsweredOrder
from router.control.state.errors import StoreDamaged
from router.control.state.evidence import TrialState
from router.control.state.hold import HoldMark
from router.control.state.record import JournalEntry, RouteRecord, Stored
from router.control.state.settings import SaltSetting, StoreSettings
from router.control.state.upgrade import FIRST, upgrade
from router.control.told.answers import FreezesView, JudgementView, OrderView

APPLICATION_ID: Final = 0x52575031
"""``RWP1`` in the header of the file: a file of another program is not touched."""

SCHEMA_VERSION: Final = 2
"""2: a rollout's counter is called its revision; :mod:`router.control.state.upgrade`."""

SCHEMA: Final = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE routes (route TEXT PRIMARY KEY, revision INTEGER NOT NULL, \
record TEXT NOT NULL) STRICT;
CREATE TABLE evidence (route TEXT PRIMARY KEY, snapshot TEXT NOT NULL) STRICT;
CREATE TABLE commands (id TEXT PRIMARY KEY, answer TEXT NOT NULL) STRICT;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, clock REAL NOT NULL,
    route TEXT NOT NULL, rollout TEXT NOT NULL, revision INTEGER NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, phase_from TEXT NOT NULL, phase_to TEXT NOT NULL, step INTEGER NOT NULL,
    weight_bp INTEGER NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_route ON journal (route, id);
"""

RECEIPTS: Final = "CREATE TABLE IF NOT EXISTS receipts (mark TEXT PRIMARY KEY) STRICT;"
"""Receipts that labels have used; added to files of before when they are opened."""


def way_out(path: Path) -> str:
    """What to do about a file that is refused."""
    return (
        f"`rampway store restore COPY {path}` puts a copy in its place, "
        f"`rampway store restore {path} {path}` goes on with what is left of it; "
        f"to begin anew, remove {path.name}*"
    )


def created(db: sqlite3.Connection) -> None:
    """Lay out a new file."""
    db.executescript(
        f"BEGIN IMMEDIATE; {SCHEMA} {RECEIPTS} PRAGMA application_id={APPLICATION_ID};"
        f"PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
    )


def is_new(db: sqlite3.Connection) -> bool:
    """Nothing was laid out yet."""
    tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not tables


def refuse_remains(path: Path, known: HoldMark | None) -> None:
    """A truncated or half-deleted store looks like a new one to SQLite: it must not to us.

    ``known``: what is kept beside the file. Raises StoreDamaged.
    """
    wal = path.with_name(path.name + "-wal")
    if path.exists():
        if path.stat().st_size == 0:
            raise StoreDamaged(f"{path}: is empty (truncated?); {way_out(path)}")
    elif wal.exists() and wal.stat().st_size > 0:
        raise StoreDamaged(f"{path}: is missing but {wal.name} is there; {way_out(path)}")
    elif known is not None:
        raise StoreDamaged(
            f"{path}: is missing, but {known.sequence} changes were written to it "
            f"({path.name}.sequence); {way_out(path)}"
        )


def checked(db: sqlite3.Connection, path: Path) -> None:
    """That the file is ours and whole; one of an earlier router is brought up to date.

    Raises StoreDamaged, or sqlite3.Error where SQLite itself refuses.
    """
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        raise StoreDamaged(f"{path}: is the database of another program")
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if not FIRST <= version <= SCHEMA_VERSION:
        raise StoreDamaged(f"{path}: has schema {version}, this router knows {SCHEMA_VERSION}")
    verdict: str = db.execute("PRAGMA quick_check").fetchone()[0]
    if verdict != "ok":
        raise StoreDamaged(f"{path}: is damaged ({verdict.splitlines()[0]}); {way_out(path)}")
    if version < SCHEMA_VERSION:
        upgrade(db, path)
    db.execute(RECEIPTS)
    if missing := _expected() - _schema_of(db):
        names = ", ".join(sorted(name for name, _ in missing))
        raise StoreDamaged(f"{path}: is not whole ({names} missing or changed); {way_out(path)}")
    _check_journal(db, path)


def mark_of(db: sqlite3.Connection) -> HoldMark | None:
    """How far the file itself knows; None for one of an earlier router."""
    said = dict(db.execute("SELECT name, value FROM settings WHERE name IN ('store', 'sequence')"))
    if len(said) < 2:
        return None
    return HoldMark(str(json.loads(said["store"])), int(json.loads(said["sequence"])))


def marked(db: sqlite3.Connection, path: Path, known: HoldMark | None) -> HoldMark:
    """The file's mark, once it agrees with ``known``; made where there is none.

    Raises StoreDamaged for a file that knows less than was written, or is another store's.
    """
    here = mark_of(db)
    if known is not None and here is not None and known.store != here.store:
        raise StoreDamaged(
            f"{path}: is another store ({here.store}) than the one that was here "
            f"({known.store}, {path.name}.sequence); {way_out(path)}"
        )
    if known is not None and known.sequence > (here.sequence if here else 0):
        raise StoreDamaged(
            f"{path}: {known.sequence} changes were written, only "
            f"{here.sequence if here else 0} are there: its {path.name}-wal is missing or "
            f"truncated, or an older copy was put in its place; {way_out(path)}"
        )
    if here is None:
        here = HoldMark(secrets.token_hex(8), 0)
        write_mark(db, here)
    return here


def write_mark(db: sqlite3.Connection, mark: HoldMark) -> None:
    """Put the mark into the file."""
    for name, value in (("store", mark.store), ("sequence", mark.sequence)):
        db.execute("REPLACE INTO settings VALUES (?,?)", (name, json.dumps(value)))


def loaded(db: sqlite3.Connection) -> Stored:
    """Everything that a start needs. Raises KeyError, TypeError or ValueError on damage."""
    settings = {name: json.loads(v) for name, v in db.execute("SELECT name, value FROM settings")}
    records = [
        RouteRecord.from_json(json.loads(text))
        for (text,) in db.execute("SELECT record FROM routes")
    ]
    snapshots = db.execute("SELECT route, snapshot FROM evidence")
    evidence = {route: TrialState.read(json.loads(text)) for route, text in snapshots}
    known = {route: one for route, one in evidence.items() if one is not None}
    receipts = tuple(
        int(mark, 16) for (mark,) in db.execute("SELECT mark FROM receipts ORDER BY rowid")
    )
    clock = float(settings.get("clock", 0.0))
    return Stored(clock, {r.route: r for r in records}, known, settings_of(settings), receipts)


MONITORS: Final = "monitors:"
"""What stands before a route's name where its monitors are kept."""
SPENT: Final = "judge/"
"""The same before route and gate, where it is kept what was spent on a judge."""


def setting_rows(settings: StoreSettings) -> Iterator[tuple[str, str]]:
    """Name and JSON of each value."""
    values = {
        "salt": settings.salt, "frozen": settings.frozen, "acknowledged": settings.acknowledged
    }  # fmt: skip
    for name, value in values.items():
        if value is not None:
            yield name, text_of(msgspec.to_builtins(value, order="deterministic"))
    for prefix, kept in ((MONITORS, settings.monitors), (SPENT, settings.spent)):
        for name, snapshot in kept.items():
            yield prefix + name, text_of(snapshot)


def settings_of(rows: Mapping[str, Any]) -> StoreSettings:
    """The inverse, from decoded values; what is not known here is left out.

    Raises ValueError on damage.
    """
    try:
        frozen = rows.get("frozen")
        return StoreSettings(
            salt=msgspec.convert(rows["salt"], SaltSetting) if "salt" in rows else None,
            frozen=FreezesView.of(frozen) if frozen else None,
            acknowledged=msgspec.convert(rows.get("acknowledged") or {}, dict[str, str]),
            monitors=_below(MONITORS, rows), spent=_below(SPENT, rows),
        )  # fmt: skip
    except msgspec.ValidationError as error:
        raise ValueError(f"a setting cannot be understood: {error}") from error


def _below(prefix: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): one for name, one in rows.items()
        if name.startswith(prefix) and one
    }  # fmt: skip


def entry_row(entry: JournalEntry) -> list[Any]:
    """Of :data:`ENTRY`."""
    *said, evidence = (getattr(entry, name) for name in ENTRY)
    return [*map(plain, said), text_of(msgspec.to_builtins(evidence))]


def entry_of(row: Sequence[Any]) -> JournalEntry:
    """From the columns of :data:`ENTRY` and the id; what an older router said may be in part."""
    fields = dict(zip((*ENTRY, "id"), row, strict=True))
    try:
        evidence = JudgementView.of(json.loads(fields["evidence"]))
    except msgspec.ValidationError:
        evidence = JudgementView()
    return JournalEntry(**fields | {"evidence": evidence})


def answer_text(answer: AnsweredOrder) -> str:
    """As the store has it: the result, and beside it what was asked."""
    return text_of({**msgspec.to_builtins(answer.result), "asked": answer.asked})


def answer_of(text: str) -> AnsweredOrder:
    """The inverse. Raises ValueError on damage."""
    plain = json.loads(text)
    try:
        result = msgspec.convert(plain, OrderView)
    except msgspec.ValidationError as error:
        raise ValueError(f"a command's answer cannot be understood: {error}") from error
    return AnsweredOrder(result, str(plain.get("asked", "")))


ENTRY: Final = (
    "at", "clock", "route", "rollout", "revision", "actor", "action", "phase_from", "phase_to",
    "step", "weight_bp", "reason", "evidence",
)  # fmt: skip
"""Columns of the journal, in the order of :class:`JournalEntry`'s fields."""

_PLAIN: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def text_of(value: Any) -> str:
    """JSON; half a surrogate pair, which SQLite refuses, becomes a question mark."""
    return _PLAIN.encode(value).encode("utf-8", "replace").decode()


def plain(value: Any) -> Any:
    """A text likewise; anything else as it is."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _schema_of(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


@cache
def _expected() -> frozenset[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        return frozenset(_schema_of(db))


def _check_journal(db: sqlite3.Connection, path: Path) -> None:
    """Ids grow by one, and the last one given is there: entries may only be missing at the front.

    Raises StoreDamaged; a journal with holes explains things that did not happen that way.
    """
    count, first, last = db.execute("SELECT count(*), min(id), max(id) FROM journal").fetchone()
    given = db.execute("SELECT seq FROM sqlite_sequence WHERE name='journal'").fetchone()
    if count and (count != last - first + 1 or given != (last,)):
        raise StoreDamaged(
            f"{path}: entries of the journal are missing ({count} of {first} to {given[0]}); "
            f"{way_out(path)}"
        )
