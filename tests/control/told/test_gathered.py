"""Something of every route at one moment, though the loop is let go while it is put together."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import SimpleNamespace

from router.control.told.gathered import PASSES_MAX, gathered


def run_of(name, revision=1):
    return SimpleNamespace(
        route=SimpleNamespace(name=name), record=SimpleNamespace(revision=revision)
    )


def told(run):
    return run.record.revision


async def test_what_moved_meanwhile_is_told_again_and_no_turn_tells_more_than_its_part():
    runs = {f"r{n}": run_of(f"r{n}") for n in range(10)}
    asked, turns = [], []

    def seen(run):
        asked.append(run.route.name)
        return told(run)

    async def others():
        """A group of three rollouts moves in one turn, in the middle; a route goes, one comes."""
        while len(asked) < 4:
            turns.append(len(asked))
            await asyncio.sleep(0)
        for name in ("r0", "r1", "r9"):
            runs[name].record.revision = 2
        del runs["r5"]
        runs["new"] = run_of("new")

    moving = asyncio.create_task(others())
    found = await gathered(lambda: runs, seen, 2)
    await moving
    assert found == {name: one.record.revision for name, one in runs.items()}
    assert list(found) == list(runs)
    assert (asked.count("r0"), asked.count("r3")) == (2, 1)
    assert all(after - before in (0, 2) for before, after in pairwise(turns)), turns
    assert len(set(turns)) > 1, "the loop was let go between parts"


async def test_rollouts_that_move_all_the_time_are_told_all_the_same():
    runs = {"r": run_of("r")}

    def moves(run):
        run.record.revision += 1
        return run.record.revision

    assert await gathered(lambda: runs, moves, 1) == {"r": PASSES_MAX + 1}
