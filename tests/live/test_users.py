"""Policy, real bytes, decision: a candidate that turns bad when every user of the route is known.

Nobody is new then, so users count anew at the alarm, and their failures take it back.
"""

import asyncio

import pytest

from tests.cli.conftest import rampway
from tests.live.kit import Clients, Lab, route

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("users")]

CANARY = "{canary: {steps: [{weight: 25%, hold: 1h}]}}"
USERS = 40
ENOUGH = 4_000
"""Requests after which nobody is among their first 50 but the rarest users."""


async def test_it_is_taken_back_by_users_who_were_all_met_before(tmp_path):
    async with Lab(tmp_path) as lab:
        sticky = "sticky: {header: X-User-Id}"
        lab.write(route(CANARY, head=sticky, gates="[error_rate]"), "workers: 1\n")
        await lab.start()
        async with Clients(lab.port, per_s=400, users=USERS) as clients:
            while sum(clients.answers.values()) < ENOUGH:
                await asyncio.sleep(0.05)
            assert (await lab.status("r"))["phase"] == "progressing"
            lab.versions["v2"].bad = 1.0
            back = await lab.until("rolled_back")
        assert "of each user the first" in back["reason"]
        assert "since they count anew" in back["reason"]
        told = rampway("history", "r", "--admin", lab.lives[-1].admin)
        assert "all users count anew" in told.out
