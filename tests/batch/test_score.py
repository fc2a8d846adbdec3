"""Recorded requests to a version before anybody meets it: the same bytes, the same verdict."""

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from functools import partial

import pytest

from tests.batch.models import Model, ask
from tests.live.kit import Lab

pytestmark = [pytest.mark.batch, pytest.mark.xdist_group("score")]

ROUTE = """\
  - name: r
    match: {{path: /r*}}
    payload: json
    predictions: {{label: label, features: [x]}}
    log: {{bodies: true}}
    versions:
      v1: {{endpoints: ["{v1}"]{one}}}
      v2: {{endpoints: ["{v2}"]{two}}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{shadow: {{mirror: {mirror}, hold: 1h}}}}
      gates: [agreement: {{at_least: 95%}}, guard: {{error_rate: 5%}}]
      mirroring: {{queue: 10000}}
"""
LOT = 1_000
"""Requests whose pairs are waited for: fewer than may wait for their comparison."""


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path, names=()) as one:
        one.write(head="prediction_log: {file: <folder>/log.db}\n")
        yield one


def routes(v1, v2, mirror="100%", one="", two=""):
    return ROUTE.format(v1=v1.url, v2=v2.url, mirror=mirror, one=one, two=two)


def bodies(number):
    return [json.dumps({"x": x}).encode() for x in range(number)]


async def score(lab, *more):
    """The command in a shell of its own: its status, and what it said as JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router", "score", str(lab.folder / "log.db"), "--policy",
        str(lab.file), "--rate", "2000/s", "-o", "json", *more,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert "for real" in err.decode() or process.returncode == 2, err.decode()
    if "table" in more:
        return process.returncode, out.decode()
    return process.returncode, json.loads(out) if out else err.decode()


async def logged(lab, number):
    """Until the log has so many requests of clients."""

    file = lab.folder / "log.db"
    there = "SELECT count(*) FROM sqlite_schema WHERE name = 'predictions'"
    served = "SELECT count(*) FROM predictions WHERE role <> 'shadow'"

    def rows():
        if not file.exists():  # the reader makes it with the first of them, and then its tables
            return 0
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            return db.execute(there).fetchone()[0] and db.execute(served).fetchone()[0]

    async with asyncio.timeout(60):
        while await asyncio.to_thread(rows) < number:
            await asyncio.sleep(0.1)


async def compared(lab, least):
    """Until so many pairs are: those that come faster than they are compared are dropped."""
    return await lab.until(lambda s: s["shadow"] and s["shadow"]["pairs"] > least)


def bare(sent):
    """What was sent but for the span of a trace and the id, which are each request's own."""
    head, body = sent
    return [line for line in head.split(b"\r\n") if not line.startswith(b"traceparent")], body


def wrong_in(share, asked):
    """Odd or even, but for one of so many."""
    return (asked["x"] + (asked["x"] % share == 0)) % 2


