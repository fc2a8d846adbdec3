"""Rounds of faults over three routers under load; after each it is asked whether all still holds.

python -m tests.fleet.rounds --rounds 100 [--seed 7]

In each round one thing goes wrong, and in every second one the candidate is taken back meanwhile.
Then: no request was lost at a router that lived; the position is what was ordered last; who was
taken back gets nothing, at any router; terms in the journal never fall. Who leads, and what was
taken back, is what the database says: a router that another one has followed may not know it for
half a second. A way back that the database did not have (``durable: false``) is asked for again
where another router leads afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import tempfile
import time
from pathlib import Path

from tests import programs
from tests.fleet.replicas import (
    comes_to,
    ended,
    leads,
    led_by,
    lost,
    networked,
    none_gets,
    under_load,
    written_by_one,
    written_phase,
)
from tests.reliability.whole import in_thread, until

PAUSED_S = 10.0
FROZEN_S = 3.0
CUT_S = 4.0
MOVE_S = 0.004
"""An order is on its way for up to so long when its router is paused."""


class Rounds:
    """Three routers, and what has been ordered of them."""

    def __init__(self, three, seed):
        self.three = three
        self.random = random.Random(seed)
        self.deck = []
        self.durable = True
        """Whether the last way back was said to be in the database."""
        self.faults = {
            "killed leader": self.killed, "server stops": self.stopped,
            "server ends at once": self.stopped_at_once, "frozen server": self.frozen,
            "paused leader": self.paused, "paused in a move": self.paused_in_a_move,
            "leader cut off": self.leader_cut, "follower cut off": self.follower_cut,
            "all cut off": self.all_cut,
        }  # fmt: skip

    async def run(self, count):
        """That many rounds; what went wrong in each, and how long it took."""
        async with under_load(self.three) as self.loads:
            for number in range(count):
                if not self.deck:
                    self.deck = self.random.sample(sorted(self.faults), len(self.faults))
                name, began = self.deck.pop(), time.monotonic()
                back = self.random.random() < 0.5
                try:
                    await self.round(name, back=back)
                    written_by_one(self.three.server)
                    assert lost(self.loads) == []
                except (AssertionError, TimeoutError, OSError) as error:
                    error.add_note(f"round {number + 1}: {name}, taken back: {back}")
                    raise
                yield number, f"{name}{', taken back' if back else ''}", time.monotonic() - began

    async def round(self, name, *, back):
        await in_thread(until, self.settled, 60, "one leads")
        place = await in_thread(self.three.leader.life.position)
        moved = await self.faults[name](back)
        await in_thread(until, self.settled, 60, name)
        if back:
            if not moved:
                await self.back(self.three.leader)
            await self.is_written()
            await none_gets(self.loads, "v2", 40)
            assert (await in_thread(self.three.leader.life.status))["phase"] == "rolled_back"
            await in_thread(until, self.store_works)
            await self.order("retry", force=True)
            await in_thread(until, self.settled)
        elif not moved:
            assert await in_thread(self.three.leader.life.position) == place, "no weight is lost"
        await in_thread(self.three.leader.life.position)
        await comes_to(self.loads, 1)

    def settled(self):
        """Whether one leads, by the database's word and its own, and all follow it."""
        leading = [member for member in self.three.members if self.leading(member)]
        return leading == [led_by(self.three)] and self.three.together()

    async def is_written(self):
        """The database has the way back; who leads and does not know of it is asked again."""
        async with asyncio.timeout(60):
            while await in_thread(written_phase, self.three) != "rolled_back":
                assert not self.durable, "what was said to be written is not there"
                await in_thread(until, self.settled)
                leader = self.three.leader
                if (await in_thread(leader.life.status))["phase"] != "rolled_back":
                    await self.back(leader)
        await in_thread(until, self.settled)

    def store_works(self):
        return not any(one.startswith("store:") for one in self.three.health()["problems"])

    async def order(self, command, **fields):
        await in_thread(self.three.leader.life.order, command, **fields)

    async def back(self, leader):
        said = await in_thread(leader.life.order, "rollback", reason="bad")
        self.durable = said["durable"]

    async def taken_back(self, back):
        """While something is wrong, by who leads then; whether there was anybody."""
        if back:
            await in_thread(until, lambda: any(map(self.leading, self.three.members)))
            await self.back(self.three.leader)
        return back

    def leading(self, member):
        return not ended(member.life) and leads(member.life)

    async def another_leads(self, old):
        others = [m for m in self.three.members if m is not old]
        await in_thread(until, lambda: any(map(self.leading, others)))
        return next(m for m in others if self.leading(m))

    # --- what goes wrong --------------------------------------------------------------------------

    async def killed(self, back):
        old = self.three.leader
        old.life.kill()
        new = await self.another_leads(old)
        if back:
            await self.back(new)
        await in_thread(old.start)
        return back

    async def stopped(self, back, how=signal.SIGINT):
        await in_thread(self.three.server.stop, how)
        moved = await self.taken_back(back)
        await asyncio.sleep(self.random.uniform(0.0, 2.0))
        await in_thread(self.start_server)
        return moved

    def start_server(self):
        with self.three.hub:
            self.three.server.start()

    async def stopped_at_once(self, back):
        return await self.stopped(back, signal.SIGQUIT)

    async def frozen(self, back):
        server = self.three.server
        pids = [int(p) for p in server.sql("SELECT pid FROM pg_stat_activity").split()]
        pids.append(server.process.pid)
        each(pids, signal.SIGSTOP)
        try:
            moved = await self.taken_back(back)
            await asyncio.sleep(self.random.uniform(0.5, FROZEN_S))
        finally:
            each(pids, signal.SIGCONT)
        return moved

    async def paused(self, back):
        old = self.three.leader
        os.kill(old.life.process.pid, signal.SIGSTOP)
        try:
            began, new = time.monotonic(), await self.another_leads(old)
            if back:
                await self.back(new)
            await asyncio.sleep(max(began + PAUSED_S - time.monotonic(), 0.0))
        finally:
            os.kill(old.life.process.pid, signal.SIGCONT)
        await in_thread(until, lambda: not leads(old.life))
        return back

    async def paused_in_a_move(self, back):
        """It was written or not, and either is right; who leads then decides what holds."""
        old = self.three.leader
        pid = old.life.process.pid
        order = asyncio.create_task(in_thread(old.life.api, PROMOTE, "POST", {}))
        await asyncio.sleep(self.random.uniform(0.0, MOVE_S))
        os.kill(pid, signal.SIGSTOP)
        try:
            new = await self.another_leads(old)
            if back:
                await self.back(new)
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.gather(order, return_exceptions=True)
        await in_thread(until, lambda: not leads(old.life))
        return True

    async def cut(self, members, back):
        how, was = self.random.choice(["down", "lost"]), self.three.leader
        for member in members:
            await in_thread(member.within.cut, how)
        connected = [m for m in self.three.members if m not in members]
        leader = await self.another_leads(was) if connected and was in members else was
        moved = back and self.leading(leader)  # else it heard of a later one before it was cut off
        if moved:
            await self.back(leader)
        await asyncio.sleep(self.random.uniform(0.5, CUT_S))
        for member in members:
            await in_thread(member.within.mend)
        if leader is not was:
            await in_thread(until, lambda: not leads(was.life))
        return moved

    async def leader_cut(self, back):
        return await self.cut([self.three.leader], back)

    async def follower_cut(self, back):
        leader = self.three.leader
        return await self.cut([next(m for m in self.three.members if m is not leader)], back)

    async def all_cut(self, back):
        return await self.cut(self.three.members, back)


PROMOTE = "/api/v1/rollouts/flights/promote"


def each(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


async def told(three, seed, count):
    async for number, name, took_s in Rounds(three, seed).run(count):
        print(f"{number + 1:4} {took_s:5.1f} s  {name}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, networked(Path(folder)) as three:
        asyncio.run(told(three, asked.seed, asked.rounds))
    print(f"{asked.rounds} rounds, 0 violations, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    programs.run(main)
