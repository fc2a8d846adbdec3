"""What every store does, over a file or a database: the same tests for each of them.

Whoever inherits has a fixture ``opened``: ``await opened()`` is a store over the same rows with
what it holds, not opened twice at once; and ``fresh``: one that nobody has opened.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from router.config.check import loads
from router.control.rollouts.reconciler import Reconciler
from router.control.state.answers import AnsweredOrder
from router.control.state.errors import StoreLocked
from router.control.state.evidence import TrialState
from router.control.state.record import Change, Identity, JournalEntry, Pinned, RouteRecord
from router.control.state.settings import SaltSetting, StoreSettings
from router.control.state.store import Fenced, Unwritable
from router.control.told.answers import FreezesView, FreezeView, JudgementView, OrderView
from router.core.policy import RolloutPolicy
from router.core.rollout.rollout import begin
from tests.clock import ManualClock

CARRIED_BY = RolloutPolicy.model_validate({
    "candidate": "v2", "strategy": {"canary": {"steps": [{"weight": "1%", "hold": "1h"}]}},
})  # fmt: skip

CHILD = Path(__file__).with_name("crash_child.py")


def record(revision=1, route="r"):
    rollout = begin(f"{route}-1", route, "v1", "v2", revision=revision, now=1.5)
    pinned = Pinned.of(CARRIED_BY, Identity("v2@x", "y"))
    return RouteRecord(route, "v1", "v1", revision, 1, rollout, pinned, ("v0@z",))


def entry(n=1, route="r"):
    return JournalEntry(
        100.0 + n, float(n), route, "r-1", n, "ann", "pause", "progressing", "paused", 1, 100,
        "because", JudgementView(capital=1.25),
    )  # fmt: skip


STATE = TrialState(
    about=("r-1", 1), revision=1, step=0, step_revision=1, samples=(3, 4), judge=[1.5, None],
    shadow={}, shares=(2.0, (("v3", 100),)),
)  # fmt: skip


SETTINGS = StoreSettings(
    salt=SaltSetting("00" * 16, frozenset({"route b", "route a"})),
    frozen=FreezesView(
        actor="ann", routes={"q": FreezeView(actor="bo", reason="", at=1.0, until=2.0)}
    ),
    acknowledged={"r": "r-1/1"}, monitors={"r": {"features": [1, 2.5]}},
)  # fmt: skip


def replace_judge(judge):
    return msgspec.structs.replace(STATE, judge=judge)


def answer(route):
    result = OrderView(
        route=route, command="pause", changed=True, revision=1, phase="paused", step=1,
        weight_bp=100, reason="so",
    )  # fmt: skip
    return AnsweredOrder(result, "x")


class StoreContract:
    """See the module."""

    async def test_what_is_committed_is_there_after_a_reopening(self, opened):
        store, stored = await opened()
        assert stored.records == {}
        change = Change(
            12.5, (record(3),), (entry(1), entry(2)), {"r": STATE}, SETTINGS,
            (("id-0", answer("q")), ("id-1", answer("r"))), (2**64 - 1, 7),
        )  # fmt: skip
        await store.commit(change)
        await store.close()
        again, stored = await opened()
        assert stored.clock == 12.5
        assert stored.records == {"r": record(3)}
        assert stored.evidence == {"r": STATE}
        assert stored.settings == SETTINGS
        assert await again.answer("id-0") == answer("q")
        assert await again.answer("id-1") == answer("r")
        assert stored.receipts == (2**64 - 1, 7)
        assert await again.answer("id-2") is None
        entries = await again.journal(None, since=0, until=None, limit=10)
        assert [e.id for e in entries] == [2, 1]
        assert entries[1] == replace(entry(1), id=1)
        assert [e.id for e in await again.journal("r", since=1, until=None, limit=10)] == [2]
        assert [e.id for e in await again.journal("r", since=0, until=101.5, limit=10)] == [1]
        assert await again.journal("other", since=0, until=None, limit=10) == []

    async def test_what_people_and_versions_write_comes_back(self, opened):
        """Texts of any kind, numbers of any size: what a store cannot have it marks."""
        store, _ = await opened()
        said = replace(
            entry(), reason="\u20ac \U0001f600 \\u0000 '%s' $1 ? {}", actor="a\ud800b",
            evidence=JudgementView(capital=0.1 + 0.2, line="\0" + "x" * 100_000),
        )  # fmt: skip
        odd = replace_judge({"half": "\udc00", "n": 2**60, "tiny": 5e-324})
        await store.commit(Change(0.1 + 0.2, (), (said,), {"r": odd}))
        (kept,) = await store.journal(None, since=0, until=None, limit=10)
        assert (kept.reason, kept.actor, kept.evidence) == (said.reason, "a?b", said.evidence)
        await store.close()
        _, stored = await opened()
        assert stored.clock == 0.1 + 0.2
        assert stored.evidence["r"].judge == {"half": "?", "n": 2**60, "tiny": 5e-324}

    async def test_an_older_revision_never_overwrites(self, opened):
        store, _ = await opened()
        await store.commit(Change(0, (record(5),)))
        with pytest.raises(Fenced, match="another router"):
            await store.commit(Change(1, (record(4),), (entry(),)))
        assert await store.journal(None, since=0, until=None, limit=10) == []
        await store.commit(Change(1, (record(6),)))

    async def test_a_second_router_is_kept_out_until_the_first_lets_go(self, opened, fresh):
        first, _ = await opened()
        with pytest.raises(StoreLocked, match=str(os.getpid())):
            await opened()
        second = fresh(5)
        opening = asyncio.create_task(second.open())
        async with asyncio.timeout(30):
            while not first.successor():
                await asyncio.sleep(0.01)
        await first.close()
        await opening
        assert not second.successor()
        await second.close()

    async def test_what_waits_is_written_and_one_that_cannot_be_fails_alone(self, opened):
        store, _ = await opened()
        waiting = [store.commit(Change(n, (record(n + 1),), (entry(n),))) for n in range(20)]
        broken = store.commit(Change(20, (), (replace(entry(20), reason=None),)))
        stale, fresh = (
            store.commit(Change(21, (record(3),))),
            store.commit(Change(22, (record(30),))),
        )
        found = await asyncio.gather(*waiting, broken, stale, fresh, return_exceptions=True)
        assert [type(one) for one in found] == [type(None)] * 20 + [Unwritable, Fenced, type(None)]
        entries = await store.journal(None, since=0, until=None, limit=100)
        assert [one.clock for one in entries] == [float(n) for n in reversed(range(20))]
        await store.close()
        _, stored = await opened()
        assert (stored.records["r"].revision, stored.clock) == (30, 22)

    @pytest.mark.parametrize(
        "more",
        [{"reason": None}, {"evidence": JudgementView(samples=object())}, {"revision": 2**70}],
    )
    async def test_what_no_disk_could_take_is_told_apart_from_a_broken_disk(self, opened, more):
        store, _ = await opened()
        with pytest.raises(Unwritable):
            await store.commit(Change(0, (), (replace(entry(), **more),)))
        await store.commit(Change(0, (record(1),), (entry(),)))

    async def test_a_closed_store_takes_nothing(self, opened):
        store, _ = await opened()
        await store.close()
        with pytest.raises(Exception, match="closed"):
            await store.commit(Change(0))


STEPS = ", ".join(f"{{weight: {percent}%, hold: 1h}}" for percent in range(1, 61))
"""More than a life each: kills that always come before the abort lead no rollout to its end."""

POLICY = f"""
routes:
  - name: r
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy:
        canary:
          steps: [{STEPS}]
          bake: 1h
