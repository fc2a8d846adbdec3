"""Requests that wait for a person: taken, never sent anywhere."""

from __future__ import annotations

import asyncio
import json

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import VersionEntry
from router.upstream.desk import Desk
from router.upstream.pool import Pool
from router.upstream.pools import Pools, pool_class
from router.upstream.waiter import Unavailable

ENTRY = VersionEntry("desk", (), person=True, in_flight=2)


class Asked:
    def __init__(self):
        self.got = []

    def on_response(self, head, body, complete):
        self.got.append((head.status, body, complete))


class Head:
    method = b"POST"


async def test_it_answers_when_the_request_is_whole():
    desk, asked = Desk(ENTRY, connect_s=1.0), Asked()
    one = desk.acquire(asked)
    one.start(asked, Head(), b"{", False, None, b"id-1")
    await asyncio.sleep(0)
    assert (asked.got, desk.in_flight) == ([], 1)
    one.write(b"}", last=True)
    one.pause_reading()
    one.resume_reading()
    await asyncio.sleep(0)
    ((status, body, complete),) = asked.got
    assert (status, json.loads(body), complete) == (202, {"request_id": "id-1"}, True)
    assert desk.in_flight == 0


async def test_who_leaves_is_answered_nothing_and_the_desk_is_bounded():
    desk, asked = Desk(ENTRY, connect_s=1.0), Asked()
    one, _other = desk.acquire(asked), desk.acquire(asked)
    with pytest.raises(Unavailable):
        desk.acquire(asked)
    one.start(asked, Head(), b"", True, None, b"id-1")
    one.abandon()
    await asyncio.sleep(0)
    assert (asked.got, desk.in_flight) == ([], 1)


async def test_a_person_with_a_system_of_their_own_has_a_pool():
    there = VersionEntry("desk", (EndpointEntry("127.0.0.1", 9),), person=True)
    assert (pool_class(ENTRY), pool_class(there)) == (Desk, Pool)
    pools = Pools()
    first = pools.live("r", ENTRY, connect_s=1.0)
    assert pools.live("r", ENTRY, connect_s=1.0) is first
    assert type(pools.live("r", there, connect_s=1.0)) is Pool
    assert type(pools.live("r", ENTRY, connect_s=1.0)) is Desk
    pools.close()
