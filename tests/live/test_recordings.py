"""Recordings of live routers, one a strategy, each with kill -9 and an edit: 0 differences.

All eleven take two minutes: ``python -m pytest -m live tests/live/test_recordings.py``.

A real router, real sockets, a real clock. What is asserted is that every decision of the life that
was recorded is made again, exactly, and that the story was told: the actions that must be in it.
"""

import asyncio

import pytest

from tests.cli.conftest import rampway
from tests.live.kit import Clients, Lab, route

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]  # longer than its waits together

RECORDED = "recording: {file: <folder>/rec, keep: 9}\n"
SOON = "detect: {times: 100, points: 50%}\nanti_flap: {backoff: 0s}"
"""A sample of a few seconds is enough; the rules are the same."""


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path) as made:
        made.versions["v2"].value = b"0.250001"
        yield made


def replayed(lab):
    """(actions in order, differences) of every file of the recording, oldest first."""
    files = sorted(lab.folder.glob("rec*"), key=lambda f: f.stat().st_mtime_ns)
    assert files
    actions, different = [], []
    for file in files:
        said = rampway("replay", str(file), "-o", "json")
        if said.code == 2 and "with decisions: it holds no decision" in said.err:
            continue
        actions += [one["action"] for one in said.json["decisions"]]
        different += [one for one in said.json["decisions"] if one["difference"]]
        assert said.code == (1 if said.json["different"] else 0)
    assert different == []
    return actions


async def time_passes(seconds):
    """A real clock is what is tested: a recording of it is replayed."""
    for _ in range(round(seconds / 0.1)):
        await asyncio.sleep(0.1)


def edited(lab):
    """Another endpoint for the candidate: an edit in the middle."""
    lab.write(lab.routes.replace('v2: {endpoints: ["<v2>"]}', 'v2: {endpoints: ["<v2>", "<v3>"]}'))


def replanned(lab):
    """Other holds and samples: an edit that waits for the next attempt."""
    text = lab.routes
    for old, new in (("hold: 1h", "hold: 2h"), ("for: 1h", "for: 2h"), ("les: 60", "les: 70")):
        text = text.replace(old, new)
    assert text != lab.routes
    lab.write(text)


STEPS = "[{mirror: 100%, until: {samples: 20}}, {weight: 20%, hold: 1s}, {weight: 50%, hold: 2s}]"


async def test_a_canary_that_completes_through_a_kill_and_an_edit(lab):
    lab.write(route(f"{{canary: {{steps: {STEPS}, bake: 1s}}}}", more=SOON), RECORDED)
    await lab.start()
    async with Clients(lab.port):
        await lab.until(lambda s: s["step"] == 3)
        edited(lab)
        await lab.kill()
        await lab.until("completed", seconds=60)
    await lab.end()
    actions = replayed(lab)
    assert {"advance", "bake", "complete"} <= set(actions)


async def test_a_sticky_canary_that_goes_bad_and_is_retried(lab):
    strategy = "{canary: {steps: [{weight: 30%, hold: 1s}, {weight: 60%, hold: 1h}]}}"
    text = route(strategy, more=SOON, head="sticky: {header: X-User-Id}")
    lab.write(text, RECORDED)
    await lab.start()
    async with Clients(lab.port, users=5_000):
        await lab.until(lambda s: s["step"] == 2)
        lab.versions["v2"].bad = 0.7
        # Braked to 5 %, few users are drawn; a way back that is not on the disk is lost by a kill.
        await lab.until(lambda s: s["phase"] == "rolled_back" and not s["writing"], seconds=150)
        replanned(lab)
        await lab.kill()
        lab.versions["v2"].bad = 0.0
        await lab.order("r", "retry", reason="mended", force=True)
        await lab.until(lambda s: s["phase"] == "progressing" and s["step"] == 2)
        lab.versions["v2"].mode = "hang"
        await lab.until("rolled_back", seconds=150)  # at most 5 % of users, each counted once
    await lab.end()
    actions = replayed(lab)
    # A retry that is ordered before the first turn after a kill is how the next file begins.
    assert (actions.count("rollback"), "advance" in actions) == (2, True)


