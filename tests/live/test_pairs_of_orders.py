"""All pairs of orders while the disk is busy, on a real router: each is answered, the last holds.

Another writer has the store's lock, so that no write ends between the two orders, as if both came
within one fsync. Then the lock is let go, and later the router is killed: what it said holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3

import pytest

from tests.live.kit import Lab, route

pytestmark = pytest.mark.live

ORDERS = {
    "promote": ("promote", {}), "full": ("promote", {"full": True}), "pause": ("pause", {}),
    "resume": ("resume", {}), "abort": ("abort", {}), "rollback": ("rollback", {}),
    "retry": ("retry", {"force": True}), "weight": ("set-weight", {"weight": "30%", "for": "1h"}),
    "freeze": ("freeze", {"frozen": True}), "thaw": ("freeze", {"frozen": False}),
}  # fmt: skip
STARTS = {
    "progressing": (), "awaiting": ("promote",), "baking": ("full",), "rolled back": ("rollback",),
}  # fmt: skip
"""The others, in virtual time: tests/control/rollouts/test_pairs_of_orders.py."""
STEPS = "[{weight: 5%, hold: 1h}, {weight: 20%, approval: {}}]"
MORE = "anti_flap: {backoff: 0s, per_day: 100}"
TOLD = {200, 409, 412}
"""Done (or so already), not possible, moved meanwhile: answers. 503, 504 and 507 would be none."""
WITHOUT_A_DISK = {"abort", "rollback"}


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path) as made:
        yield made


async def ordered(lab, name, order):
    verb, fields = ORDERS[order]
    if verb == "freeze":
        return await lab.post("/api/v1/freeze", {"route": name, "reason": order, **fields})
    return await lab.order(name, verb, **fields)


@contextlib.contextmanager
def busy(lab):
    """Nobody else writes the store."""
    with contextlib.closing(sqlite3.connect(lab.folder / "r.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


async def pair(lab, name, first, second):
    """Both answers, of orders that were on their way before the disk took the first."""
    with busy(lab):
        one = asyncio.create_task(ordered(lab, name, first))
        await asyncio.sleep(0.01)  # so they are on their way in this order, mostly
        two = asyncio.create_task(ordered(lab, name, second))
        await asyncio.sleep(0.02)
        if second in WITHOUT_A_DISK:
            await lab.until(lambda s: not s["weight_bp"], route=name)
    return await one, await two


@pytest.mark.timeout(600)  # a hundred pairs, each of which waits for the disk
@pytest.mark.parametrize("start", STARTS)
async def test_each_of_a_pair_is_answered(lab, start):
    pairs = list(itertools.product(ORDERS, ORDERS))
    names = [f"r{number:03}" for number in range(len(pairs))]
    strategy = f"{{canary: {{steps: {STEPS}, bake: 1h}}}}"
    lab.write("".join(route(strategy, name=name, more=MORE) for name in names))
    await lab.start()
    left = {}
    for name, (first, second) in zip(names, pairs, strict=True):
        await lab.until(lambda s: s["weight_bp"] > 0, route=name)
        for order in STARTS[start]:
            assert (await ordered(lab, name, order))[0] == 200, (start, order)
        answers = await pair(lab, name, first, second)
        told = (start, first, second, answers)
        assert {status for status, _ in answers} <= TOLD, told
        left[name] = await lab.until(lambda s: not s["writing"], route=name)
        changed = [body for status, body in answers if status == 200 and body.get("changed")]
        if changed:
            last = max(changed, key=lambda body: body["revision"])
            assert left[name]["phase"] == last["phase"], told
            assert left[name]["revision"] >= last["revision"], told
            assert last["durable"], told
    await lab.kill()
    for name, before in left.items():
        after = await lab.status(name)
        assert (after["phase"], after["step"]) == (before["phase"], before["step"]), name
