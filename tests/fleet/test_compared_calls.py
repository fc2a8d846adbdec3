"""Predictions of gRPC calls, read and compared: grpcio at both ends, Envoy between them."""

import asyncio
import re
import subprocess
import sys
import time

import pytest

from tests.fleet.kit import INFER, NEEDS_ENVOY, PREDICT, Callers, begun, called, metrics, some
from tests.live.kit import route

grpc = pytest.importorskip("grpc", reason="needs grpcio: pip install '.[fleet]'")
pytestmark = [*NEEDS_ENVOY, pytest.mark.xdist_group("compared")]

PAYLOADS = {INFER: "open_inference_grpc", PREDICT: "tensorflow_grpc"}
SHADOW = "{shadow: {mirror: 100%, hold: 1h}}"
AGREES = "[{agreement: {at_least: 95%}}]"
ALL = "[error_rate, guard, {agreement: {at_least: 95%}}]"


def compared(strategy, *, method=INFER, gates=AGREES, more=""):
    path = method.rpartition("/")[0] + "/*"
    made = route(strategy, gates=gates, more=more, head=f"payload: {PAYLOADS[method]}")
    return made.replace("path: /r*", f"path: {path}")


@pytest.fixture
async def lab(tmp_path):
    async with called(tmp_path) as one:
        for version in one.versions.values():
            version.says = 0.25
        yield one


@pytest.mark.parametrize("method", [INFER, PREDICT])
async def test_a_shadow_that_predicts_otherwise_is_convicted_although_every_call_is_ok(lab, method):
    lab.versions["v2"].says = 0.75
    lab.versions["v2"].raw = True
    lab.write(compared(SHADOW, method=method))
    life = await lab.start()
    async with Callers(lab.port, per_s=100, method=method) as callers:
        said = await lab.until("rolled_back")
    assert "disagreed" in said["reason"]
    assert set(callers.got) == {"v1"}
    assert 'version="v2",result="failed"' not in await metrics(life)
    assert said["reason"] in await why(life)


async def test_a_canary_is_taken_back_by_what_it_predicts(lab):
    step = "{weight: 30%, mirror: 50%, hold: 1h}"
    lab.write(compared(f"{{canary: {{steps: [{step}]}}}}", gates=ALL))
    life = await lab.start()
    await begun(lab, 3_000)
    async with Callers(lab.port, per_s=100) as callers:
        await some(callers, "v2", 20)
        lab.versions["v2"].says = 0.75
        said = await lab.until("rolled_back", seconds=60)
        await some(callers, "v1", callers.got["v1"] + 50)
    assert said["weight_bp"] == 0
    assert "disagreed" in said["reason"]
    assert set(callers.got) == {"v1", "v2"}
    assert said["reason"] in await why(life)


async def test_a_candidate_that_predicts_the_same_goes_all_the_way(lab):
    lab.versions["v2"].raw = True
    steps = "{mirror: 100%, until: {samples: 60}}, {weight: 50%, mirror: 50%, hold: 1s}"
    strategy = f"{{canary: {{steps: [{steps}], bake: 1s}}}}"
    more = "detect: {times: 20, points: 40%}"
    lab.write(compared(strategy, gates=ALL, more=more))
    await lab.start()
    async with Callers(lab.port, per_s=200) as callers:
        await lab.until("completed", seconds=60)
        await some(callers, "v2", callers.got["v2"] + 50)
    assert set(callers.got) == {"v1", "v2"}


async def test_what_both_refuse_is_no_failure_of_the_shadow_and_what_it_alone_fails_is(lab):
    for version in lab.versions.values():
        version.fails = grpc.StatusCode.INVALID_ARGUMENT
    lab.write(compared(SHADOW, gates="[guard]"))
    life = await lab.start()
    async with Callers(lab.port, per_s=100) as callers:
        await until_it_says(life, r'version="v2",result="delivered"\} [1-9]', callers)
        assert 'version="v2",result="failed"' not in await metrics(life)
        lab.versions["v2"].fails = grpc.StatusCode.UNAVAILABLE
        await until_it_says(life, r'version="v2",result="failed"\} [1-9]', callers)
    assert set(callers.got) == {"INVALID_ARGUMENT"}


async def test_so_many_pairs_a_second_and_no_more_calls_to_stable_than_for_them(lab):
    lab.write(compared(SHADOW, more="mirroring: {per_second: 10}"))
    life = await lab.start()
    await lab.in_force(lambda s: s["mirror_bp"] == 10_000)
    async with Callers(lab.port, per_s=200) as callers:
        began_s = time.monotonic()
        await some(callers, "v1", 400)
    most = 10 * (time.monotonic() - began_s) + 15  # what came before the clock, and came together
    assert 5 < lab.versions["v2"].seen <= most
    assert lab.versions["v1"].seen - callers.got["v1"] <= most
    while not re.search(r'dropped_total\{[^}]*cause="rate"\} [1-9]', await metrics(life)):
        await asyncio.sleep(0.05)
    assert (await lab.status())["phase"] == "progressing"


async def until_it_says(life, what, callers, seconds=60):
    async with asyncio.timeout(seconds):
        while not re.search(what, await metrics(life)):
            name = "INVALID_ARGUMENT"
            await some(callers, name, callers.got[name] + 1)


async def why(life):
    """What the command says to who asks at a shell."""
    command = (sys.executable, "-m", "router", "why", "r", "--admin", life.admin)
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    return done.stdout + done.stderr
