"""gRPC through Envoy under the same policy, with grpcio at both ends."""

import pytest

from tests.fleet.kit import (
    NEEDS_ENVOY,
    Callers,
    begun,
    beyond_on_this_machine,
    called,
    counted_in,
    metrics,
    some,
)
from tests.fleet.test_envoy import HALF, RESCUE, STICKY
from tests.live.kit import route

grpc = pytest.importorskip("grpc", reason="needs grpcio: pip install '.[fleet]'")
pytestmark = [*NEEDS_ENVOY, pytest.mark.xdist_group("calls")]


def calls(strategy, **more):
    return route(strategy, **more).replace("path: /r*", "path: /inference.*")


@pytest.fixture
async def lab(tmp_path):
    async with called(tmp_path) as one:
        yield one


async def test_each_caller_keeps_a_version_and_what_was_sent_arrives(lab):
    lab.write(calls("{canary: {steps: [{weight: 30%, hold: 1h}]}}", head=STICKY))
    await lab.start()
    await begun(lab, 3_000)
    async with Callers(lab.port, per_s=1, at_once=1) as callers:
        await some(callers, "v2", 1)  # Envoy has asked for the new share
        first = {f"p{n}": await callers.one(f"p{n}") for n in range(300)}
        again = {user: await callers.one(user) for user in first}
    assert first == again
    assert set(first.values()) == {"v1", "v2"}
    assert 50 < sum(version == "v2" for version in first.values()) < 130
    assert 1.0 < lab.versions["v2"].remaining_s < 5.5
    assert lab.versions["v2"].told["x-user-id"][0] in "pu"  # of the first ones, or of these


@pytest.mark.parametrize(("per_s", "beyond"), [(50, 1), (500, 3)])
async def test_a_candidate_whose_calls_fail_is_taken_back_by_their_status(lab, per_s, beyond):
    lab.write(calls(HALF))
    await lab.start()
    await begun(lab)
    async with Callers(lab.port, per_s=per_s) as callers:
        await some(callers, "v2", 30)
        lab.versions["v2"].fails = grpc.StatusCode.UNAVAILABLE
        said = await lab.until("rolled_back")
    counted = counted_in(said)
    assert counted <= len(callers.failures), said["reason"]
    assert callers.failed_behind(counted) <= beyond_on_this_machine(beyond, per_s), said["reason"]


@pytest.mark.parametrize("status", ["UNAVAILABLE", "UNKNOWN", "INTERNAL", "DATA_LOSS"])
async def test_stable_answers_in_the_place_of_a_failed_call(lab, status):
    lab.write(calls(HALF, more=RESCUE))
    await lab.start()
    await begun(lab)
    async with Callers(lab.port, per_s=300) as callers:
        await some(callers, "v2", 30)
        lab.versions["v2"].fails = getattr(grpc.StatusCode, status)
        await lab.until("rolled_back")
    assert set(callers.got) == {"v1", "v2"}


async def test_a_status_behind_the_first_headers_is_not_rescued_but_counted(lab):
    lab.write(calls(HALF, more=RESCUE))
    await lab.start()
    await begun(lab)
    lab.versions["v2"].headers_first = True
    lab.versions["v2"].fails = grpc.StatusCode.UNAVAILABLE
    async with Callers(lab.port, per_s=50) as callers:
        said = await lab.until("rolled_back")
    assert 0 < callers.got["UNAVAILABLE"] <= counted_in(said) + beyond_on_this_machine(1, 50)


async def test_a_callers_own_mistake_is_no_failure_of_the_version(lab):
    lab.write(calls(HALF, more=RESCUE))
    await lab.start()
    await begun(lab)
    for version in lab.versions.values():
        version.fails = grpc.StatusCode.INVALID_ARGUMENT
    async with Callers(lab.port, per_s=200) as callers:
        await some(callers, "INVALID_ARGUMENT", 100)
        said = await lab.status()
    assert said["phase"] == "progressing"


async def test_copies_of_calls_reach_the_shadow_and_its_failures_are_seen(lab):
    lab.versions["v2"].fails = grpc.StatusCode.INTERNAL
    lab.write(calls("{shadow: {mirror: 100%, hold: 1h}}", gates="[guard]"))
    life = await lab.start()
    async with Callers(lab.port, per_s=100) as callers:
        while 'version="v2",result="failed"' not in await metrics(life):
            await some(callers, "v1", callers.got["v1"] + 1)
    assert set(callers.got) == {"v1"}
    assert lab.versions["v2"].seen > 0
