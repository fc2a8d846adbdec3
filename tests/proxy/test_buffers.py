"""The total of bodies that a worker keeps: beyond it nothing is kept, or nothing accepted."""

from __future__ import annotations

from dataclasses import replace

from router.core.wire.table import StickyEntry, StickyKind
from tests.proxy.rig import LIMITS, RESCUE, Rig, rollout, route, until, version
from tests.proxy.scripted import Scripted, echo, resets

TIGHT = replace(LIMITS, buffers_bytes=100_000, body_timeout_s=5.0)
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 80010\r\n\r\n"
USER = b'{"u": "x"' + b" " * 80_000 + b"}"


async def test_a_choice_by_the_body_is_refused_when_the_worker_keeps_too_much():
    async with Scripted(echo) as site:
        sticky = StickyEntry(StickyKind.BODY, "u")
        entry = route(version("v1", site), sticky=sticky, buffer_bytes=200_000)
        async with Rig(entry, limits=TIGHT) as rig:
            first, second = await rig.client(), await rig.client()
            await first.send(HEAD)
            await until(lambda: len(rig.plane.exchanges) == 1)
            await first.send(USER[:70_000])
            await until(lambda: rig.plane.kept.bytes == 70_000)
            await second.send(HEAD)
            await until(lambda: len(rig.plane.exchanges) == 2)
            await second.send(USER[:70_000])
            assert (await second.answer()).status == 503
            await until(lambda: rig.plane.kept.bytes == 70_000)
            await first.send(USER[70_000:])
            assert (await first.answer()).status == 200
            await rig.settled()
            assert rig.plane.kept.bytes == 0
            rig.count()
            assert rig.rejected == {"overload": 1}
            first.close()
            second.close()


async def test_what_is_kept_for_a_rescue_is_let_go_when_the_worker_keeps_too_much():
    async with Scripted(echo) as stable, Scripted(resets) as bad:
        kept = replace(RESCUE, buffer_bytes=200_000)
        for most, status in ((100_000, 502), (200_000, 200)):
            limits = replace(TIGHT, buffers_bytes=most)
            async with Rig(rollout(stable, bad, 10_000, rescue=kept), limits=limits) as rig:
                client = await rig.client()
                await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 120000\r\n\r\n")
                await until(lambda rig=rig: bool(rig.plane.exchanges))
                await client.send(bytes(120_000))
                assert (await client.answer()).status == status
                await rig.settled()
                assert rig.plane.kept.bytes == 0
                client.close()
