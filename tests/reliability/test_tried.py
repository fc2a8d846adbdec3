"""Tried once and again: clocks that jump, certificates that turn, many users, many rollouts."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.reliability.certificates import Authority
from tests.reliability.whole import Load, ask, in_thread, policy_text, promised, read_answer, until

# A machine that does much else takes minutes for 100,000 requests, or for 1,000 rollouts.
pytestmark = [pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(1_500)]

STEPS_S = (86_400, -86_400, 400 * 86_400, -800 * 86_400, 3_600, -1)
USERS = 100_000
ROUTES = 1_000


def resident(pid):
    """Megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(shutil.which("cc") is None, reason="compiles its clock")
async def test_steps_of_the_wall_clock_move_no_rollout_and_no_request(site, monkeypatch):
    said, clock = site.folder / "offset", site.folder / "wallclock.so"
    source = Path(__file__).with_name("wallclock.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", clock, source], check=True)

    def step(seconds):
        fresh = said.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(said)

    step(0)
    monkeypatch.setenv("LD_PRELOAD", str(clock))
    monkeypatch.setenv("WALLCLOCK_OFFSET", str(said))
    router = await in_thread(site.write().start)
    for name in ("LD_PRELOAD", "WALLCLOCK_OFFSET"):
        monkeypatch.delenv(name)
    before, pids = await in_thread(router.position), await in_thread(router.workers)
    days = set()
    async with Load(router.port, kept=4, fresh=2) as load:
        for seconds in STEPS_S:
            step(seconds)
            await load.more(100)
            assert await in_thread(router.position) == before
            assert (await in_thread(router.api, "/readyz"))[0] == 200
            await in_thread(router.order, "pause")
            newest = (await in_thread(router.api, "/api/v1/journal?limit=1"))[1]["entries"][0]
            days.add(round((newest["at"] - time.time()) / 86_400))
            await in_thread(router.order, "resume")
            before = await in_thread(router.position)
        await in_thread(router.order, "rollback")
        await load.more(50)
    print(f"{len(STEPS_S)} steps: {len(load.tally.lost)} lost of {load.tally.answered}; {days=}")
    assert {-800, -1, 0, 1, 400} <= days, "the clock was not stepped"
    assert load.tally.lost == []
    assert set(load.tally.statuses) == {200}
    assert await in_thread(router.workers) == pids


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates")
async def test_twenty_certificates_under_load(site, nursery, tmp_path_factory):
    import ssl

    authority = Authority(tmp_path_factory.mktemp("certificates"))
    pair = authority.signed("one", into="router")
    top = f'tls: {{certificate: "{pair.certificate}", key: "{pair.key}"}}'
    router = await in_thread(nursery.start, site.write(top=top, rollout=None, workers=2))
    context = ssl.create_default_context(cafile=authority.file)
    async with Load(router.port, kept=4, fresh=4, tls=context) as load:
        for number in range(20):
            await in_thread(authority.signed, f"turn-{number}", into="router")
            await load.more(60)
        await asyncio.sleep(2)
        assert (await ask(router.port, ssl=context))[0] == 200
    print(f"20 certificates: {len(load.tally.lost)} lost of {load.tally.answered}")
    assert load.tally.lost == []
    assert set(load.tally.statuses) == {200}


async def sent_by(port, users, seen):
    """One request of each user, on one kept connection; which version answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for user in users:
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\nX-User: u%d\r\n\r\n" % user)
        _, fields, _ = await read_answer(reader)
        seen[user] = fields["x-rampway-version"]
    writer.close()


async def test_a_hundred_thousand_sticky_users(site, nursery):
    text = policy_text(site.folder, site.services, steps="{weight: 20%, hold: 1h}")
    text = text.replace("    stable: v1", "    stable: v1\n    sticky: {header: X-User}")
    router = await in_thread(nursery.start, site.write(text))
    worker = (await in_thread(router.workers))[0]
    sizes = resident(router.process.pid), resident(worker)
    first, again = {}, {}
    began = time.monotonic()
    lanes = 8
    await asyncio.gather(
        *(sent_by(router.port, range(i, USERS, lanes), first) for i in range(lanes))
    )
    took_s = time.monotonic() - began
    some = random.Random(1).sample(range(USERS), 5_000)
    await sent_by(router.port, some, again)
    grown = resident(router.process.pid) - sizes[0], resident(worker) - sizes[1]
    share = Counter(first.values())["v2"] / USERS
    began = time.monotonic()
    status = await in_thread(router.status)
    asked_s = time.monotonic() - began
    print(f"{USERS} users at {USERS / took_s:.0f}/s: {share:.2%} on v2, status {asked_s:.2f} s, "
          f"control +{grown[0]:.1f} MB, worker +{grown[1]:.1f} MB")  # fmt: skip
    assert abs(share - 0.2) < 0.006  # four standard deviations
    assert all(first[user] == version for user, version in again.items())
    assert status["phase"] == "progressing"
    assert max(grown) < 60


async def test_a_thousand_routes_with_a_thousand_rollouts(site):
    v1, v2 = (service.url for service in site.services)
    routes = "".join(
        f"""
  - name: r{i}
    match: {{path: /r{i}/*}}
    versions: {{v1: {{endpoints: ["{v1}"]}}, v2: {{endpoints: ["{v2}"]}}}}
    stable: v1
    rollout: {{candidate: v2, gates: [error_rate], strategy:
      {{canary: {{steps: [{{weight: 20%, hold: 1h}}, {{weight: 50%, hold: 1h}}], bake: 1h}}}}}}"""
        for i in range(ROUTES)
    )
    site.write(
        f"listen: 127.0.0.1:0\nadmin: {{listen: '127.0.0.1:0'}}\n"
        f"store: sqlite:///{site.folder}/r.db\nroutes:{routes}\n"
    )
    router = await in_thread(site.start)
    worker = (await in_thread(router.workers))[0]

    def begun():
        found = router.api("/api/v1/routes")[1]["routes"]
        return sum(one["phase"] == "progressing" for one in found) == ROUTES

    await in_thread(until, begun)
    async with Load(router.port, kept=4, fresh=0):
        took = []
        for i in random.Random(1).sample(range(ROUTES), 20):
            began = time.monotonic()
            status, said = await in_thread(
                router.api, f"/api/v1/rollouts/r{i}/rollback", "POST", {"reason": "tried"}
            )
            took.append(time.monotonic() - began)
            assert (status, said["weight_bp"]) == (200, 0)
    before = resident(router.process.pid), resident(worker)
    await in_thread(router.terminate)
    again = await in_thread(site.start)
    found = (await in_thread(again.api, "/api/v1/routes"))[1]["routes"]
    phases = Counter(one["phase"] for one in found)
    print(f"{ROUTES} rollouts: first start {router.took_s:.1f} s, next {again.took_s:.1f} s, "
          f"control {before[0]:.0f} MB, worker {before[1]:.0f} MB, "
          f"rollback {sorted(took)[10]:.3f} s, slowest {max(took):.3f} s")  # fmt: skip
    assert phases == {"progressing": ROUTES - 20, "rolled_back": 20}
    assert max(took) < promised(1.0)
