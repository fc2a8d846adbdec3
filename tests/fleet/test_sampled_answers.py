"""Predictions that users were given through Envoy: read as they pass, judged by the same gates."""

import asyncio
import re

import pytest

from tests.fleet.kit import NEEDS_ENVOY, EnvoyLab, begun, metrics
from tests.live.kit import Clients, route

pytestmark = [*NEEDS_ENVOY, pytest.mark.xdist_group("sampled")]

SAMPLED = "payload: open_inference_v2\npredictions: {sample: %s, score: y, range: [0, 1]}"
HALF = "{canary: {steps: [{weight: 50%, hold: 1h}]}}"
GATES = "[error_rate, {scores: {}}]"


def sampled(strategy=HALF, *, share="100%", gates=GATES, **more):
    return route(strategy, gates=gates, head=SAMPLED % share, **more)


@pytest.fixture
async def lab(tmp_path):
    async with EnvoyLab(tmp_path) as one:
        yield one


async def test_a_candidate_that_predicts_otherwise_is_taken_back_by_what_users_were_given(lab):
    lab.versions["v2"].value = b"0.75"
    lab.write(sampled())
    life = await lab.start()
    await begun(lab)
    async with Clients(lab.port, per_s=200) as clients:
        said = await lab.until("rolled_back", seconds=60)
    print(said["reason"])
    print("\n".join(l for l in (await metrics(life)).splitlines() if "sample" in l))
    assert said["reason"].startswith("scores: ")
    assert {status for _, status, _ in clients.answers} == {200}
    assert clients.lost == 0
