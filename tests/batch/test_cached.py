"""A cache in a live router: nothing of a version that was taken back, and it is taken back."""

import asyncio
import itertools
import json
from collections import Counter

import pytest

from tests.batch.models import Model, ask
from tests.live.kit import Lab

pytestmark = [pytest.mark.batch, pytest.mark.xdist_group("cached")]

ROUTE = """\
  - name: r
    match: {{path: /r*}}
    cache: {{ttl: 1h, vary: [X-Market]}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 50%, hold: 1h}}]}}}}
      gates: [error_rate, guard]
"""


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path, names=()) as one:
        yield one


def versions(answers):
    return Counter(said["x-rampway-version"] for _, said, _ in answers)


def hits(answers):
    return sum(said.get("x-rampway-cache") == "hit" for _, said, _ in answers)


async def given_again(lab):
    """Answers that were given again, as the metrics have them."""
    names = ("rampway_cache_hits_total{", "rampway_cache_waited_total{")
    lines = (await lab.get("/metrics")).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(names))


async def test_no_answer_of_a_version_that_was_taken_back_with_two_workers(lab):
    asked = [json.dumps({"x": x}).encode() for x in range(40)]
    async with Model(lambda _: 1) as v1, Model(lambda _: 2) as v2:
        lab.write(ROUTE.format(v1=v1.url, v2=v2.url), head="workers: 2\n")
        await lab.start()
        await lab.begun()
        before = await ask(lab.port, asked * 30, per_s=2_000)
        assert min(versions(before).values()) > 300
        assert hits(before) > 800
        assert len(v1.asked) + len(v2.asked) == len(before) - hits(before)
        assert all(b"%d" % int(said["x-rampway-version"][1]) in body for _, said, body in before)
        await lab.order("r", "rollback", reason="by hand")
        await lab.until("rolled_back")
        left = len(v2.asked)
        after = await ask(lab.port, asked * 10, per_s=2_000)
        assert versions(after) == {"v1": 400}
        assert len(v2.asked) == left
        assert all(b"1" in body for _, _, body in after)
        async with asyncio.timeout(30):  # counts are told four times a second
            while await given_again(lab) != hits(before) + hits(after):
                await asyncio.sleep(0.1)


async def test_a_candidate_that_fails_what_is_new_is_taken_back(lab):
    fresh = itertools.count()
    async with Model() as v1, Model(lambda asked: (500, 0) if asked["x"] % 3 else 1) as v2:
        lab.write(ROUTE.format(v1=v1.url, v2=v2.url))
        await lab.start()
        await lab.begun()

        async def clients():
            while True:
                x = next(fresh)
                some = [
                    json.dumps({"x": n // 3 if n % 2 else -1}).encode() for n in (x, x + 1, x + 2)
                ]
                await ask(lab.port, some, at_once=1)

        asking = [asyncio.create_task(clients()) for _ in range(4)]
        told = await lab.until("rolled_back")
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    assert "failed: candidate" in told["reason"]
