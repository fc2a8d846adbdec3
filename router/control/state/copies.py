"""Copies of a store file: made while a router runs, looked at without a trace, put in its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from router.control.state import layout
from router.control.state.errors import StoreDamaged
from router.control.state.hold import MODE, SUFFIXES, Hold, HoldMark, new_file

NEW_PART: Final = ".restoring"
"""What a restored file is called until it is whole."""

BUSY_S: Final = 5.0
"""How long a copy waits for a writer."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a store file holds."""

    file: str
    store: str
    """Its id; empty in a file of an earlier router."""
    sequence: int
    routes: int
    entries: int
    """Of the journal."""
    last: dict[str, Any]
    """The newest entry: at, route, action, reason; empty in an empty journal."""

    @property
    def sentence(self) -> str:
        """One line for people."""
        told = f"{self.file}: {self.sequence} changes, {self.routes} routes, {self.entries} entries"
        if not self.last:
            return told
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.last["at"]))
        return f"{told}; last: {at} UTC {self.last['route']} {self.last['action']}"


def backup(path: Path, copy: Path) -> Account:
    """Copy the store at ``path``, as of now, to the new file ``copy``; a router may go on writing.

    Raises StoreDamaged; a copy that cannot be trusted does not stay.
    """
    if not path.exists():
        raise StoreDamaged(f"{path}: there is no such store")
    _whole(path, copy)
    try:
        return verify(copy)
    except StoreDamaged:
        copy.unlink()
        raise


def verify(path: Path) -> Account:
    """Read everything in a store file, and compare it with what is kept beside it.

    It works on a copy, so that looking leaves no trace. Raises StoreDamaged.
    """
    hold = Hold(path)
    known = hold.known()
    if not path.exists():
        layout.refuse_remains(path, known)
        raise StoreDamaged(f"{path}: there is no such store")
    with tempfile.TemporaryDirectory(prefix="rampway-store-") as folder:
        looked_at = Path(folder) / path.name
        try:
            if hold.held():
                _copied(path, looked_at)
            else:
                _taken(path, looked_at)
            return _account(looked_at, path, known)
        except StoreDamaged as error:
            raise StoreDamaged(str(error).replace(str(looked_at), str(path))) from None


def _taken(path: Path, to: Path) -> None:
    """The files as they are, where nobody writes them."""
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(_beside(path, suffix), _beside(to, suffix))


def _copied(path: Path, to: Path) -> None:
    """The content as of now, of a store that may be written meanwhile."""
    new_file(to)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_S)) as db:
            db.execute("VACUUM INTO ?", (str(to),))
    except sqlite3.Error as error:
        to.unlink(missing_ok=True)
        raise StoreDamaged(f"{path}: cannot be read as a store ({error})") from error


def restore(copy: Path, path: Path) -> Account:
    """Put ``copy`` in the place of the store at ``path``, and accept it as the newest.

    What was there stays beside it (``FILE.replaced-1``, ...). ``copy`` may be ``path`` itself: then
    what is left of a store is accepted. Raises StoreDamaged, or StoreLocked while a router has it.
    """
    hold = Hold(path)
    hold.take_now()
    try:
        known = hold.known()
        made = _beside(path, NEW_PART)
        made.unlink(missing_ok=True)
        _whole(copy, made)
        _accept(made, known)
        _set_aside(path)
        made.replace(path)
        hold.replaced()
        account = _account(path, path, None)
        hold.keep(HoldMark(account.store, account.sequence))
        return account
    finally:
        hold.drop()


def _whole(path: Path, made: Path) -> None:
    """One new file with everything that a store and its log hold; the store stays as it is."""
    if not path.exists():
        raise StoreDamaged(f"{path}: there is no such store")
    if Hold(path).held():
        _copied(path, made)
        return
    with tempfile.TemporaryDirectory(prefix="rampway-store-") as folder:
        source = Path(folder) / path.name
        _taken(path, source)
        _copied(source, made)


def _accept(made: Path, known: HoldMark | None) -> None:
    """Above everything known: whatever was written before, this is the newest now."""
    try:
        with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as db:
            layout.checked(db, made)
            layout.loaded(db)
            here = layout.marked(db, made, None)
            above = max(here.sequence, known.sequence if known else 0) + 1
            layout.write_mark(db, HoldMark(here.store, above))
    except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
        made.unlink(missing_ok=True)
        raise StoreDamaged(f"{made}: cannot be used as a store ({error})") from error
    except StoreDamaged:
        made.unlink(missing_ok=True)
        raise
    made.chmod(MODE)
    fd = os.open(made, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _set_aside(path: Path) -> None:
    number = 1
    while any(_beside(path, f".replaced-{number}{suffix}").exists() for suffix in SUFFIXES):
        number += 1
    for suffix in SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(path, f".replaced-{number}{suffix}"))


def _account(file: Path, path: Path, known: HoldMark | None) -> Account:
    layout.refuse_remains(file, None)
    try:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            layout.checked(db, file)
            routes = len(layout.loaded(db).records)
            mark = layout.mark_of(db)
            if known is not None:
                layout.marked(db, file, known)
            entries = db.execute("SELECT count(*) FROM journal").fetchone()[0]
            row = db.execute(
                "SELECT at, route, action, reason FROM journal ORDER BY id DESC LIMIT 1"
            ).fetchone()
    except sqlite3.Error as error:
        raise StoreDamaged(f"{file}: cannot be used as a store ({error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"{file}: a record cannot be understood ({error!r})") from error
    last = dict(zip(("at", "route", "action", "reason"), row, strict=True)) if row else {}
    store, sequence = (mark.store, mark.sequence) if mark else ("", 0)
    return Account(str(path), store, sequence, routes, entries, last)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
