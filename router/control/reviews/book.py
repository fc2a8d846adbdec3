"""The review queue in one SQLite file; what is answered to a caller is durable.

One thread uses it, one call after the other, so that no two people are given the same question:
the claim is written, with its lease, before anybody hears of it. Bodies are on the disk alone; the
file grows by what is open and what was decided within :data:`KEEP_S`.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from router.core.wire.review import ReviewItem

KEEP_S: Final = 86_400.0
"""What is decided or expired is kept so long for those who look again."""
KEPT_MAX: Final = 100_000
"""ReviewCounts questions at most; the oldest go first, once the log was told of them."""
REVIEWERS_MAX: Final = 3
"""Who may answer one question: two, and a third where they differ."""
PAIRS_MAX: Final = 1_000
"""Different pairs of answers of two people that are kept for each route; labels that are numbers
make a new one nearly each time. Pairs beyond it are counted under :data:`OTHERS`: how many agree
stays exact, and chance has them as one label, so that kappa is rather too low."""
OTHERS: Final = "others"
DIFFER: Final = "others that differ"
"""No JSON, as what people say is."""
BUSY_MS: Final = 2_000
NOT_YOURS: Final = "this question is not yours, or no more: claim it"

_LAYOUT: Final = """
CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, version TEXT NOT NULL, revision INTEGER NOT NULL,
    request_id TEXT NOT NULL, reason TEXT NOT NULL, confidence REAL, at REAL NOT NULL,
    due REAL NOT NULL, labels TEXT NOT NULL, request BLOB, answer BLOB, content_type TEXT,
    target TEXT, beside TEXT, needs INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'open', holder TEXT,
    lease REAL NOT NULL DEFAULT 0, given INTEGER NOT NULL DEFAULT 0, verdict TEXT, body BLOB,
    ended REAL, overruled INTEGER, told INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_items ON items (route, at) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS open_due ON items (due) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS untold ON items (ended) WHERE state <> 'open' AND told = 0;
