"""docs/life-of-a-request.md, walked: a request whose candidate fails and which stable answers."""

from __future__ import annotations

from router.core.wire.table import RescueEntry
from tests.proxy.rig import Rig, rollout
from tests.proxy.scripted import Scripted, answers, echo
from tests.walk import in_order, walked

FAILS = b"HTTP/1.1 500 Broken\r\nContent-Length: 2\r\n\r\nno"


async def test_the_page_tells_what_a_request_passes():
    rescue = RescueEntry(statuses=(5,))
    async with (
        Scripted(echo) as stable,
        Scripted(answers(FAILS)) as candidate,
        Rig(rollout(stable, candidate, 10_000, rescue=rescue)) as rig,
    ):
        with walked() as calls:
            answer = await rig.ask(body=b"mine")
        assert (answer.status, answer.body) == (200, b"mine"), "rescued by stable"
        in_order("life-of-a-request.md", calls)
