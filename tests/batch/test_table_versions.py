"""A precomputed table as a version: the same gates, shadow and rollback as a model."""

import asyncio
import json
import random
import sys

import pytest

from tests.batch.models import Model, ask
from tests.bench.models import CASES, line, play
from tests.live.kit import Lab

pytestmark = [pytest.mark.batch, pytest.mark.xdist_group("tables")]

ROUTE = """\
  - name: r
    match: {{path: /r*}}
    payload: json
    predictions: {{label: label, sample: 100%}}
    versions:
      v1: {{endpoints: ["{v1}"]}}
      v2: {{table: {{file: <folder>/answers.tab, key: {{json: flight}}, fresh: 1d, miss: v1}}}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {strategy}
      gates: {gates}
"""
CANARY = "{canary: {steps: [{weight: 50%, hold: 1h}]}}"


def flights(number=4_000, seed=3):
    """Requests: a departure is late more than 15 minutes in a fifth of them."""
    draw = random.Random(seed)
    return [
        {"flight": f"f{n}",
         "delay": draw.randrange(16, 90) if draw.random() < 0.2 else draw.randrange(-10, 15)}
        for n in range(number)
    ]  # fmt: skip


def late(flight):
    return int(flight["delay"] > 15)


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path, names=()) as one:
        yield one


async def table(lab, asked, says, *more):
    """The command makes the table of these flights."""
    source = lab.folder / "answers.ndjson"
    lines = ({"key": one["flight"], "answer": {"label": says(one)}} for one in asked)
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router", "table", str(source), str(lab.folder / "answers.tab"),
        *more, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert f"{len(asked):,} answers" in out.decode()


async def served(lab, model, strategy, gates):
    lab.write(ROUTE.format(v1=model.url, strategy=strategy, gates=gates))
    await lab.start()
    await lab.begun()


def bodies(asked):
    return [json.dumps(one).encode() for one in asked]


async def metric(lab, name):
    lines = (await lab.get("/metrics")).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"rampway_{name}{{"))


FOUND = {(case.name, mode): (case, mode) for case in CASES for mode in ("canary", "shadow")}
TABLES = [FOUND[name, mode] for name in ("table with a column shifted", "table")
          for mode in ("canary", "shadow")]  # fmt: skip


@pytest.mark.timeout(280)
async def test_a_shifted_column_is_caught_within_the_figures_and_a_good_table_is_not(tmp_path):
    """On the flights of 2013, beside v2 itself; the figures are those of `make bench-models`."""
    pytest.importorskip("sklearn")
    async for found in play(TABLES, tmp_path):
        print(line(found))
        assert found["as_wanted"], found
        assert found["odd"] == 0, "every answer is a 200"


async def anybody(lab, asked):
    """Whether some answer is of the new table."""
    some = await ask(lab.port, bodies(asked[:40]), per_s=800)
    return any(json.loads(body)["label"] == 7 for _, _, body in some)


async def test_what_is_stale_or_not_there_is_asked_of_the_model(lab):
    asked = flights(400)
    async with Model(late) as model:
        await table(lab, asked[:200], lambda _: 7, "--as-of", "2020-01-01T00:00")
        await served(lab, model, CANARY, "[guard]")
        old = await ask(lab.port, bodies(asked), per_s=800)
        assert len(model.asked) == 400
        assert all(json.loads(old[n][2]) == {"label": late(asked[n])} for n in range(400))
        assert {said["x-rampway-version"] for _, said, _ in old} == {"v1", "v2"}
        async with asyncio.timeout(30):
            while not await metric(lab, "table_stale_total"):
                await asyncio.sleep(0.1)
        assert await metric(lab, "table_hits_total") == 0
        await table(lab, asked[:200], lambda _: 7)
        async with asyncio.timeout(30):
            while not await anybody(lab, asked):
                await asyncio.sleep(0.1)
        model.asked = []
        fresh = await ask(lab.port, bodies(asked), per_s=800)
        of_table = [
            one["flight"] for (_, said, body), one in zip(fresh, asked, strict=True)
            if json.loads(body)["label"] == 7 and said["x-rampway-version"] == "v2"
        ]  # fmt: skip
        assert 40 < len(of_table) < 160
        assert set(of_table) <= {one["flight"] for one in asked[:200]}
        assert len(model.asked) == 400 - len(of_table)
        (lab.folder / "answers.tab").unlink()
        async with asyncio.timeout(30):
            while await anybody(lab, asked):
                await asyncio.sleep(0.1)
