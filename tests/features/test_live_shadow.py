"""Shadows on the flights of 2013, live: real services and a real router, over sockets.

``tests/core/pairs/test_shadow_flights.py`` has the same models without the network, so its times
are invented; here they are measured. The broken candidate is as fast as stable and answers 200.
"""

import asyncio

import pytest

from prediction_services.fleet import Fleet
from prediction_services.load.generator import LoadGenerator
from prediction_services.load.trips import flight_trips
from tests.models_cache import models_cache
from tests.reliability.whole import Router

pytestmark = pytest.mark.nightly

RATE_PER_S = 100
PAIRS = 1_000
GIVE_UP_S = 60
POLICY = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/rampway.db
routes:
  - name: flights
    payload: open_inference_v2
    versions:
      stable: {{endpoints: ["{stable}"]}}
      candidate: {{endpoints: ["{candidate}"]}}
    stable: stable
    rollout:
      candidate: candidate
      strategy: {{shadow: {{mirror: 100%, until: {{samples: {pairs}}}}}}}
      gates: [{gates}]
      compare: {{decide_on: [predict], score: predict_proba}}
"""
STATUS, TIME = "guard: {error_rate: 2%}", "shadow_slo: {slower_than: 100ms, margin: 2%}"
AGREEMENT, POSITIVE = "agreement: {at_least: %s%s}", "positive_rate: {margin: 5%%%s}"
SHOWN = ", dry_run: true"


async def shadowed(folder, version, *gates):
    """What the router says about a shadow of ``version`` when it has ended, and its figures."""
    async with Fleet(cache=models_cache()) as fleet:
        stable = await fleet.start_one("v2", name="stable")
        candidate = await fleet.start_one(version, name="candidate")
        policy = folder / "policy.yaml"
        policy.write_text(
            POLICY.format(
                folder=folder, stable=stable.url, candidate=candidate.url, pairs=PAIRS,
                gates=", ".join(f"{{{gate}}}" for gate in gates),
            )
        )  # fmt: skip
        router = Router(folder, policy)
        try:
            await asyncio.to_thread(router.serving)
            trips = flight_trips(models_cache())
            url = f"http://127.0.0.1:{router.port}"
            async with LoadGenerator(url, trips, rate_per_s=RATE_PER_S, seed=2013) as load:
                status = await ended(router)
            shadow = router.api("/api/v1/rollouts/flights/shadow")[1]["versions"]["candidate"]
        finally:
            router.end()
    assert load.tally.bad == 0
    assert set(load.tally.versions) == {"stable"}, "nobody got an answer of the candidate"
    print(f"{version}: {status['phase']}, {status['reason']}")
    print(f"  latency {shadow['latency']}, positive {shadow['positive']}")
    for name, gate in read(status).items():
        print(f"  {name}: {gate['verdict']}, {gate['sentence']}")
    return status, shadow


async def ended(router):
    async with asyncio.timeout(GIVE_UP_S):
        while True:
            status = await asyncio.to_thread(router.status)
            if status["phase"] in ("completed", "rolled_back"):
                return status
            await asyncio.sleep(0.1)


def read(status):
    return {gate["gate"]: gate for gate in status["gates"]}


def assert_green(status, *names):
    for name in names:
        gate = read(status)[name]
        assert gate["verdict"] == "pass", gate["sentence"]


@pytest.mark.parametrize(
    ("gate", "kind"),
    [(AGREEMENT % ("95%", ""), "agreement"), (POSITIVE % "", "positive_rate")],
)
async def test_a_broken_lookup_is_taken_back_while_status_and_time_are_green(tmp_path, gate, kind):
    status, shadow = await shadowed(tmp_path, "broken-zero", STATUS, TIME, gate)
    assert status["phase"] == "rolled_back"
    assert status["reason"].startswith(f"{kind}: ")
    assert_green(status, "guard", "shadow_slo")
    assert shadow["failed"] == 0


async def test_status_and_time_stay_green_over_a_thousand_pairs_of_it(tmp_path):
    """Nothing takes it back here: gates that read predictions only report."""
    gates = STATUS, TIME, AGREEMENT % ("95%", SHOWN), POSITIVE % SHOWN
    status, shadow = await shadowed(tmp_path, "broken-zero", *gates)
    assert status["phase"] == "completed"
    assert shadow["pairs"] >= PAIRS
    assert_green(status, "guard", "shadow_slo")
    assert {read(status)[name]["verdict"] for name in ("agreement", "positive_rate")} == {"fail"}


async def test_the_better_model_passes_all_of_them(tmp_path):
    gates = STATUS, TIME, AGREEMENT % ("95%", ""), POSITIVE % ""
    status, _ = await shadowed(tmp_path, "v3", *gates)
    assert status["phase"] == "completed"
    assert_green(status, "guard", "shadow_slo", "agreement", "positive_rate")


async def test_a_slow_model_is_taken_back_by_its_time_alone(tmp_path):
    """So that green means something."""
    time = "shadow_slo: {slower_than: 20ms, margin: 2%}"
    status, shadow = await shadowed(tmp_path, "slow", STATUS, time)
    assert status["phase"] == "rolled_back"
    assert status["reason"].startswith("shadow_slo: ")
    assert_green(status, "guard")
    assert shadow["failed"] == 0
