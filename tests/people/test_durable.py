"""10,000 open questions, and a kill -9 while they come and while they are claimed."""

import http.client
import resource
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.reliability.whole import Router, until

pytestmark = [pytest.mark.people, pytest.mark.xdist_group("people")]

ASKED = 10_000
CLIENTS = 16
GIVEN_MAX = 100


def _fill(one, first, number, kept):
    """Ask ``number`` unsure questions; those that were answered 202 are in ``kept``."""

    def client(part):
        link = one.link()
        for n in part:
            try:
                if one.ask(f"q{n}", 600, link)[0] == 202:
                    kept.append(f"q{n}")
            except (OSError, http.client.HTTPException):
                link = one.link()

    parts = [range(first + i, first + number, CLIENTS) for i in range(CLIENTS)]
    threads = [threading.Thread(target=client, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    return threads


def _claim(one, who, given, answered):
    """Claim all there is; answer the half of it, keep the rest."""
    try:
        while items := one.api(who, "/api/v1/reviews/claim", {"count": GIVEN_MAX})[1]["items"]:
            fresh = [item for item in items if item["request_id"] not in given[who]]
            given[who].update(item["request_id"] for item in items)
            if not fresh:
                return
            for item in items:
                if one.answer(who, item, True)[0] == 200:
                    answered[who].add(item["request_id"])
    except (OSError, KeyError, TypeError, ValueError):
        return  # the router was killed


def _open(one):
    """How many questions the disk has: pages are told of them a moment later."""
    with closing(sqlite3.connect(f"file:{one.router.folder}/r.db.reviews?mode=ro", uri=True)) as db:
        return db.execute("SELECT count(*) FROM items WHERE state = 'open'").fetchone()[0]


def _reborn(one):
    one.router = Router(one.router.folder, one.policy).serving()


def test_none_lost_and_none_claimed_twice(office):
    review = "{deadline: 0s, open: 20000, lease: 1h, within: 10h}"
    one = office(review, stable="desk")
    kept = []
    threads = _fill(one, 0, ASKED // 2, kept)
    until(lambda: len(kept) > ASKED // 8, 60)
    one.router.kill()
    for thread in threads:
        thread.join()
    before = len(kept)
    print(f"{before} of {ASKED // 2} were taken, with a kill -9 among them")
    _reborn(one)
    for thread in _fill(one, ASKED // 2, ASKED - before, kept):
        thread.join()
    assert len(kept) == len(set(kept)) == ASKED
    extra = _open(one) - ASKED  # kept, and killed before its client heard of it
    print(f"{extra} more were on the disk before their clients heard of it")
    assert extra <= 2 * CLIENTS

    people = ("ann", "bob", "root")
    given = {who: set() for who in people}
    answered = {who: set() for who in people}
    threads = [threading.Thread(target=_claim, args=(one, who, given, answered)) for who in people]
    for thread in threads:
        thread.start()
    until(lambda: sum(map(len, answered.values())) > 300, 60)
    one.router.kill()
    for thread in threads:
        thread.join()
    told = Counter(one for who in people for one in given[who])
    assert max(told.values()) == 1, "claimed twice before the kill"
    done = set().union(*answered.values())
    print(f"{len(told)} were claimed and {len(done)} answered when it was killed")
    _reborn(one)
    # Whoever held some holds them still: others get others, to the last one.
    for who in people:
        held = {item["request_id"] for item in one.claim(who, GIVEN_MAX)}
        assert not any(held & given[other] for other in people if other != who)
        assert held.isdisjoint(done), "what was answered is over"
    fits = ASKED + extra - len(done)
    left = _open(one)
    assert fits - len(people) <= left <= fits, "an answer under way each, at most"
    pid = one.router.process.pid
    used = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    print(f"the control process uses {used / 2**20:.0f} MiB with {left} open")
    assert used < 400 * 2**20