async def test_ten_thousand_requests_go_byte_for_byte_and_are_judged_as_the_live_shadow(lab):
    trace = f"traceparent: 00-{'a' * 32}-{'b' * 16}-01"
    fields = f"Authorization: Bearer hunter2\r\n{trace}\r\n"
    async with Model() as v1, Model(partial(wrong_in, 100)) as v2:
        lab.write(routes(v1, v2))
        await lab.start()
        await lab.begun()
        for first in range(0, 10_000, LOT):
            lot = bodies(10_000)[first : first + LOT]
            await ask(lab.port, lot, path="/r/p?a=1", fields=fields, at_once=24, per_s=1_000)
            live = await compared(lab, (first + LOT) * 9 // 10)
        await logged(lab, 10_000)
        async with asyncio.timeout(60):
            while len(v2.asked) < 10_000:
                await asyncio.sleep(0.1)
        copies, v2.asked = v2.by_id(), []
        served = len(v1.asked)
        code, told = await score(lab)
        replayed = v2.by_id()
        assert len(copies) == len(replayed) == 10_000
        assert [k for k in copies if bare(copies[k]) != bare(replayed[k])] == []
        assert len(v1.asked) == served  # stable is asked nothing
    assert not any(b"hunter2" in head for head, _ in replayed.values())
    assert b"hunter2" not in (lab.folder / "log.db").read_bytes()
    gates = {one["gate"]: one for one in live["gates"]}
    ours = {one["gate"]: one for one in told["gates"]}
    assert (code, told["verdict"], told["sent"]) == (0, "pass", 10_000)
    assert live["phase"] == "progressing"
    assert [ours[gate]["verdict"] for gate in ("agreement", "guard")] == ["pass", "pass"]
    assert [gates[gate]["verdict"] for gate in ("agreement", "guard")] == ["pass", "pass"]
    assert ours["agreement"]["candidate"] == {"bad": 100, "total": 10_000}
    assert abs(told["shadow"]["versions"]["v2"]["agreement"] - live["shadow"]["agreement"]) < 0.002


async def test_a_version_that_the_live_shadow_takes_back_fails_and_a_few_requests_are_enough(lab):
    async with Model() as v1, Model(partial(wrong_in, 4)) as v2:
        lab.write(routes(v1, v2))
        await lab.start()
        await lab.begun()
        asking = asyncio.create_task(ask(lab.port, bodies(3_000)))
        live = await lab.until("rolled_back")
        await asking
        await logged(lab, 3_000)
        v2.asked = []
        code, told = await score(lab)
        assert (code, told["verdict"]) == (3, "fail")
        assert "disagreed with stable" in told["sentence"]
        assert "disagreed with stable" in live["reason"]
        assert len(v2.asked) == told["sent"] < 500


async def test_what_was_interrupted_goes_on_and_nothing_is_asked_twice(lab):
    state = str(lab.folder / "state.json")
    async with Model() as v1, Model() as v2:
        lab.write(routes(v1, v2, mirror="0.01%"))
        await lab.start()
        await ask(lab.port, bodies(600), per_s=800)
        await logged(lab, 600)
        v2.asked = []
        code, first = await score(lab, "--state", state, "--most", "250")
        assert (code, first["sent"], first["resumed"]) == (0, 250, False)
        code, second = await score(lab, "--state", state, "--most", "600")
        assert (code, second["sent"], second["resumed"]) == (0, 600, True)
        assert second["shadow"]["versions"]["v2"]["pairs"] == 600
        assert len(v2.asked) == len(v2.by_id()) == 600


async def test_a_model_renamed_behind_one_server_is_scored_in_its_own_name(lab):
    async with Model(lambda asked: asked["x"] % 2 if asked["model"] == "a" else 7) as one:
        lab.write(routes(one, one, "0.01%", one=", set: {model: a}", two=", set: {model: b}"))
        await lab.start()
        await ask(lab.port, bodies(300), per_s=800)
        await logged(lab, 300)
        one.asked = []
        code, told = await score(lab)
    assert (code, told["verdict"]) == (3, "fail")
    asked = [json.loads(body) for _, body in one.asked]
    assert {document["model"] for document in asked} == {"b"}
    assert len({document["x"] for document in asked}) == len(asked) < 100


async def test_people_read_the_verdict_and_what_differed(lab):
    async with Model() as v1, Model(partial(wrong_in, 2)) as v2:
        lab.write(routes(v1, v2, "0.01%"))
        await lab.start()
        await ask(lab.port, bodies(200), per_s=800)
        await logged(lab, 200)
        code, said = await score(lab, "-o", "table")
    first, second, *rest = said.splitlines()
    assert code == 3
    assert first.startswith("fail: agreement: disagreed with stable")
    assert "requests of" in second
    assert second.endswith("sent to v2")
    assert any("delivered, 0 failed" in line for line in rest)
    assert any("label" in line and "number" in line for line in rest)


async def test_a_log_without_bytes_says_what_keeps_them(lab):
    async with Model() as v1, Model() as v2:
        lab.write(routes(v1, v2, "0.01%").replace("bodies: true", "bodies: false"))
        await lab.start()
        await ask(lab.port, bodies(20))
        await logged(lab, 20)
        code, said = await score(lab)
    assert code == 2
    assert "20 without bytes" in said
    assert "bodies: true" in said
