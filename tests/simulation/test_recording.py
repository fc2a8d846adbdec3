"""Traffic read from what the router itself recorded."""

import json

import pytest

from router.core.wire.histogram import BUCKETS, bucket_of
from router.simulation.recording import read_traffic
from tests.cli.conftest import rampway
from tests.control.conftest import World, canary


@pytest.fixture
async def recorded(tmp_path):
    """A rollout of two minutes at a hundred requests a second, recorded."""
    file = tmp_path / "recording"
    w = await World(f"recording: {{file: {file}}}\n{canary()}").start()
    await w.run(110, rate=100, candidate=0.02, stable=0.02)
    w.reconciler.recording.close()
    (tmp_path / "policy.yaml").write_text(canary())
    return file


async def test_rate_and_bad_answers_are_those_of_the_recording(recorded):
    with recorded.open() as lines:
        traffic, skipped = read_traffic(lines, "r")
    assert skipped == 0
    assert traffic.requests == pytest.approx(11_000, rel=0.02)
    assert traffic.bad / traffic.requests == pytest.approx(0.02, abs=0.005)
    scenario = traffic.scenario()
    assert scenario.requests_per_s == pytest.approx(100, rel=0.02)
    assert scenario.latency is None


async def test_what_was_learned_of_latency_is_read_and_nonsense_is_counted(recorded):
    buckets = [0] * BUCKETS
    buckets[bucket_of(0.2)] = 600
    told = recorded.read_text().splitlines()
    past = {"route": "r", "kind": "learn", "t": 99.0, "baseline": {"latency_buckets": buckets}}
    told.append(json.dumps(past))
    told += ["[]", '{"route":"r","kind":"batch"}', '{"route":"other","kind":"batch"}', "{"]
    traffic, skipped = read_traffic(told, "r")
    assert skipped == 3
    assert traffic.scenario().latency.past == tuple(buckets)


async def test_the_command_reads_it(recorded):
    ended = rampway(
        "simulate", str(recorded.with_name("policy.yaml")), "--log", str(recorded), "--runs", "2",
        "--candidate", "60%",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "stable: bad in 2." in ended.out or "stable: bad in 1." in ended.out
    assert "rolled back 100 %" in ended.out


def test_a_recording_of_another_route_has_no_traffic(tmp_path):
    traffic, _ = read_traffic(['{"route":"x","kind":"begin"}'], "r")
    with pytest.raises(ValueError, match="two requests"):
        traffic.scenario()
