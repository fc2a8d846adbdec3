"""Envoy carries the traffic, the router decides: seen from outside, with real bytes."""

import asyncio
import re

import pytest

from tests.fleet.kit import (
    ENVOY,
    NEEDS_ENVOY,
    EnvoyLab,
    Quick,
    beyond_on_this_machine,
    counted_in,
    versions_of,
)
from tests.live.kit import Clients, route
from tests.reliability.whole import call

pytestmark = [*NEEDS_ENVOY, pytest.mark.xdist_group("envoy")]

USERS = [f"user-{n}" for n in range(20_000)]
STICKY = "sticky: {header: X-User-Id}"
RESCUE = "rescue: {on: [5xx, timeout, connect], deadline: 400ms}"
HALF = "{canary: {steps: [{weight: 50%, hold: 1h}]}}"


@pytest.fixture
async def lab(tmp_path):
    async with EnvoyLab(tmp_path) as one:
        yield one


async def begun(lab, *, step=1, bp=5_000):
    return await lab.in_force(lambda s: s["phase"] == "progressing" and s["weight_bp"] == bp)


async def test_20000_users_keep_their_version_from_the_built_in_plane_into_envoy_and_up(tmp_path):
    async with EnvoyLab(tmp_path, makes=Quick) as lab:
        await users_keep_their_version(lab)


async def users_keep_their_version(lab):
    steps = "[{weight: 10%, hold: 1h}, {weight: 35%, hold: 1h}]"
    lab.write(route(f"{{canary: {{steps: {steps}}}}}", gates="[guard]", head=STICKY), head="")
    await lab.start()
    await begun(lab, bp=1_000)
    before = await versions_of(lab.port, USERS)
    assert 1_700 < sum(version == "v2" for version in before.values()) < 2_300
    await lab.end()
    lab.write(head=ENVOY)
    await lab.start()
    await begun(lab, bp=1_000)
    moved = await versions_of(lab.port, USERS)
    assert [user for user in USERS if moved[user] != before[user]] == []
    await lab.order("r", "promote")
    await begun(lab, bp=3_500)
    more = await versions_of(lab.port, USERS)
    assert [user for user in USERS if before[user] == "v2" and more[user] != "v2"] == []
    assert 6_500 < sum(version == "v2" for version in more.values()) < 7_500


@pytest.mark.parametrize(("per_s", "beyond"), [(50, 1), (500, 3)])
async def test_a_broken_candidate_is_taken_back_after_the_rule_and_a_few(lab, per_s, beyond):
    lab.write(route(HALF))
    await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=per_s, at_once=16, users=10_000) as clients:
        await until_some(clients, "v2", 30)
        lab.versions["v2"].bad = 1.0
        said = await lab.until("rolled_back")
    failed = sum(n for (_, status, _), n in clients.answers.items() if status >= 500)
    counted = counted_in(said)
    assert clients.lost == 0
    assert counted <= failed <= counted + beyond_on_this_machine(beyond, per_s), said["reason"]
    assert said["weight_bp"] == 0


async def test_nobody_sees_a_failure_of_a_candidate_that_stable_stands_in_for(lab):
    lab.write(route(HALF, more=RESCUE))
    await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=300, at_once=16) as clients:
        await until_some(clients, "v2", 30)
        lab.versions["v2"].bad = 1.0
        await lab.until("rolled_back")
    assert {status for _, status, _ in clients.answers} == {200}
    assert clients.lost == 0
    said = await asyncio.to_thread(call, lab.lives[-1].admin + "/metrics")
    assert re.search(r'rescues_total\{route="r",version="v2"[^}]*\} [1-9]', said[1])


async def test_a_candidate_that_hangs_is_taken_back_and_its_users_are_answered(lab):
    lab.write(route(HALF, more=RESCUE))
    await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=100, at_once=16) as clients:
        await until_some(clients, "v2", 20)
        lab.versions["v2"].mode = "hang"
        await lab.until("rolled_back")
    assert {status for _, status, _ in clients.answers} == {200}
    assert clients.lost == 0


async def test_a_slow_candidate_is_taken_back_by_what_envoy_measured(lab):
    gates = "[{slo: {slower_than: 150ms}}]"
    lab.write(route(HALF, gates=gates))
    await lab.start()
    await begun(lab)
    lab.versions["v2"].delay_s = 0.3
    async with Clients(lab.port, per_s=200, at_once=16) as clients:
        said = await lab.until("rolled_back")
    assert "slow" in said["reason"] or "150" in said["reason"]
    assert {status for _, status, _ in clients.answers} == {200}


async def test_other_predictions_are_found_in_the_shadow_that_envoy_copies(lab):
    shadow = "{shadow: {mirror: 100%, hold: 1h}}"
    lab.versions["v2"].value = b"0.75"
    lab.write(route(shadow, gates="[{agreement: {at_least: 95%}}]", head="payload: json"))
    await lab.start()
    async with Clients(lab.port, per_s=100) as clients:
        said = await lab.until("rolled_back")
    assert "disagreed" in said["reason"]
    assert {version for _, _, version in clients.answers} == {"v1"}
    assert clients.lost == 0


