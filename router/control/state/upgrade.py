"""Store files of earlier routers, brought to the present schema when they are opened.

A copy of the file as it was stays beside it (``rampway.db.schema1``): an older router refuses a
newer schema, and can be put back with the copy.
"""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any, Final

from router.core.gates import GONE

FIRST: Final = 1
"""The oldest schema that is still understood. What was an *epoch* there is a *revision* since 2."""

_NAMES: Final = {"epoch": "revision", "step_epoch": "step_revision"}

_TEXTS: Final = (
    ("routes", "route", "record"),
    ("evidence", "route", "snapshot"),
    ("commands", "id", "answer"),
)
"""Tables with JSON: their keys and the column that holds it."""


_USER_INFO: Final = re.compile(r'("url":"https?://)[^/"@]*@')
"""Credentials in URLs of gates, which schema 1 kept; they belong into ``headers``."""


def renamed(data: dict[str, Any]) -> dict[str, Any]:
    """The same values under their present names; parts (``rollout``, ``batch``) too.

    Only where such a name is a key of ours: a version may be called ``epoch``. Gates that are gone
    leave the policy that a rollout is carried out by; they never decided anything.
    """
    made = {_NAMES.get(name, name): value for name, value in data.items()}
    for part in ("rollout", "batch", "entry", "snapshot"):
        if isinstance(made.get(part), dict):
            made[part] = renamed(made[part])
    if isinstance(pinned := made.get("pinned"), dict):
        made["pinned"] = pinned | {"gates": [g for g in pinned["gates"] if not GONE.keys() & g]}
    if isinstance(made.get("rollouts"), list):
        made["rollouts"] = [renamed(one) for one in made["rollouts"]]
    return made


def upgrade(db: sqlite3.Connection, path: Path) -> None:
    """From schema 1 to 2, in one transaction.

    Raises sqlite3.Error or ValueError for a damaged file, which stays as it was.
    """
    copy = path.with_name(f"{path.name}.schema{FIRST}")
    copy.unlink(missing_ok=True)
    db.execute("VACUUM INTO ?", (str(copy),))
    copy.chmod(0o600)
    db.execute("BEGIN IMMEDIATE")
    try:
        for table in ("routes", "journal"):
            db.execute(f"ALTER TABLE {table} RENAME COLUMN epoch TO revision")
        for table, key, column in _TEXTS:
            for name, text in db.execute(f"SELECT {key}, {column} FROM {table}").fetchall():  # noqa: S608 - constants
                now = json.dumps(
                    renamed(json.loads(text)), separators=(",", ":"), ensure_ascii=False
                )
                now = _USER_INFO.sub(r"\1", now)
                db.execute(f"UPDATE {table} SET {column}=? WHERE {key}=?", (now, name))  # noqa: S608 - constants
        db.execute("PRAGMA user_version=2")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
