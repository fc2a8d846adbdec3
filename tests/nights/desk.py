"""The review queue in a night: the file of its questions, people who answer, and what must hold.

Some nights have it (`policies.with_people`): clients are held, sent to look again or answered
provisionally; three people claim questions and answer them, give them back, forget them, and try
what is not theirs.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3

from router.control.reviews.book import _LAYOUT, KEEP_S
from router.control.state.errors import ControlError
from router.core.wire.review import SettledReview

PEOPLE = ("ann", "bob", "eve")
EVERY_S = 0.3
"""Each of them looks at the queue about so often."""
_NAMES = itertools.count()


class Desk:
    """All that is known of questions from outside the router."""

    def __init__(self, night):
        self.night = night
        self.uri = f"file:desk-{next(_NAMES)}?mode=memory&cache=shared"
        self.chance = random.Random(f"{night.seed}/people")
        self.promised = {}
        """Id -> who was told that it is kept."""
        self.claims = {}
        """Id -> (person, until when it is theirs)."""
        self.busy = {}
        """Person -> the router at which they are: they do one thing at a time."""
        self.said = {}
        """Id -> people whose answer was taken."""
        self.places = []
        """Where clients were told to look."""
        self.walls = [night.machine.wall()] * 2
        """The earliest and the latest time of day that people have seen."""
        self._kept = sqlite3.connect(self.uri, uri=True, isolation_level=None)
        self._kept.executescript(_LAYOUT)

    def close(self):
        self._kept.close()

    def fail(self, text):
        self.night.checks.fail("a question is lost, or given twice", text)

    # --- the file ---------------------------------------------------------------------------------

    def ask(self, text, *values):
        return self._kept.execute(text, values).fetchall()

    def state(self, item):
        """How a question stands in the file; empty: it is not there."""
        found = self.ask("SELECT state FROM items WHERE id = ?", item)
        return found[0][0] if found else ""

    # --- what workers and clients were told -------------------------------------------------------

    def follows(self, plane):
        """Each worker's question, until it is told what became of it; called with each control."""
        asked = plane.reviews.inbox.asked

        def followed(message, reply):
            def told(answer):
                for one in answer.settled:
                    self._settled(one)
                return reply(answer)

            asked(message, told)

        plane.reviews.inbox.asked = followed

    def _settled(self, one: SettledReview):
        if one.state == "kept" and not self.state(one.ref):
            self.fail(f"{one.ref} is said to be kept and is not in the file")
        if one.state == "kept":
            self.promised[one.ref] = "a worker"

    def answered(self, head):
        """What a client gets: where it is to look, if anywhere."""
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name in {b"Location", b"X-Rampway-Review-At"} and b"/rampway/reviews/" in value:
                item = value.rpartition(b"/")[2].decode()
                if not self.state(item):
                    self.fail(f"a client is sent to {item}, which is not in the file")
                self.promised[item] = "a client"
                self.places.append(item)

    def look_again(self):
        """The request of a client that looks; none: nobody was told to."""
        if not self.places or self.chance.random() < 0.8:
            return b""
        item = self.chance.choice(self.places[-9:])
        if self.chance.random() < 0.1:
            item = self.chance.choice(("nonsense", "0" * 32, item[:-1]))
        return b"GET /rampway/reviews/%b HTTP/1.1\r\nHost: h\r\n\r\n" % item.encode()

    # --- people -----------------------------------------------------------------------------------

    def begin(self):
        """They come to work."""
        for person in PEOPLE:
            self.night.world.call_later(0.8 + self.chance.random(), self._works, person)

    def _works(self, person):
        chance, night = self.chance, self.night
        now = night.machine.wall()
        self.walls = [min(self.walls[0], now), max(self.walls[1], now)]
        night.world.call_later(chance.expovariate(1 / EVERY_S), self._works, person)
        process = night.control()
        if process is not None and process.plane and self.busy.get(person) is not process:
            self.busy[person] = process
            process.create_task(self._one(process, person))

    async def _one(self, process, person):
        reviews = process.plane.reviews
        try:
            await self._claims(process, reviews, person)
            await self._wrongly(reviews, person)
            reviews.view()
            list(reviews.gauges())
        except ControlError:
            return
        except Exception as error:
            self.night.checks.fail("asking ends in an exception", f"reviews: {error!r}")
        finally:
            self.busy.pop(person, None)

    async def _claims(self, process, reviews, person):
        chance = self.chance
        route = chance.choice(("", "", "a", "b", "nowhere"))
        found = await reviews.claim(person, route, chance.choice((1, 2, 5)))
        for given in found:
            self._given(process, person, given)
        for given in found:
            kind = chance.random()
            if kind < 0.6:
                await self._answers(reviews, person, given)
            elif kind < 0.75:
                self.claims.pop(given.id, None)  # the router may be killed and have done it
                await reviews.release(person, given.id)

    def _given(self, process, person, given):
        lease_s = process.plane.reviews._policy(given.route)
        since = given.lease - (lease_s.lease if lease_s else 0.0)
        holder, until = self.claims.get(given.id, (person, 0.0))
        if holder != person and since < until:
            self.fail(f"{given.id} is {holder}'s until {until}, given to {person} at {since}")
        if person in self.said.get(given.id, ()):
            self.fail(f"{given.id} is given to {person}, who has answered it")
        if given.id not in self.promised and not self.state(given.id):
            self.fail(f"{given.id} is given and not in the file")
        self.claims[given.id] = (person, given.lease)

    async def _answers(self, reviews, person, given):
        rows = given.said or [None]
        words = [self.chance.choice(("yes", "no", True)) for _ in rows]
        self.claims.pop(given.id, None)
        for row in range(len(rows)):  # an audit's is the truth, and an answer beside the version's
            for fact in ("label", "answer"):
                self.night.checks.said(given.route.partition("@")[0], given.request_id, row, fact)
        told = await reviews.answer(person, given.id, words if len(words) > 1 else words[0])
        self.said.setdefault(given.id, []).append(person)
        if self.state(given.id) != told.state:
            self.fail(f"{given.id}: told {told.state}, the file has {self.state(given.id)!r}")

    async def _wrongly(self, reviews, person):
        """What is somebody else's, or nobody's."""
        theirs = self.ask("SELECT id FROM items WHERE holder IS NOT ? ORDER BY id", person)
        (item,) = self.chance.choice(theirs or [("nonsense",)])
        try:
            if self.chance.random() < 0.5:
                await reviews.answer(person, item, "yes")
            else:
                await reviews.release(person, item)
        except ControlError:
            return
        self.fail(f"{person} has answered or given back {item}, which is not theirs")

    # --- what must hold ---------------------------------------------------------------------------

    def unrest(self, plane):
        """What has not come to rest; empty when everything has."""
        reviews = plane.reviews
        inbox = reviews.inbox
        if inbox._waiting or inbox._adding or inbox._looks:
            return repr(reviews)
        if not reviews._wanted:
            return ""
        waits = self.ask("SELECT id FROM items WHERE state <> 'open' AND (told = 0 OR sent = 0)")
        return f"{len(waits)} outcomes are not told" if waits else ""

    def final(self):
        """Nothing is lost, and nobody has answered one question twice."""
        forgotten = self.walls[1] - self.walls[0] > KEEP_S / 2
        for item, told in self.promised.items():
            if not self.state(item) and not forgotten:
                self.fail(f"{item}, told to {told}, is gone")
        for item, people in self.said.items():
            booked = [name for (name,) in self.ask(
                "SELECT reviewer FROM answers WHERE item = ? ORDER BY nth", item
            )]  # fmt: skip
            if (not forgotten and not set(people) <= set(booked)) or len(set(booked)) < len(booked):
                self.fail(f"{item} was answered by {people}, the file has {booked}")
        counted = self.ask("SELECT total(decided) + total(expired) FROM tallies")[0][0]
        ended = self.ask("SELECT count(*) FROM items WHERE state <> 'open'")[0][0]
        if counted != ended and not forgotten:
            self.fail(f"{ended} questions have ended, {counted:g} are counted")