async def test_a_good_candidate_goes_all_the_way(lab):
    shadow = "{mirror: 100%, until: {samples: 50}}"
    steps = f"{shadow}, {{weight: 20%, hold: 1s}}, {{weight: 60%, hold: 1s}}"
    strategy = f"{{canary: {{steps: [{steps}], bake: 1s}}}}"
    more = "detect: {times: 20, points: 40%}"
    lab.write(route(strategy, gates="[error_rate, guard]", head="payload: json", more=more))
    await lab.start()
    async with Clients(lab.port, per_s=300, at_once=16) as clients:
        await lab.until("completed", seconds=60)
        before = clients.of("v2")
        await until_some(clients, "v2", before + 50)
    assert {status for _, status, _ in clients.answers} == {200}
    assert clients.lost == 0


async def test_rules_pins_and_statuses_as_the_policy_says(lab):
    head = "rules: [{match: {headers: {x-beta: '1'}}, version: v3}]\npin: true"
    lab.write(route("{canary: {steps: [{weight: 1%, hold: 1h}]}}", head=head))
    life = await lab.start()
    await begun(lab, bp=100)

    async def version(path="/r", **headers):
        def ask():
            import urllib.request

            told = {k.replace("_", "-"): v for k, v in headers.items()}
            made = urllib.request.Request(f"http://127.0.0.1:{life.port}{path}", headers=told)
            with urllib.request.urlopen(made, timeout=10) as answer:
                return answer.headers["x-rampway-version"]

        return await asyncio.to_thread(ask)

    assert await version(x_beta="1") == "v3"
    assert await version(x_rampway_pin="v2") == "v2"
    assert await version(x_rampway_pin="v1") == "v1"
    status, _ = await asyncio.to_thread(call, f"http://127.0.0.1:{life.port}/elsewhere")
    assert status == 404


async def test_nobody_notices_that_the_agent_is_killed_and_it_goes_on_counting(lab):
    lab.write(route(HALF))
    await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=100, at_once=16) as clients:
        await until_some(clients, "v2", 20)
        agent, envoy = lab.pid("agent"), lab.pid("envoy")
        lab.kill_process("agent")
        await changed(lambda: lab.pid("agent"), agent)
        await until_some(clients, "v2", clients.of("v2") + 50)
        assert lab.pid("envoy") == envoy
        assert {status for _, status, _ in clients.answers} == {200}
        assert clients.lost == 0
        lab.versions["v2"].bad = 1.0
        await lab.until("rolled_back")


async def test_control_is_killed_and_the_next_one_takes_envoy_over(lab):
    lab.write(route(HALF))
    await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=100, at_once=16) as clients:
        await until_some(clients, "v2", 20)
        envoy = lab.pid("envoy")
        await lab.kill()
        await until_some(clients, "v2", clients.of("v2") + 30)
        assert lab.pid("envoy") == envoy
        assert {status for _, status, _ in clients.answers} == {200}
        assert clients.lost == 0
        lab.versions["v2"].bad = 1.0
        await lab.until("rolled_back")


async def test_an_envoy_that_ends_is_started_again_with_the_same_routes(lab):
    lab.write(route(HALF))
    await lab.start()
    await begun(lab)
    envoy = lab.pid("envoy")
    lab.kill_process("envoy")
    await changed(lambda: lab.pid("envoy"), envoy)
    async with Clients(lab.port, per_s=100, at_once=4) as clients:
        await until_some(clients, "v2", 20)
        await until_some(clients, "v1", 20)


async def test_a_drain_and_a_new_start_refuse_nobody_whose_request_is_under_way(lab):
    lab.versions["v1"].delay_s = 0.5
    lab.write(route("{canary: {steps: [{weight: 1%, hold: 1h}]}}"))
    life = await lab.start()
    await begun(lab, bp=100)
    asked = [asyncio.to_thread(call, f"http://127.0.0.1:{life.port}/r") for _ in range(8)]
    waiting = asyncio.gather(*asked)
    while lab.versions["v1"].seen + lab.versions["v2"].seen < 8:
        await asyncio.sleep(0.01)
    await lab.end()
    assert {status for status, _ in await waiting} == {200}
    assert not (lab.sockets / "envoy.pid").exists()


async def until_some(clients, version, number, seconds=60):
    async with asyncio.timeout(seconds):
        while clients.of(version) < number:
            await asyncio.sleep(0.02)


async def changed(look, before, seconds=60):
    async with asyncio.timeout(seconds):
        while True:
            try:
                if look() != before:
                    return
            except (OSError, ValueError, IndexError):
                pass
            await asyncio.sleep(0.02)