"""


class Nobody:
    def publish(self, table):
        pass

    def moved(self, entry):
        pass

    def store_failed(self, error):
        raise error

    def store_works(self):
        pass


async def killed_again_and_again(folder, url, kills, opened):
    """R1: what a new process finds is what was last acknowledged, or the one being written.

    ``url``: of the store, as a policy has it; ``opened()``: a store over it.
    """
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    policy, said = folder / "policy.yaml", folder / "said"
    policy.write_text(POLICY)
    moved, last = 0, 0
    with subprocess.Popen(
        [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        for _ in range(kills):
            nursery.stdin.write(f"{url} {policy} {said}\n")
            nursery.stdin.flush()
            pid = int(nursery.stdout.readline())
            lines = said.read_text().count("\n") if said.exists() else 0
            deadline = time.monotonic() + 60
            while (said.read_text().count("\n") if said.exists() else 0) < lines + 1:
                assert time.monotonic() < deadline, "the child does nothing"
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.001)
            revision, phase, step, weight = said.read_text().splitlines()[-1].split()
            store = opened()
            stored = await store.open()
            reconciler = Reconciler(store, ManualClock(), Nobody(), Nobody())
            reconciler.resume(stored)
            reconciler.adopt(loads(POLICY).policy)
            run = reconciler.runs["r"]
            assert run.record.revision in (int(revision), int(revision) + 1)
            if run.record.revision == int(revision):
                assert (run.rollout.phase.value, run.rollout.step + 1) == (phase, int(step))
                served = run.entry.weights_bp[run.entry.candidate] if run.live else 0
                assert served == int(weight)
            if not run.live:
                assert run.entry.weights_bp == (10_000, 0)
            moved, last = moved + (int(revision) > last), int(revision)
            await store.close()
        nursery.stdin.close()
    assert moved == kills
