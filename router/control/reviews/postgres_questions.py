"""Questions for people in the database of a store (asyncpg), for all routers that share it.

A move is one statement, and says what it moves from: a claim takes what nobody holds, an answer
that of who holds it. So it does not matter which router makes it, nor that another one is killed in
the middle; a statement sent again moves nothing twice. That people have answered is a hint
(``NOTIFY``) to routers whose clients wait, which read it again without one, too
(:class:`router.control.reviews.elsewhere.Elsewhere`).

How many questions are open is counted by each statement that adds some, so routers that write in
the same moment may exceed ``open`` by what they write.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from router.control.reviews import book
from router.control.reviews.book import (
    KEEP_S,
    KEPT_MAX,
    NOT_YOURS,
    REVIEWERS_MAX,
    NoSuchItem,
    NotYours,
    Opinion,
    QueueStanding,
    StoredQuestion,
    stand_of,
    stored,
)
from router.control.reviews.questions import NewQuestion, QuestionState, SaidBeside
from router.control.state.errors import StoreUnavailable
from router.control.state.postgres_layout import plain
from router.control.state.postgres_link import LOST, StoreLink, unavailable
from router.core.databases import named
from router.core.wire.review import ReviewItem

AGAIN_S: Final = 0.5
"""What follows a failed connection fails without trying for so long: all would wait in turn."""
OUTCOMES_MAX: Final = 1_000
"""Read at once, the newest; whose client is not among them looks again."""
DECIDED: Final = "decided"
"""What a hint ends with: people have answered."""

_GIVEN: Final = {
    "id": "text", "route": "text", "version": "text", "revision": "int8", "request_id": "text",
    "reason": "text", "confidence": "float8", "at": "float8", "due": "float8", "labels": "text",
    "request": "bytea", "answer": "bytea", "content_type": "text", "target": "text",
    "needs": "int4",
}  # fmt: skip
_NAMES: Final = ", ".join(_GIVEN)
_ARRAYS: Final = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_GIVEN.values(), 1))
_LIGHT: Final = (
    "r.id, r.route, r.version, r.beside, r.revision, r.request_id, r.reason, r.confidence, r.at, "
    "r.due, r.labels, ''::bytea AS request, ''::bytea AS answer, r.content_type, r.target, "
    "r.state, r.lease, r.verdict, r.ended"
)
"""A question without bodies."""

_ADD: Final = f"""
WITH given AS (
    SELECT * FROM unnest({_ARRAYS}, ${len(_GIVEN) + 1}::int8[])
    WITH ORDINALITY AS g ({_NAMES}, most, n)
), there AS (
    SELECT route, (SELECT count(*) FROM rampway_reviews r
        WHERE r.route = one.route AND r.state = 'open') AS open
    FROM (SELECT DISTINCT route FROM given) AS one
), placed AS (
    SELECT given.*, open + row_number() OVER (PARTITION BY route ORDER BY n) <= most AS room
    FROM given JOIN there USING (route)
), put AS (
    INSERT INTO rampway_reviews ({_NAMES}) SELECT {_NAMES} FROM placed WHERE room ORDER BY n
    ON CONFLICT DO NOTHING
)
SELECT room FROM placed ORDER BY n
"""  # noqa: S608 - of constants
_ABOUT: Final = """
SELECT DISTINCT r.route, r.request_id FROM rampway_reviews r
JOIN unnest($1::text[], $2::text[]) AS g (route, request_id) USING (route, request_id)
"""
_ATTACH: Final = """
UPDATE rampway_reviews r SET beside = g.version, labels = g.labels
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    AS g (version, labels, route, request_id)
WHERE r.route = g.route AND r.request_id = g.request_id AND r.state = 'open'
    AND r.reason = 'person'