class OneThread:
    """The queue's thread: what it is given it does in turn."""

    def __init__(self, _most, **_):
        self.free_at = 0.0

    def shutdown(self, *, wait):
        pass


class DeskSqlite:
    """The module ``sqlite3`` as the queue sees it."""

    def __init__(self, night):
        self._night = night

    def __getattr__(self, name):
        return getattr(sqlite3, name)

    def connect(self, _path, **_options):
        return DeskConnection(self._night())


class DeskConnection:
    """One router's connection; the disk is the store's, with its faults."""

    def __init__(self, night):
        self._night, self._process = night, night.machine.current
        db = self._db = sqlite3.connect(night.desk.uri, uri=True, isolation_level=None)
        self._process.held.append(self)
        self.execute, self.executescript, self.close = db.execute, db.executescript, db.close

    def __setattr__(self, name, value):
        if name == "row_factory":
            self._db.row_factory = value
        else:
            super().__setattr__(name, value)

    def executemany(self, statement, values):
        if not self._db.in_transaction:
            self._db.execute("BEGIN")
        return self._db.executemany(statement, values)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not self._db.in_transaction:
            return
        disk = self._night.disk
        failure = disk.failure() if kind is None else None
        if kind is not None or failure is not None:
            self._db.execute("ROLLBACK")
        elif not self._process.alive:
            raise sqlite3.OperationalError("the process is gone")
        else:
            self._db.execute("COMMIT")
        if failure is not None:
            raise sqlite3.OperationalError(str(failure))

    def ended(self, _process):
        """What was not committed is gone."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