CREATE INDEX IF NOT EXISTS unsent ON items (ended) WHERE state <> 'open' AND sent = 0;
CREATE INDEX IF NOT EXISTS ended_items ON items (ended) WHERE state <> 'open';
CREATE INDEX IF NOT EXISTS asked_items ON items (route, request_id);
CREATE TABLE IF NOT EXISTS answers (
    item TEXT NOT NULL, nth INTEGER NOT NULL, reviewer TEXT NOT NULL, answer TEXT NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (item, nth)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tallies (
    route TEXT, version TEXT, reason TEXT, decided INTEGER NOT NULL, overruled INTEGER NOT NULL,
    expired INTEGER NOT NULL, PRIMARY KEY (route, version, reason)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agreed (
    route TEXT, first TEXT, second TEXT, times INTEGER NOT NULL, PRIMARY KEY (route, first, second)
) WITHOUT ROWID;
"""


class QueueRow(Protocol):
    """A row that was found, by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any:
        """What it has there."""


class ReviewCounts(NamedTuple):
    """What became of the questions about a version, for one reason."""

    decided: int
    overruled: int
    expired: int


@dataclass(slots=True)
class QueueStanding:
    """How the questions of one route stand."""

    open: int = 0
    claimed: int = 0
    oldest: float | None = None
    """Since when it waits, seconds since 1970."""
    versions: dict[str, dict[str, ReviewCounts]] = field(default_factory=lambda: defaultdict(dict))
    """By version and reason."""
    pairs: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often two people said so and so."""


class NotYours(Exception):  # noqa: N818 - reads as the answer it is
    """The question is not claimed by whoever answers, or not open; the text says which."""


class NoSuchItem(Exception):  # noqa: N818 - reads as the answer it is
    """There is no such question, or no more."""


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A question as it is stored: what was asked, and how it stands."""

    item: ReviewItem
    due: float
    """When people's time is over, seconds since 1970."""
    state: str
    """open | decided | expired."""
    lease: float = 0.0
    verdict: str = ""
    """JSON of what people answered; empty: nothing."""
    ended: float = 0.0


class Opinion(NamedTuple):
    """What a person says to a question."""

    text: str
    """JSON."""
    body: bytes
    """What a client gets if that is the outcome."""
    overruled: bool | None
    """Whether the version said otherwise; None: it said nothing."""


class ReviewBook:
    """See the module. Raises sqlite3.Error where the disk does not take it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = sqlite3.connect(
            path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._file.execute(f"PRAGMA {pragma}").fetchall()
        self._file.executescript(_LAYOUT)
        path.chmod(0o600)  # it holds what people asked
        self._file.row_factory = sqlite3.Row
        self._open = Counter({row["route"]: int(row["n"]) for row in self._many(
            "SELECT route, count(*) n FROM items WHERE state = 'open' GROUP BY route"
        )})  # fmt: skip

    def __repr__(self) -> str:
        return f"<ReviewBook {self.path}>"

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _many(self, text: str, *values: Any) -> list[sqlite3.Row]:
        return self._file.execute(text, values).fetchall()

    def _one(self, text: str, *values: Any) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._file.execute(text, values).fetchone()
        return found

    # --- questions --------------------------------------------------------------------------------

    def add(self, asked: Sequence[tuple[ReviewItem, float, int, int]]) -> list[bool]:
        """Keep questions; whether each is: beyond ``most`` open ones of its route it is not.

        ``asked``: the question, when people's time is over, how many have to answer, ``most``.
        """
        kept = []
        held = self._open.copy()
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            for item, due, needs, most in asked:
                room = held[item.route] < most
                kept.append(room)
                if room:
                    held[item.route] += 1
                    self._insert(item, due, needs)
        self._open = held
        return kept

    def _insert(self, item: ReviewItem, due: float, needs: int) -> None:
        self._file.execute(
            "INSERT INTO items (id, route, version, revision, request_id, reason, confidence, at, "
            "due, labels, request, answer, content_type, target, needs) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (item.id, item.route, item.version, item.revision, item.request_id, item.reason,
             item.confidence, item.at, due, json.dumps(item.labels), item.request, item.answer,
             item.content_type, item.target, needs),
        )  # fmt: skip

    def asks(self, route: str, request_id: str) -> bool:
        """Whether people are, or were, asked about this request."""
        where = "SELECT 1 FROM items WHERE route = ? AND request_id = ? LIMIT 1"
        return self._one(where, route, request_id) is not None

    def attach(self, beside: Iterable[tuple[str, str, str, str]]) -> None:
        """What versions say to requests that people are still asked about; nobody is served.

        ``beside``: the version, JSON of what it predicted, the route, the request's id.
        """
        with self._file:
            self._file.executemany(
                "UPDATE items SET beside = ?, labels = ? WHERE route = ? AND request_id = ? "
                "AND state = 'open' AND reason = 'person'", beside,
            )  # fmt: skip

    def claim(self, by: str, routes: Sequence[str], count: int, now: float,
              leases: dict[str, float]) -> list[StoredQuestion]:  # fmt: skip
        """Give ``by`` up to ``count`` open questions, the oldest first; nobody else gets them.

        ``leases``: seconds by route. Whoever holds some gets those once more, not others as well,
        up to the count; nobody answers one twice.
        """
        marks = ", ".join("?" * len(routes))
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            found = self._many(
                f"SELECT * FROM items WHERE state = 'open' AND route IN ({marks}) AND due > ? "  # noqa: S608 - marks alone
                "AND (lease < ? OR holder = ?) AND NOT EXISTS "
                "(SELECT 1 FROM answers WHERE item = items.id AND reviewer = ?) "
                "ORDER BY (holder = ? AND lease >= ?) DESC, at LIMIT ?",
                *routes, now, now, by, by, by, now, count,
            )  # fmt: skip
            self._file.executemany(
                "UPDATE items SET holder = ?, lease = ? WHERE id = ?",
                [(by, now + leases[row["route"]], row["id"]) for row in found],
            )
        return [stored(row, now + leases[row["route"]]) for row in found]

    def release(self, item: str, by: str, now: float) -> None:
        """Give a claim back. Raises NoSuchItem and NotYours."""
        self._held(item, by, now)
        with self._file:
            self._file.execute("UPDATE items SET holder = NULL, lease = 0 WHERE id = ?", (item,))

    def _held(self, item: str, by: str, now: float) -> sqlite3.Row:
        row = self._item(item)
        if row["state"] != "open":
            raise NotYours(f"this question is {row['state']} already")
        if row["holder"] != by or row["lease"] < now:
            raise NotYours(NOT_YOURS)
        return row

    def held(self, item: str, by: str, now: float) -> StoredQuestion:
        """The question that ``by`` has claimed. Raises NoSuchItem and NotYours."""
        return stored(self._held(item, by, now))

    def answer(self, item: str, by: str, now: float, said: Opinion) -> StoredQuestion:
        """Book one person's answer; the question as it stands then. Raises as ``release``."""
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            row = self._held(item, by, now)
            nth = row["given"] + 1
            self._file.execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?)", (item, nth, by, said.text, now)
            )
            needs = row["needs"]
            if nth == 2:
                needs = self._compare(row, said.text)
            self._file.execute(
                "UPDATE items SET given = ?, needs = ?, holder = NULL, lease = 0 WHERE id = ?",
                (nth, needs, item),
            )
            if nth >= needs:
                self._decide(row, said, now)
                self._open[row["route"]] -= 1
        return stored(self._item(item))

    def _item(self, item: str) -> sqlite3.Row:
        row = self._one("SELECT * FROM items WHERE id = ?", item)
        if row is None:
            raise NoSuchItem("there is no such question, or no more")
        return row

    def _compare(self, row: sqlite3.Row, verdict: str) -> int:
        """Book whether the first two agree; how many have to answer now."""
        first = self._one("SELECT answer FROM answers WHERE item = ? AND nth = 1", row["id"])
        said = first["answer"] if first is not None else ""
        pair = said, verdict
        if not self._pair_has_room(row["route"], *pair):
            pair = OTHERS, OTHERS if said == verdict else DIFFER
        self._file.execute(
            "INSERT INTO agreed VALUES (?, ?, ?, 1) "
            "ON CONFLICT (route, first, second) DO UPDATE SET times = times + 1",
            (row["route"], *pair),
        )
        return 2 if said == verdict else REVIEWERS_MAX

    def _pair_has_room(self, route: str, first: str, second: str) -> bool:
        there = self._one(
            "SELECT count(*) n, coalesce(max(first = ? AND second = ?), 0) known FROM agreed "
            "WHERE route = ? AND first <> ?", first, second, route, OTHERS,
        )  # fmt: skip
        return there is not None and bool(there["known"] or there["n"] < PAIRS_MAX)

    def _decide(self, row: sqlite3.Row, said: Opinion, now: float) -> None:
        self._file.execute(
            "UPDATE items SET state = 'decided', verdict = ?, body = ?, ended = ?, overruled = ? "
            "WHERE id = ?", (said.text, said.body, now, said.overruled, row["id"]),
        )  # fmt: skip
        self._tally(row, decided=1, overruled=int(bool(said.overruled)))

    def _tally(self, row: sqlite3.Row, decided: int = 0, overruled: int = 0,
               expired: int = 0) -> None:  # fmt: skip
        self._file.execute(
            "INSERT INTO tallies VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (route, version, reason) DO UPDATE SET decided = decided + ?, "
            "overruled = overruled + ?, expired = expired + ?",
            (row["route"], row["beside"] or row["version"], row["reason"], decided, overruled,
             expired, decided, overruled, expired),
        )  # fmt: skip

    def expire(self, now: float, most: int) -> list[StoredQuestion]:
        """End questions whose time is over, some at a time; those, as they stand."""
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            found = self._many(
                "SELECT * FROM items WHERE state = 'open' AND due <= ? LIMIT ?", now, most
            )
            for row in found:
                self._file.execute(
                    "UPDATE items SET state = 'expired', ended = ?, told = 1 WHERE id = ?",
                    (now, row["id"]),
                )
                self._tally(row, expired=1)
        self._open -= Counter(row["route"] for row in found)
        return [stored(row) for row in found]

    def look(self, item: str) -> tuple[str, bytes, str]:
        """How a question stands: its state or ``unknown``, what its client gets, its route."""
        row = self._one("SELECT * FROM items WHERE id = ?", item)
        if row is None:
            return "unknown", b"", ""
        body = row["body"] if row["state"] == "decided" else row["answer"]
        return row["state"], body or b"", row["route"]

    # --- who is told ------------------------------------------------------------------------------

    def untold(self, most: int) -> list[StoredQuestion]:
        """Ended questions that the prediction log has not been told of, the oldest first."""
        return [stored(row) for row in self._many(
            "SELECT * FROM items WHERE state <> 'open' AND told = 0 ORDER BY ended LIMIT ?", most
        )]  # fmt: skip

    def unsent(self, most: int, but: Sequence[str] = ()) -> list[StoredQuestion]:
        """Ended questions that no webhook has taken, likewise; ``but``: not of these routes."""
        return [stored(row) for row in self._many(
            "SELECT * FROM items WHERE state <> 'open' AND sent = 0 "
            "AND route NOT IN (SELECT value FROM json_each(?)) ORDER BY ended LIMIT ?",
            json.dumps(list(but)), most,
        )]  # fmt: skip

    def done(self, what: str, items: Iterable[str]) -> None:
        """``what``: told or sent."""
        column = "told" if what == "told" else "sent"
        with self._file:
            self._file.executemany(
                f"UPDATE items SET {column} = 1 WHERE id = ?",  # noqa: S608 - one of two words
                [(item,) for item in items],
            )

    def prune(self, now: float, most: int) -> int:
        """Forget what was decided long ago, or is too much; never what is open or untold.

        Answers how many of these no webhook had taken.
        """
        row = self._one("SELECT count(*) n FROM items WHERE state <> 'open'")
        extra = max((row["n"] if row is not None else 0) - KEPT_MAX, 0)
        old = "SELECT id, sent FROM items WHERE state <> 'open' AND told = 1"
        with self._file:
            gone = self._many(
                f"{old} AND ended < ? ORDER BY ended LIMIT ?", now - KEEP_S, most
            ) or self._many(f"{old} ORDER BY ended LIMIT ?", min(extra, most))
            for one in gone:
                self._file.execute("DELETE FROM items WHERE id = ?", (one["id"],))
                self._file.execute("DELETE FROM answers WHERE item = ?", (one["id"],))
        return sum(not one["sent"] for one in gone)

    # --- for people -------------------------------------------------------------------------------

    def standing(self, now: float) -> dict[str, QueueStanding]:
        """By route."""
        return stand_of(
            self._many(
                "SELECT route, count(*) n, sum(lease >= ?) held, min(at) oldest FROM items "
                "WHERE state = 'open' GROUP BY route", now,
            ),
            self._many("SELECT * FROM tallies"), self._many("SELECT * FROM agreed"),
        )  # fmt: skip


