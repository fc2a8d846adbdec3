"""Five rounds of faults over three routers; ``python -m tests.fleet.rounds`` makes a hundred."""

from __future__ import annotations

import random

import pytest

from tests.fleet.replicas import networked
from tests.fleet.rounds import Rounds

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(290)]

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")


async def test_five_rounds(tmp_path):
    seed = random.randrange(10_000)
    print(f"seed {seed}")
    with networked(tmp_path) as three:
        done = [name async for _, name, _ in Rounds(three, seed).run(5)]
    assert len(done) == 5
