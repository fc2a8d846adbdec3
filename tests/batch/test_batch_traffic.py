"""Batch traffic in a live router: the candidate gets more of it, a full queue sheds it first."""

import asyncio
import itertools
import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.batch.models import Model, ask
from tests.live.kit import Lab

pytestmark = [pytest.mark.batch, pytest.mark.xdist_group("traffic")]

ROUTE = """\
  - name: r
    match: {{path: /r*}}
    priority: {{header: X-Priority, batch: [batch]}}
    {sticky}
    versions:
      v1: {{endpoints: ["{v1}"]{bounds}}}
      v2: {{endpoints: ["{v2}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{steps}]}}}}
      gates: [error_rate, guard: {{error_rate: 20%}}]
"""
BATCH = "X-Priority: Batch\r\n"
BODIES = [json.dumps({"x": x}).encode() for x in range(1_500)]


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path, names=()) as one:
        yield one


async def serving(lab, v1, v2, steps, *, sticky="", bounds=""):
    lab.write(ROUTE.format(v1=v1.url, v2=v2.url, steps=steps, sticky=sticky, bounds=bounds))
    await lab.start()
    await lab.begun()


async def share(lab, bodies, fields=""):
    """Of the answers that v2 gave."""
    got = await ask(lab.port, bodies, fields=fields, per_s=2_000)
    assert {status for status, _, _ in got} == {200}
    return Counter(said["x-rampway-version"] for _, said, _ in got)["v2"] / len(got)


def rampway(lab, *words):
    """A command of the product, in a shell of its own: what it prints."""
    command = [sys.executable, "-m", "router", *words, "--admin", lab.lives[-1].admin]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


async def test_batch_goes_to_the_candidate_first_and_to_none_that_was_taken_back(lab):
    async with Model() as v1, Model() as v2:
        await serving(lab, v1, v2, "{weight: 10%, hold: 1h}")
        # 10 % and 5 x 10 % of 1,500: 5 standard deviations are 3.9 and 6.5 points.
        assert await share(lab, BODIES) == pytest.approx(0.10, abs=0.039)
        assert await share(lab, BODIES, BATCH) == pytest.approx(0.50, abs=0.065)
        status = await lab.until(lambda s: sum(s["gates"][1]["candidate"].values()) > 600)
        assert status["batch_bp"] == 5_000
        drawn = status["gates"][0]["candidate"]["total"]
        assert drawn < 400, "what went ahead of the coin is held against a fixed limit alone"
        for verb in ("get", "why"):
            assert "batch: 50 % on v2" in await asyncio.to_thread(rampway, lab, verb, "r")
        await lab.order("r", "rollback", reason="by hand")
        await lab.until("rolled_back")
        left = len(v2.asked)
        assert await share(lab, BODIES[:300], BATCH) == 0.0
        assert len(v2.asked) == left


async def test_a_user_s_batch_stays_where_it_is_and_nothing_of_0_percent_goes_ahead(lab):
    async with Model() as v1, Model() as v2:
        steps = "{mirror: 1%, hold: 1h, until: {samples: 100000}}, {weight: 20%, hold: 1h}"
        await serving(lab, v1, v2, steps, sticky="sticky: {header: X-User-Id}")
        assert await share(lab, BODIES[:400], BATCH) == 0.0
        await lab.order("r", "promote", reason="by hand")
        await lab.in_force(lambda s: s["weight_bp"] == 2_000)
        got = await ask(lab.port, BODIES, fields=BATCH, per_s=2_000)
        of_user = {}
        for number, (_, said, _) in enumerate(got):
            of_user.setdefault(number % 97, set()).add(said["x-rampway-version"])
        assert all(len(versions) == 1 for versions in of_user.values())
        assert sum(versions == {"v2"} for versions in of_user.values()) == 97, "5 x 20 %"
        plain = await share(lab, BODIES)
        assert 0.0 < plain < 0.45, plain


async def test_a_candidate_that_fails_batch_alone_is_taken_back(lab):
    async with Model() as v1, Model(lambda asked: (500, 0) if asked["x"] % 2 else 1) as v2:
        await serving(lab, v1, v2, "{weight: 1%, hold: 1h}")
        asked = itertools.cycle(BODIES)  # until it is taken back, however long that takes
        asking = asyncio.create_task(ask(lab.port, asked, fields=BATCH, per_s=600))
        told = await lab.until("rolled_back")
        asking.cancel()
    assert "v2" in told["line"] or "candidate" in told["reason"]


async def test_a_full_queue_sheds_batch_first(lab):
    async with Model() as v1, Model() as v2:
        bounds = ", in_flight: 1, queue: 4, queue_timeout: 60s"
        await serving(lab, v1, v2, "{weight: 1%, hold: 1h}, {weight: 2%, hold: 1h}",
                      sticky="rules: [{match: {headers: {X-Fixed: x}}, version: v1}]",
                      bounds=bounds)  # fmt: skip
        v1.wait = asyncio.Event()

        def client(fields):
            return asyncio.create_task(
                ask(lab.port, [b'{"x": 1}'], fields=f"X-Fixed: x\r\n{fields}", at_once=1)
            )

        async def statuses(tasks):
            return [task.result()[0][0] if task.done() else None for task in tasks]

        async def waiting(number):
            async with asyncio.timeout(30):
                while (await in_flight(lab)) != number:
                    await asyncio.sleep(0.02)

        batch = [client(BATCH)]  # one is under way
        await waiting(1)
        for number in range(2, 6):  # four wait
            batch.append(client(BATCH))
            await waiting(number)
        refused = await client(BATCH)
        assert refused[0][0] == 503, "batch makes no room for batch"
        people = []
        for number in range(4):
            people.append(client(""))
            async with asyncio.timeout(30):
                while sum(task.done() for task in batch) <= number:
                    await asyncio.sleep(0.02)
        assert await statuses(batch) == [None, 503, 503, 503, 503]
        refused = await client("")
        assert refused[0][0] == 503, "the queue is full of those who make no room"
        v1.wait.set()
        assert [(await task)[0][0] for task in (*people, batch[0])] == [200] * 5


async def in_flight(lab):
    versions = (await lab.get("/api/v1/routes/r"))["versions"]
    return versions["v1"]["in_flight"]
