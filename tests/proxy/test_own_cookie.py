"""The sticky cookie is the router's alone: what a version sets under its name goes no further."""

from __future__ import annotations

import asyncio

import pytest

from router.core.wire.table import StickyEntry, StickyKind
from tests.proxy.rig import Rig, request, rollout
from tests.proxy.scripted import Scripted, answers, ok

STICKY = StickyEntry(StickyKind.COOKIE, "cohort", secret="0123456789abcdef")
HEADER = StickyEntry(StickyKind.HEADER, "cohort")


async def raw(rig):
    """One answer as it came, with what came before it."""
    client = await rig.client()
    await client.send(request(method="GET", headers=["Connection: close"]))
    async with asyncio.timeout(30):
        data = await client.reader.read(-1)
    client.close()
    return data


def cookies(data):
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"set-cookie")]


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        (b"Set-Cookie: cohort=x.9999999999.y; Path=/", False),
        (b"set-cookie: cohort =x", False),
        (b"Set-Cookie: =cohort=x", False),
        (b"Set-Cookie: cohort", False),
        (b"Set-Cookie: cohort2=x", True),
        (b"Set-Cookie: a=cohort=x", True),
        (b"Set-Cookie: Cohort=x", True),
    ],
)
async def test_a_version_cannot_set_it(line, passes):
    backend = answers(ok(b"hello", b"Set-Cookie: session=1", line, b"X-Other: 2"))
    async with (
        Scripted(backend) as stable,
        Scripted(backend) as candidate,
        Rig(rollout(stable, candidate, 5_000, sticky=STICKY)) as rig,
    ):
        for _ in range(20):  # until heads of this shape are read in one go
            data = await raw(rig)
            theirs = line.partition(b": ")[2]
            ours = [one for one in cookies(data) if one not in (theirs, b"session=1")]
            assert len(ours) == 1
            assert ours[0].startswith(b"cohort="), "the router's own"
            assert (theirs in cookies(data)) is passes
            assert b"session=1" in cookies(data)
            assert b"X-Other: 2" in data
            assert data.endswith(b"\r\n\r\nhello")
        rig.count()
        assert sum(one.own_cookies for one in rig.versions) == (0 if passes else 20)


async def test_nor_in_an_interim_answer():
    early = b"HTTP/1.1 103 Early Hints\r\nSet-Cookie: cohort=x\r\nLink: </a>\r\n\r\n"
    async with (
        Scripted(answers(early + ok())) as stable,
        Scripted(answers(early + ok())) as other,
        Rig(rollout(stable, other, 5_000, sticky=STICKY)) as rig,
    ):
        data = await raw(rig)
        assert data.startswith(b"HTTP/1.1 103")
        assert b"Link: </a>" in data
        assert b"cohort=x" not in data


async def test_without_a_sticky_cookie_the_name_is_free():
    backend = answers(ok(b"", b"Set-Cookie: cohort=x"))
    async with (
        Scripted(backend) as stable,
        Scripted(backend) as candidate,
        Rig(rollout(stable, candidate, 5_000, sticky=HEADER)) as rig,
    ):
        assert cookies(await raw(rig)) == [b"cohort=x"]