def stand_of(
    waiting: Iterable[QueueRow], tallies: Iterable[QueueRow], agreed: Iterable[QueueRow]
) -> dict[str, QueueStanding]:
    """By route, of what was found: open questions by route, what became of others, pairs."""
    told: dict[str, QueueStanding] = defaultdict(QueueStanding)
    for row in waiting:
        one = told[row["route"]]
        one.open, one.claimed, one.oldest = row["n"], row["held"], row["oldest"]
    for row in tallies:
        decided = ReviewCounts(row["decided"], row["overruled"], row["expired"])
        told[row["route"]].versions[row["version"]][row["reason"]] = decided
    for row in agreed:
        told[row["route"]].pairs[row["first"], row["second"]] = row["times"]
    return told


def stored(row: QueueRow, lease: float = 0.0) -> StoredQuestion:
    """A row as it is told; ``lease``: the one that it has got just now."""
    item = ReviewItem(
        row["id"], row["route"], row["beside"] or row["version"], row["revision"],
        row["request_id"], row["reason"],
        row["confidence"], row["at"], tuple(json.loads(row["labels"])), row["request"] or b"",
        row["answer"] or b"", row["content_type"] or "", row["target"] or "",
    )  # fmt: skip
    return StoredQuestion(
        item, row["due"], row["state"], lease or row["lease"], row["verdict"] or "",
        row["ended"] or 0.0,
    )  # fmt: skip
