"""Questions for people at several routers: asked at any, answered through any, some are killed."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections import Counter, defaultdict

import pytest

from tests.fleet.replicas import Member, Routers, ended, leads
from tests.log.conftest import service
from tests.people.conftest import ANSWER, POLICY, Office, doubting
from tests.ports import free_port
from tests.reliability.whole import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

PEOPLE = ("ann", "bob", "root")
TOKENS = {name: f"{name}-token-of-these-tests" for name in PEOPLE}
GONE = (OSError, http.client.HTTPException, KeyError, TypeError, ValueError)
"""What somebody meets whose router was killed."""


class Patient(Office):
    """Who asks again while no router leads: on a busy machine a lease may run out."""

    def api(self, *about):
        while (said := super().api(*about))[0] == 503:
            time.sleep(0.05)
        return said


class Desk(Member):
    """One of the routers, with a model that doubts and people who are asked."""

    token = TOKENS["root"]

    def __init__(self, *about, review, **more):
        self.review = review
        super().__init__(*about, **more)

    def write(self):
        (model,) = self.services
        text = POLICY.format(
            folder=self.folder, model=f"http://127.0.0.1:{model.server_address[1]}", rollout="",
            review=self.review, stable="model", versions="", port=free_port(), admin=0,
        )  # fmt: skip
        self.file.write_text(text.replace(f"sqlite:///{self.folder}/r.db", self.url))

    @property
    def office(self):
        self.life.host = "127.0.0.1"
        return Patient(self.life, self.file, TOKENS)


class Desks(Routers):
    makes = Desk

    @property
    def offices(self):
        """Of those that live and have said where, whoever leads last."""
        alive = [
            member for member in self.members
            if not ended(member.life) and hasattr(member.life, "admin")
        ]  # fmt: skip
        return [member.office for member in sorted(alive, key=lambda one: leads(one.life))]


@pytest.fixture
def desks(tmp_path, url):
    made = []

    def build(review):
        model = service(doubting)
        made.append((Desks(tmp_path, [model], url, review=review), model))
        return made[-1][0].start()

    yield build
    for three, model in made:
        three.end()
        model.shutdown()


def test_a_client_at_any_router_gets_what_people_answer_through_any(desks):
    three = desks(f"{{below: 90%, deadline: 30s, answer: {ANSWER}}}")
    offices = three.offices
    for asked, answered, said in zip(
        offices, (offices[1], offices[2], offices[0]), (True, False, True), strict=True
    ):
        waits = asked.later(f"r{said}", 600)
        item = answered.one("ann")
        assert answered.answer("ann", item, said)[0] == 200
        status, body, headers = waits()
        assert (status, headers["X-Rampway-Review"]) == (200, "decided")
        assert body == {"predictions": [{"late": said}]}
    for one in offices:
        assert one.look(f"/rampway/reviews/{item['id']}")[:2] == (200, body)
        assert one.look("/rampway/reviews/" + "0" * 32)[0] == 404


def test_a_client_that_waits_hears_what_people_say_though_the_leader_is_killed(desks):
    three = desks(f"{{below: 90%, deadline: 30s, answer: {ANSWER}}}")
    follower = three.offices[0]
    waits = follower.later("r", 600)
    item = three.offices[-1].one("ann")
    old = three.leader
    old.life.kill()
    until(lambda: any(leads(m.life) for m in three.members if m is not old), 20)
    until(lambda: three.offices[-1].answer("ann", item, False)[0] == 200, 20, "her answer")
    status, body, headers = waits()
    assert (status, headers["X-Rampway-Review"]) == (200, "decided")
    assert body == {"predictions": [{"late": False}]}


def test_when_the_queue_is_full_it_is_full_at_every_router(desks):
    three = desks("{below: 90%, deadline: 0s, open: 2}")
    first, second, third = three.offices
    assert [one.ask("r", 600)[0] for one in (first, second, third)] == [202, 202, 503]
    third.answer("ann", third.one("ann"), True)
    assert [one.ask("r", 600)[0] for one in (third, second, first)] == [202, 503, 503]


def asks(one, name, number, places):
    """Ask ``number`` unsure questions; the places of those that were answered 202."""
    link = one.link()
    for n in range(number):
        try:
            status, _, headers = one.ask(f"{name}{n}", 600, link)
            if status == 202:
                places.append(headers["Location"])
        except GONE:
            link = one.link()


def works(three, who, over, given, answered):
    """Claim and answer, through whichever router is there, until it is over."""
    while not over.is_set():
        for one in three.offices:
            with contextlib.suppress(*GONE, AssertionError):
                for item in one.claim(who, 20):
                    given[item["id"]].add(who)
                    if one.answer(who, item, True)[0] == 200:
                        answered[item["id"]] += 1


def killed(three):
    """The leader, by kill -9; a supervisor starts it again, and another one leads."""
    old = three.leader
    old.life.kill()
    until(lambda: any(leads(m.life) for m in three.members if m is not old), 60)
    old.start()
    until(three.together, 60, "all on one generation")


def test_leaders_that_are_killed_lose_no_question_and_none_is_answered_twice(desks, server, url):
    three = desks("{below: 90%, deadline: 0s, lease: 1h, within: 10h}")
    places, given, answered, over = [], defaultdict(set), Counter(), threading.Event()
    clients = [
        threading.Thread(target=asks, args=(one, f"c{n}-", 400, places))
        for n, one in enumerate(three.offices)
    ]
    for thread in clients:
        thread.start()
    until(lambda: len(places) > 100, 60)
    killed(three)
    people = [
        threading.Thread(target=works, args=(three, who, over, given, answered)) for who in PEOPLE
    ]
    for thread in people:
        thread.start()
    until(lambda: sum(answered.values()) > 100, 60)
    killed(three)
    for thread in clients:
        thread.join()
    schema = url.rpartition("%3D")[2]
    waiting = f"SELECT count(*) FROM {schema}.rampway_reviews WHERE state = 'open'"
    try:
        until(lambda: server.sql(waiting).strip() == "0", 90, "an end of the questions")
    finally:
        over.set()
        for thread in people:
            thread.join()
    rows = server.sql(f"SELECT id, state, given FROM {schema}.rampway_reviews").splitlines()
    kept = {row.split("|")[0]: row.split("|")[1:] for row in rows}
    print(f"{len(places)} were told that they are asked, {len(kept)} are kept")
    assert len(places) == len(set(places)) > 500
    assert {place.rpartition("/")[2] for place in places} <= kept.keys(), "lost"
    assert all(told == ["decided", "1"] for told in kept.values())
    assert max(map(len, given.values())) == 1, "given to two"
    assert max(answered.values()) == 1
    tallied = f"SELECT sum(decided) FROM {schema}.rampway_review_tallies"
    assert int(server.sql(tallied)) == len(kept)
    for n, place in enumerate(places[::40]):
        one = three.offices[n % 3]
        until(lambda one=one, place=place: one.look(place)[0] == 200, 20, place)