"""
_CLAIM: Final = """
WITH found AS (
    SELECT id FROM rampway_reviews r
    WHERE state = 'open' AND route = ANY($2::text[]) AND due > $4::float8
        AND (lease < $4 OR holder = $1::text)
        AND NOT EXISTS (SELECT FROM rampway_review_answers WHERE item = r.id AND reviewer = $1)
    ORDER BY coalesce(holder = $1 AND lease >= $4, false) DESC, at, id
    LIMIT $3::int8 FOR UPDATE SKIP LOCKED
), given AS (
    UPDATE rampway_reviews r SET holder = $1, lease = $4 + g.lease
    FROM found, unnest($2, $5::float8[]) AS g (route, lease)
    WHERE r.id = found.id AND g.route = r.route RETURNING r.*
)
SELECT * FROM given ORDER BY at, id
"""
_RELEASE: Final = """
UPDATE rampway_reviews SET holder = NULL, lease = 0
WHERE id = $1 AND state = 'open' AND holder = $2 AND lease >= $3::float8 RETURNING id
"""
_ONE: Final = "SELECT * FROM rampway_reviews WHERE id = $1"
_ANSWER: Final = f"""
WITH held AS (
    SELECT r.id, r.route, r.given + 1 AS nth, r.needs, a.answer AS first
    FROM rampway_reviews r LEFT JOIN rampway_review_answers a ON a.item = r.id AND a.nth = 1
    WHERE r.id = $1 AND r.state = 'open' AND r.holder = $2::text AND r.lease >= $3::float8
        AND NOT EXISTS (SELECT FROM rampway_review_answers WHERE item = r.id AND reviewer = $2)
    FOR UPDATE OF r
), one AS (
    SELECT *, CASE WHEN nth <> 2 THEN needs WHEN first = $4::text THEN 2 ELSE {REVIEWERS_MAX} END
        AS wanted FROM held
), said AS (
    INSERT INTO rampway_review_answers (item, nth, reviewer, answer, at)
    SELECT id, nth, $2, $4, $3 FROM one
), agreed AS (
    INSERT INTO rampway_review_agreed AS t (route, first, second, times)
    SELECT route, CASE WHEN room THEN first ELSE '{book.OTHERS}' END, CASE WHEN room THEN $4
        WHEN first = $4 THEN '{book.OTHERS}' ELSE '{book.DIFFER}' END, 1
    FROM one, LATERAL (
        SELECT count(*) < $7::int8
            OR coalesce(bool_or(a.first = one.first AND a.second = $4), false)
        FROM rampway_review_agreed a WHERE a.route = one.route AND a.first <> '{book.OTHERS}'
    ) AS there (room) WHERE nth = 2
    ON CONFLICT (route, first, second) DO UPDATE SET times = t.times + 1
), moved AS (
    UPDATE rampway_reviews r SET given = one.nth, needs = one.wanted, holder = NULL, lease = 0
    FROM one WHERE r.id = one.id AND one.nth < one.wanted RETURNING {_LIGHT}
), decided AS (
    UPDATE rampway_reviews r SET given = one.nth, needs = one.wanted, holder = NULL, lease = 0,
        state = 'decided', verdict = $4, body = $5::bytea, ended = $3, overruled = $6::boolean,
        settled = clock_timestamp()
    FROM one WHERE r.id = one.id AND one.nth >= one.wanted RETURNING {_LIGHT}
), tally AS (
    INSERT INTO rampway_review_tallies AS t (route, version, reason, decided, overruled, expired)
    SELECT route, coalesce(beside, version), reason, 1, coalesce($6, false)::int, 0 FROM decided
    ON CONFLICT (route, version, reason) DO UPDATE
    SET decided = t.decided + 1, overruled = t.overruled + excluded.overruled
), hint AS (
    SELECT pg_notify('rampway', current_schema() || ' {DECIDED}') FROM decided
)
SELECT *, (SELECT count(*) FROM hint) AS hinted
FROM (SELECT * FROM moved UNION ALL SELECT * FROM decided) AS told
"""  # noqa: S608 - of constants
_EXPIRE: Final = f"""
WITH over AS (
    SELECT id FROM rampway_reviews WHERE state = 'open' AND due <= $1::float8
    ORDER BY due LIMIT $2::int8 FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE rampway_reviews r SET state = 'expired', ended = $1, told = true
    FROM over WHERE r.id = over.id RETURNING {_LIGHT}
), tally AS (
    INSERT INTO rampway_review_tallies AS t (route, version, reason, decided, overruled, expired)
    SELECT route, coalesce(beside, version), reason, 0, 0, count(*) FROM ended
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (route, version, reason) DO UPDATE SET expired = t.expired + excluded.expired
)
SELECT * FROM ended ORDER BY due, id
"""  # noqa: S608 - of constants
_LOOK: Final = """
SELECT r.id, r.state, CASE WHEN r.state = 'decided' THEN r.body ELSE r.answer END AS body, r.route
FROM rampway_reviews r WHERE r.id = ANY($1::text[])
"""
_UNTOLD: Final = (
    f"SELECT {_LIGHT} FROM rampway_reviews r WHERE state <> 'open' AND NOT told "  # noqa: S608 - of constants
    "ORDER BY ended LIMIT $1::int8"
)
_UNSENT: Final = (
    f"SELECT {_LIGHT} FROM rampway_reviews r WHERE state <> 'open' AND NOT sent "  # noqa: S608 - of constants
    "AND route <> ALL($2::text[]) ORDER BY ended LIMIT $1::int8"
)
_DONE: Final = {
    what: f"UPDATE rampway_reviews SET {what} = true WHERE id = ANY($1::text[])"  # noqa: S608 - one of two words
    for what in ("told", "sent")
}
_PRUNE: Final = f"""
WITH extra AS (
    SELECT greatest(count(*) - {KEPT_MAX}, 0) AS n FROM rampway_reviews WHERE state <> 'open'
), oldest AS (
    SELECT id, ended, row_number() OVER (ORDER BY ended) AS n FROM (
        SELECT id, ended FROM rampway_reviews WHERE state <> 'open' AND told
        ORDER BY ended LIMIT $2::int8
    ) AS first
), gone AS (
    DELETE FROM rampway_reviews r USING oldest, extra
    WHERE r.id = oldest.id AND (oldest.ended < $1::float8 - {KEEP_S} OR oldest.n <= extra.n)
    RETURNING r.id, r.sent
), answers AS (
    DELETE FROM rampway_review_answers a USING gone WHERE a.item = gone.id
)
SELECT count(*) FROM gone WHERE NOT sent
"""  # noqa: S608 - of constants
_OPEN: Final = """
SELECT route, count(*) AS n, count(*) FILTER (WHERE lease >= $1::float8) AS held, min(at) AS oldest
FROM rampway_reviews WHERE state = 'open' GROUP BY route
"""
_TALLIES: Final = "SELECT * FROM rampway_review_tallies"
_AGREED: Final = "SELECT * FROM rampway_review_agreed"
_OUTCOMES: Final = """
SELECT id, body FROM rampway_reviews
WHERE state = 'decided' AND settled > clock_timestamp() - $1::float8 * interval '1 s'
ORDER BY settled DESC LIMIT $2::int8
"""


class SharedQuestions:
    """See the module, and :class:`router.control.reviews.questions.KeptQuestions`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.used = False
        self.on_decided: Callable[[], None] = lambda: None
        """Told that people have answered something, here or elsewhere."""
        self._link = StoreLink(url, self._hinted)
        self._turn = asyncio.Lock()
        self._failed = (float("-inf"), "")
        """When a connection failed last, by the monotonic clock, and how."""

    def __repr__(self) -> str:
        return f"<SharedQuestions {named(self.url)}>"

    def _hinted(self, _db: Any, _pid: int, _channel: str, payload: str) -> None:
        if payload.endswith(f" {DECIDED}"):
            self.on_decided()

    async def _rows(self, statement: str, *values: Any) -> list[Any]:
        """Of one statement, behind those that were asked before. Raises StoreUnavailable."""
        async with self._turn:
            failed_s, how = self._failed
            if time.monotonic() - failed_s < AGAIN_S:
                raise StoreUnavailable(how)
            try:
                db = await self._link.db()
                self.used = True
                found: list[Any] = await db.fetch(statement, *values)
            except LOST as error:
                self._link.drop()
                failure = unavailable(self.url, error)
                self._failed = (time.monotonic(), str(failure))
                raise failure from None
            return found

    async def add(self, asked: Sequence[NewQuestion]) -> list[bool]:
        """See KeptQuestions."""
        rows = [
            (plain(one.id), plain(one.route), plain(one.version), one.revision,
             plain(one.request_id), one.reason, one.confidence, one.at, due, json.dumps(one.labels),
             one.request, one.answer, plain(one.content_type), plain(one.target), needs, most)
            for one, due, needs, most in asked
        ]  # fmt: skip
        found = await self._rows(_ADD, *map(list, zip(*rows, strict=True)))
        return [row["room"] for row in found]

    async def fresh(self, read: Callable[[], Sequence[ReviewItem]]) -> list[ReviewItem]:
        """See KeptQuestions."""
        items = await asyncio.to_thread(read)
        known = {tuple(row) for row in await self._rows(
            _ABOUT, [plain(one.route) for one in items], [plain(one.request_id) for one in items]
        )}  # fmt: skip
        return [one for one in items if (plain(one.route), plain(one.request_id)) not in known]

    async def attach(self, read: Callable[[], Sequence[SaidBeside]]) -> None:
        """See KeptQuestions."""
        rows = {one[2:]: [plain(value) for value in one] for one in await asyncio.to_thread(read)}
        if rows:
            await self._rows(_ATTACH, *map(list, zip(*rows.values(), strict=True)))

    async def claim(
        self, by: str, routes: Sequence[str], count: int, now: float, leases: dict[str, float]
    ) -> list[StoredQuestion]:
        """See KeptQuestions."""
        held = [leases[route] for route in routes]
        return [stored(row) for row in await self._rows(_CLAIM, by, routes, count, now, held)]

    async def release(self, item: str, by: str, now: float) -> None:
        """See KeptQuestions."""
        if not await self._rows(_RELEASE, plain(item), by, now):
            await self._held(item, by, now)

    async def _held(self, item: str, by: str, now: float) -> StoredQuestion:
        """The question that ``by`` has claimed. Raises NoSuchItem and NotYours."""
        rows = await self._rows(_ONE, plain(item))
        if not rows:
            raise NoSuchItem("there is no such question, or no more")
        row = rows[0]
        if row["state"] != "open":
            raise NotYours(f"this question is {row['state']} already")
        if row["holder"] != by or row["lease"] < now:
            raise NotYours(NOT_YOURS)
        return stored(row)

    async def answer(
        self, item: str, by: str, now: float, judge: Callable[[StoredQuestion], Opinion]
    ) -> StoredQuestion:
        """See KeptQuestions."""
        said = await asyncio.to_thread(judge, await self._held(item, by, now))
        moved = await self._rows(
            _ANSWER, item, by, now, said.text, said.body, said.overruled, book.PAIRS_MAX
        )
        if not moved:  # it has gone to somebody else meanwhile
            await self._held(item, by, now)
            raise NotYours(NOT_YOURS)
        return stored(moved[0])

    async def expire(self, now: float, most: int) -> list[StoredQuestion]:
        """See KeptQuestions."""
        return [stored(row) for row in await self._rows(_EXPIRE, now, most)]

    async def look(self, items: Sequence[str]) -> list[QuestionState]:
        """See KeptQuestions."""
        asked = [plain(item) for item in items]
        found = {row["id"]: row for row in await self._rows(_LOOK, asked)}
        return [
            (row["state"], row["body"] or b"", row["route"]) if (row := found.get(item))
            else ("unknown", b"", "") for item in asked
        ]  # fmt: skip

    async def outcomes(self, within_s: float) -> list[tuple[str, bytes]]:
        """What people answered within so many seconds, anywhere: the question, its body."""
        rows = await self._rows(_OUTCOMES, within_s, OUTCOMES_MAX)
        return [(row["id"], row["body"] or b"") for row in rows]

    async def untold(self, most: int) -> list[StoredQuestion]:
        """See KeptQuestions."""
        return [stored(row) for row in await self._rows(_UNTOLD, most)]

    async def unsent(self, most: int, but: Sequence[str]) -> list[StoredQuestion]:
        """See KeptQuestions."""
        return [stored(row) for row in await self._rows(_UNSENT, most, but)]

    async def done(self, what: str, items: Iterable[str]) -> None:
        """See KeptQuestions."""
        await self._rows(_DONE[what], list(items))

    async def prune(self, now: float, most: int) -> int:
        """See KeptQuestions."""
        found: int = (await self._rows(_PRUNE, now, most))[0]["count"]
        return found

    async def standing(self, now: float) -> dict[str, QueueStanding]:
        """See KeptQuestions."""
        return stand_of(
            await self._rows(_OPEN, now), await self._rows(_TALLIES), await self._rows(_AGREED)
        )

    async def close(self) -> None:
        """Let go of the connection; it is opened again by whoever asks."""
        async with self._turn:
            await self._link.close()