async def test_a_shadow_that_becomes_a_canary(lab):
    strategy = (
        "{shadow: {mirror: 100%, hold: 1s, until: {samples: 60}, also: [v3], "
        "then: {canary: {steps: [{weight: 30%, hold: 1s}], bake: 1s}}}}"
    )
    more = SOON + "\ncompare: {decide_on: [y], absolute: 0.001, noise: 10%, reverse: 20%}"
    head = "payload: open_inference_v2"
    gates = "[error_rate, guard, {agreement: {at_least: 90%}}]"
    lab.write(route(strategy, gates=gates, more=more, head=head), RECORDED)
    await lab.start()
    async with Clients(lab.port):
        await lab.until(lambda s: s["step"] >= 2, seconds=60)
        await lab.kill()
        replanned(lab)
        await lab.until("completed", seconds=60)
    await lab.end()
    assert {"advance", "bake", "complete"} <= set(replayed(lab))


async def test_a_shadow_whose_answers_differ(lab):
    lab.versions["v2"].value = b"7"
    gates = "[guard, {agreement: {at_least: 90%}}]"
    text = route(
        "{shadow: {mirror: 100%, hold: 1h}}", gates=gates, head="payload: open_inference_v2"
    )
    lab.write(text, RECORDED)
    await lab.start()
    replanned(lab)
    await lab.kill()
    async with Clients(lab.port):
        await lab.until("rolled_back")
    await lab.end()
    assert replayed(lab)[-1] == "rollback"


async def test_a_blue_green_that_is_switched_and_undone(lab):
    strategy = "{blue_green: {mirror: 100%, hold: 1h, over: 2s, bake: 1h}}"
    lab.write(route(strategy, more=SOON), RECORDED)
    await lab.start()
    async with Clients(lab.port):
        await lab.begun()
        await time_passes(1)
        await lab.kill()
        await lab.begun()
        assert (await lab.order("r", "switch", reason="now"))[0] == 200
        await lab.until("baking")
        edited(lab)
        await time_passes(1)
        await lab.order("r", "rollback", reason="undo")
        await lab.until("rolled_back")
    await lab.end()
    actions = replayed(lab)
    assert {"promote", "rollback"} <= set(actions)


async def test_a_switch_that_meets_a_broken_version(lab):
    strategy = "{blue_green: {mirror: 100%, until: {samples: 40}, bake: 1h}}"
    lab.write(route(strategy, more=SOON), RECORDED)
    await lab.start()
    async with Clients(lab.port):
        await lab.until("baking")
        edited(lab)
        await lab.kill()
        lab.versions["v2"].bad = lab.versions["v3"].bad = 1.0
        await lab.until("rolled_back")
    await lab.end()
    assert "rollback" in replayed(lab)


async def test_an_experiment_whose_shares_follow_rewards(lab):
    strategy = "{experiment: {arms: {v2: 30%, v3: 30%}, for: 1h, bandit: {every: 1s, floor: 5%}}}"
    head = 'sticky: {header: X-User-Id}\nfeedback: {secret: "only-an-example-1"}'
    lab.write(route(strategy, more=SOON, head=head), RECORDED)
    await lab.start()
    async with Clients(lab.port) as clients, asyncio.timeout(90):
        while (await lab.status())["shares_bp"].get("v3", 0) <= 3_000:
            await asyncio.sleep(0.1)
            told, clients.receipts = clients.receipts, []
            rewards = [
                {"receipt": receipt, "reward": 1.0 if version == "v3" else 0.1}
                for receipt, version in told
            ]
            await lab.post("/api/v1/feedback", {"labels": rewards})
        await lab.kill()
        replanned(lab)
        await time_passes(1.5)
        await lab.order("r", "abort", reason="enough")
    await lab.end()
    actions = replayed(lab)
    assert {"share", "abort"} <= set(actions)


