"""What operators do with the store's file while no router has it: copies, old files, damage.

The product's own commands work on a real file here, beside the simulated disk.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tempfile
from pathlib import Path

from router.control.state import copies
from router.control.state.errors import StoreDamaged
from router.control.state.layout import SCHEMA_VERSION

OLD_NAMES = {"revision": "epoch", "step_revision": "step_epoch"}


def stopped(night):
    """Nobody has the store; False where there is none yet."""
    if not night.disk.images or not night.disk.images[-1]:
        return False
    for process in night.controls():
        process.end(-9)
    return True


def copied(night, how):
    """`rampway store backup`, and `restore` of the copy, or of the file itself."""
    if night.disk.sound or not stopped(night):
        return
    disk = night.disk
    with tempfile.TemporaryDirectory(prefix="nights-") as folder:
        path, copy = Path(folder) / "store.db", Path(folder) / "copy.db"
        path.write_bytes(disk.images[-1])
        before = copies.backup(path, copy)
        if how == "older":
            path.write_bytes(next(image for image in disk.images if image))
            copies.verify(path)
        after = copies.restore(path if how == "itself" else copy, path)
        if (before.entries, before.routes) != (after.entries, after.routes):
            night.checks.fail("a copy is not the store", f"{before.sentence}, {after.sentence}")
        if after.sequence <= before.sequence:
            night.checks.fail("a copy is not the store", "it is not the newest")
        disk.restore(path.read_bytes())
        night.force_next = True


DAMAGES = {
    "foreign": "PRAGMA application_id=7",
    "newer": "PRAGMA user_version=99",
    "hole": "DELETE FROM journal WHERE id = (SELECT max(id) FROM journal)",
    "column": "DROP INDEX journal_by_route",
    "record": "UPDATE routes SET record='{}'",
    "text": "UPDATE evidence SET snapshot='{'",
    "mark": "UPDATE settings SET value='\"00\"' WHERE name='store'",
    "behind": "UPDATE settings SET value='1' WHERE name='sequence'",
    "torn": "",
}
"""What may have become of a file; most of it keeps a start away, and none of it may be guessed.
Torn: a write that was half done."""


PAGE_BYTES = 4_096


def torn(before, after, chance):
    """Some pages of the one, some of the other: what a disk leaves that lied about their order."""
    pages = [
        (after if chance.random() < 0.5 else before)[at : at + PAGE_BYTES]
        for at in range(0, len(after), PAGE_BYTES)
    ]
    return b"".join(pages)


def damaged(night, what):
    """Somebody, or a disk, has been at the file. `verify` says so without changing it."""
    if not stopped(night):
        return
    disk = night.disk
    sound = disk.sound or disk.images[-1]
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.deserialize(sound)
        db.execute(DAMAGES[what])
        made = db.serialize()
    if what == "torn":
        made = torn(disk.images[0], sound, night.machine.chance)
    disk.sound = sound
    disk.images = [made]
    night.checks.power_lost(lost=True)
    with tempfile.TemporaryDirectory(prefix="nights-") as folder:
        path = Path(folder) / "store.db"
        path.write_bytes(made)
        with contextlib.suppress(StoreDamaged):
            copies.verify(path)
        if path.read_bytes() != made:
            night.checks.fail("a copy is not the store", "looking has changed it")


def aged(night):
    """The file of an earlier router is put in its place."""
    if night.disk.sound or not stopped(night):
        return
    disk = night.disk
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.deserialize(disk.images[-1])
        if db.execute("PRAGMA user_version").fetchone()[0] < SCHEMA_VERSION:
            return
        for table in ("routes", "journal"):
            db.execute(f"ALTER TABLE {table} RENAME COLUMN revision TO epoch")
        for table, key, column in (("routes", "route", "record"),
                                   ("evidence", "route", "snapshot")):  # fmt: skip
            for name, text in db.execute(f"SELECT {key}, {column} FROM {table}").fetchall():
                old = json.dumps(_older(json.loads(text)))
                db.execute(f"UPDATE {table} SET {column}=? WHERE {key}=?", (old, name))
        db.execute("PRAGMA user_version=1")
        disk.images = [db.serialize()]


def _older(data):
    made = {OLD_NAMES.get(name, name): value for name, value in data.items()}
    if isinstance(made.get("rollout"), dict):
        made["rollout"] = _older(made["rollout"])
    return made
