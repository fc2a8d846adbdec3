"""Quotas on the wire: 429 with Retry-After, before any version, counted for the right client."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from router.core.wire.protection import QuotaEntry
from router.core.wire.table import StickyEntry, StickyKind
from router.proxy.quota import grouped
from tests.proxy.process import Process
from tests.proxy.rig import Rig, request, rollout, until
from tests.proxy.scripted import Scripted, answers, ok

HOUR_NS = 3_600 * 10**9
FIVE = QuotaEntry("x-key", HOUR_NS, 4 * HOUR_NS, 0)
"""Five at once, then one an hour."""
BY_ADDRESS = QuotaEntry("", HOUR_NS, 4 * HOUR_NS, 0)


def of(key, **fields):
    return request(headers=[f"X-Key: {key}"], body=b"{}", **fields)


async def test_more_than_the_quota_is_429_and_no_evidence():
    async with Scripted(answers(ok())) as one, Scripted(answers(ok())) as two:
        entry = rollout(one, two, 5_000, quota=FIVE)
        async with Rig(entry) as rig:
            got = [await rig.ask(of("a")) for _ in range(40)]
            assert [answer.status for answer in got] == [200] * 5 + [429] * 35
            refused = got[-1]
            assert 3_590 <= int(refused.headers[b"retry-after"]) <= 3_600
            said = json.loads(refused.body)
            assert (said["status"], said["cause"]) == (429, "quota")
            assert b"x-rampway-version" not in refused.headers
            assert (await rig.ask(of("b"))).status == 200, "another client has its own"
            delta = rig.count()
            assert len(one.requests) + len(two.requests) == 6
            assert sum(rig.outcomes.values()) == 6
            drawn = rig.arm("candidate")["arrived"] + rig.arm("stable")["arrived"]
            assert drawn == 6, "a refused request was drawn for nobody"
            assert [(r.route, r.quota_refused, r.quota_forgotten) for r in delta.routes] == [
                ("r", 35, 0)
            ]
            assert rig.rejected == {"quota": 35}


@pytest.mark.parametrize("by", ["x-key", ""])
async def test_a_large_quota_is_exact_within_a_fortieth_though_it_is_counted_ahead(by):
    large = QuotaEntry(by, HOUR_NS, 399 * HOUR_NS, 0)
    async with Scripted(answers(ok())) as one, Rig(rollout(one, one, 0, quota=large)) as rig:
        client = await rig.client()
        got = Counter()
        for _ in range(420):
            got[(await client.ask(of("a"))).status] += 1
            if got[429]:
                break
        assert got == {200: 400, 429: 1}, "of one worker: exactly"
        rig.apply(rollout(one, one, 1_000, quota=large))
        other = await rig.client()
        assert (await other.ask(of("a"))).status == 429, "another table, the same clients"
        assert set(rig.plane.quotas.paid.values()) == {0}
        other.close()
        client.close()


async def test_a_client_without_the_header_is_its_address():
    async with Scripted(answers(ok())) as one, Rig(rollout(one, one, 0, quota=FIVE)) as rig:
        got = [(await rig.ask(body=b"{}")).status for _ in range(6)]
        assert got == [200] * 5 + [429]
        assert (await rig.ask(of("127.0.0.1"))).status == 200, "a header is no address"


async def test_segments_and_workers_of_a_route_share_it_and_other_routes_do_not():
    async with Scripted(answers(ok())) as one:
        from router.core.wire.table import MatchEntry

        entries = [
            rollout(one, one, 0, name=name, match=MatchEntry(path=path), quota=FIVE)
            for name, path in (("r@de", "/de"), ("r", "/at"), ("s", "/s"))
        ]
        async with Rig(*entries) as rig:
            got = [(await rig.ask(of("a", path=p))).status for p in ("/de", "/at") * 3]
            assert got == [200] * 5 + [429]
            assert (await rig.ask(of("a", path="/s"))).status == 200


async def test_an_address_behind_a_trusted_proxy_is_the_one_it_vouches_for():
    async with Scripted(answers(ok())) as one:
        entry = rollout(one, one, 0, quota=BY_ADDRESS)

        def said(*hops):
            return request(headers=[f"X-Forwarded-For: {hop}" for hop in hops], body=b"{}")

        async with Rig(entry, trusted_proxies=("127.0.0.0/8", "10.0.0.0/8")) as rig:
            got = [(await rig.ask(said("1.2.3.4"))).status for _ in range(6)]
            assert got == [200] * 5 + [429]
            assert (await rig.ask(said("9.9.9.9, 1.2.3.4, 10.0.0.7"))).status == 429
            assert (await rig.ask(said("9.9.9.9", "1.2.3.4,10.0.0.7"))).status == 429
            assert (await rig.ask(said("1.2.3.4, 9.9.9.9"))).status == 200, "only the last counts"
        async with Rig(entry) as rig:
            got = [(await rig.ask(said(f"1.2.3.{n}"))).status for n in range(6)]
            assert got == [200] * 5 + [429], "nobody vouches for what a stranger says"


def test_addresses_as_one_client_has_them():
    assert grouped(b"10.1.2.3") == b"10.1.2.3"
    assert grouped(b"2001:db8::1") == grouped(b"2001:db8::ffff:1") != grouped(b"2001:db8:0:1::1")
    assert grouped(b"::ffff:10.1.2.3") == b"10.1.2.3"
    assert grouped(b"fe80::1%eth0") == grouped(b"fe80::2")
    assert grouped(b"no:address") == b"no:address"


async def test_where_the_choice_needs_the_body_it_is_asked_once():
    sticky = StickyEntry(StickyKind.BODY, "user")
    async with Scripted(answers(ok())) as one, Scripted(answers(ok())) as two:
        entry = rollout(one, two, 5_000, quota=FIVE, sticky=sticky, body_limit_bytes=1_000)
        async with Rig(entry) as rig:
            client = await rig.client()
            for number in range(5):
                head, body = of("a", chunked=True).split(b"\r\n\r\n", 1)
                await client.send(head + b"\r\n\r\n")
                await asyncio.sleep(0.01)
                assert (await client.ask(body)).status == 200, number
            client.close()
            assert (await rig.ask(of("a"))).status == 429


async def test_who_floods_is_slowed_and_then_served_on_the_same_connection():
    quota = QuotaEntry("x-key", 10**9 // 20, 0, 0)  # one each 50 ms
    async with Scripted(answers(ok())) as one:
        async with Rig(rollout(one, one, 0, quota=quota)) as rig:
            client = await rig.client()
            began = asyncio.get_running_loop().time()
            statuses = []
            while asyncio.get_running_loop().time() - began < 1.0:
                answer = await client.ask(of("a"))
                statuses.append(answer.status)
            assert len(statuses) < 60, "thousands, if refusals were given at once"
            assert statuses.count(200) >= 5
            client.close()
        async with Rig(rollout(one, one, 0, quota=quota), trusted_proxies=("127.0.0.0/8",)) as rig:
            client = await rig.client()
            for _ in range(100):
                await client.ask(of("a"))
                assert not rig.plane.resting, "it carries many clients"
            client.close()


async def test_pipelined_requests_wait_with_their_connection_and_closing_ends_it():
    async with Scripted(answers(ok())) as one, Rig(rollout(one, one, 0, quota=FIVE)) as rig:
        client = await rig.client()
        await client.send(of("a") * 12)
        got = [(await client.answer()).status for _ in range(12)]
        assert got == [200] * 5 + [429] * 7
        await client.send(of("a") * 3)
        client.close()
        await until(lambda: not rig.plane.resting and not rig.plane.connections)


async def test_a_worker_begins_without_an_area_and_makes_its_own():
    backend = Scripted(answers(ok()))
    async with backend as one, Process(rollout(one, one, 0, quota=FIVE)) as worker:
        got = [(await worker.ask(of("a"))).status for _ in range(7)]
        assert got == [200] * 5 + [429] * 2