async def test_an_evidence_driven_ramp(lab):
    strategy = "{canary: {ramp: {auto: {to: 50%, budget: 20, hold: 1s}}, bake: 1s}}"
    more = SOON + "\npromotion: {margin: 20%, risk: 20%}\nmin_bad_responses: 2"
    lab.write(route(strategy, more=more), RECORDED)
    await lab.start()
    async with Clients(lab.port, per_s=200):
        await lab.until(lambda s: s["weight_bp"] > 500)
        edited(lab)
        await lab.kill()
        await lab.until("completed", seconds=90)
    await lab.end()
    assert {"ramp", "complete"} <= set(replayed(lab))


async def test_a_group_and_segments_where_one_failure_takes_all_back(lab):
    steps = "{canary: {steps: [{weight: 30%, hold: 1s}, {weight: 50%, hold: 1h}]}}"
    each = "for_each: {header: X-Country, values: [de, fr, at], rest: stable, stop_all_when: 1}\n"
    lab.write(
        route(steps, name="a", more=SOON + "\ngroup: g")
        + route(steps, name="b", more=SOON + "\ngroup: g")
        + route(steps, name="s", more=each + SOON),
        RECORDED,
    )
    await lab.start()
    async with Clients(lab.port, paths=("/a", "/b", "/s"), per_s=150):
        for name in ("a", "b", "s@de", "s@fr", "s@at"):
            await lab.until(lambda s: s["step"] == 2, route=name)
        await lab.kill()
        replanned(lab)
        lab.versions["v2"].bad = 1.0
        for name in ("a", "b", "s@de", "s@fr", "s@at"):
            await lab.until("rolled_back", route=name)
    await lab.end()
    assert replayed(lab).count("rollback") == 5


async def test_rescued_requests_orders_and_a_worker_that_dies(lab):
    strategy = (
        "{canary: {steps: [{weight: 20%, hold: 1h}, {approval: {}}, {weight: 50%, hold: 1h}]}}"
    )
    more = SOON + "\nrescue: {on: [5xx, timeout, connect]}\nmax_bad_responses: 500"
    lab.write(route(strategy, more=more), RECORDED + "workers: 2\n")
    life = await lab.start()
    async with Clients(lab.port) as clients:
        await lab.begun()
        for verb, fields in (
            ("pause", {}), ("resume", {}), ("set-weight", {"weight": "5%", "for": "1s"}),
            ("freeze", {"for": "1s"}), ("promote", {}), ("promote", {}),
        ):  # fmt: skip
            await lab.order("r", verb, reason=f"tried {verb}", **fields)
            await time_passes(0.7)
        await lab.kill_worker(life)
        replanned(lab)
        await time_passes(2)
        lab.versions["v2"].bad = 0.6
        await lab.until("rolled_back")
    await lab.end()
    assert not [key for key in clients.answers if key[1] >= 500], "nobody saw a failure"
    assert {"pause", "resume", "set_weight", "promote", "rollback"} <= set(replayed(lab))


async def test_gates_and_hooks_outside_through_a_kill_and_an_edit(lab):
    outside = lab.versions["v3"]
    strategy = "{canary: {steps: [{weight: 20%, hold: 1s}, {weight: 50%, hold: 2s}], bake: 1s}}"
    gates = (
        "[error_rate, guard, {latency: {}}, "
        "{webhook: {url: '<v3>/gate', ask: confirm, interval: 1s}}]"
    )
    more = SOON + "\nhooks: [{confirm_traffic_increase: {url: '<v3>/more', interval: 1s}}]"
    text = route(strategy, gates=gates, more=more)
    lab.write(text, RECORDED)
    await lab.start()
    async with Clients(lab.port, paths=("/r",)):
        await lab.until(lambda s: s["step"] == 2, seconds=60)
        outside.mode = "refuse"
        await lab.kill()
        await time_passes(2)
        outside.mode = "ok"
        edited(lab)
        await lab.until("completed", seconds=60)
    await lab.end()
    assert {"advance", "bake", "complete"} <= set(replayed(lab))
