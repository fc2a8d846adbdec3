"""Processes: started, known, ended, whatever happens in between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from prediction_services.fleet import Fleet, ServiceError
from prediction_services.load import LoadGenerator, flight_trips, invented_trips

pytestmark = pytest.mark.services

REPOSITORY = Path(__file__).resolve().parents[2]
GONE_S = 60
"""What tells late from never on a busy machine."""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended but was not waited for yet is a zombie, and as good as gone.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def test_services_start_side_by_side_and_are_gone_afterwards(tmp_path):
    async with Fleet(cache=tmp_path) as fleet:
        first, second = await fleet.start("static", "static")
        assert first.url != second.url
        assert first.running
        assert second.running
        async with aiohttp.ClientSession() as session:
            for service in (first, second):
                async with session.get(f"{service.url}/v2/health/ready") as response:
                    assert response.status == 200

    assert not any(service.running or alive(service.pid) for service in (first, second))


async def test_one_service_stops_or_crashes_alone(tmp_path):
    async with Fleet(cache=tmp_path) as fleet:
        stopped, crashed, left = await fleet.start("static", "static", "static")
        await stopped.stop()
        crashed.kill()
        await crashed.stop()
        assert (stopped.running, crashed.running, left.running) == (False, False, True)


async def test_an_error_in_the_block_stops_the_services(tmp_path):
    services = []

    async def fail_inside():
        async with Fleet(cache=tmp_path) as fleet:
            services.extend(await fleet.start("static", "static"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_inside()
    assert len(services) == 2
    assert not any(alive(service.pid) for service in services)


async def test_faults_are_switched_and_counted(tmp_path):
    async with Fleet(cache=tmp_path) as fleet:
        service = await fleet.start_one("static", name="v4", faults={"error_rate": 1})
        load = LoadGenerator(service.url, invented_trips(10), rate_per_s=500, limit=20)
        async with load:
            await load.finished()
        assert load.tally.codes == {500: 20}
        assert (await service.faults())["injected"]["error"] == 20
        with pytest.raises(ServiceError, match="error_rate"):
            await service.set_faults(error_rate=7)
        await service.clear_faults()
        async with LoadGenerator(service.url, invented_trips(10), rate_per_s=500, limit=20) as load:
            await load.finished()
        assert load.tally.versions == {"v4": 20}


async def test_a_service_told_to_die_dies(tmp_path, until):
    async with Fleet(cache=tmp_path) as fleet:
        service = await fleet.start_one("static", faults={"die_after": 3})
        async with LoadGenerator(service.url, invented_trips(9), rate_per_s=50, limit=9) as load:
            await load.finished()
        await until(lambda: not service.running)

    assert load.tally.good == 3
    assert load.tally.bad == 6


async def test_a_start_that_fails_says_why(tmp_path):
    async with Fleet(cache=tmp_path) as fleet:
        taken = await fleet.start_one("static")
        with pytest.raises(ServiceError, match="address already in use"):
            await fleet.start_one("static", port=int(taken.url.rsplit(":", 1)[1]))
        fleet._ready_s = 0.01
        with pytest.raises(ServiceError, match="not ready within"):
            await fleet.start_one("static")


ORPHAN = """
import asyncio, os, pathlib, sys
from prediction_services.fleet import Fleet
async def main():
    async with Fleet(cache=pathlib.Path(sys.argv[1])) as fleet:
        service = await fleet.start_one("static")
        print(service.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_service_outlives_its_fleet(tmp_path, number):
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait(GONE_S)
        deadline_s = time.monotonic() + GONE_S
        while alive(pid):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def command(*arguments):
    return [sys.executable, "-m", "prediction_services", *map(str, arguments)]


def test_the_command_line_serves_and_drains(tmp_path):
    port_file = tmp_path / "port"
    process = subprocess.Popen(
        command("serve", "--version", "static", "--port-file", port_file, "--cache", tmp_path),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        events = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [event["event"] for event in events] == ["listening", "ready"]
        assert int(port_file.read_text()) == events[0]["port"]
        assert events[0]["pid"] == process.pid
        with urllib.request.urlopen(f"{events[0]['url']}/v2") as response:
            assert json.load(response)["version"] == "static"
        process.terminate()
        assert process.wait(GONE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_service_told_to_stop_while_it_trains_stops_at_once(tmp_path):
    process = subprocess.Popen(
        command("serve", "--version", "slow", "--cache", tmp_path),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert json.loads(process.stdout.readline())["event"] == "listening"
        process.terminate()
        assert process.wait(GONE_S) == 0
        assert '"ready"' not in process.stdout.read()
        assert not list(tmp_path.glob("*.skops"))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_the_command_line_loads_and_prints_json(static_url, tmp_path):
    arguments = ["--url", static_url, "--rate", 100, "--seconds", 2, "--seed", 4, "--invented"]
    finished = await asyncio.to_thread(
        subprocess.run,
        command("load", *arguments),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=GONE_S,
    )
    report = json.loads(finished.stdout)

    assert finished.returncode == 0
    assert report["sent"] == report["good"] > 60
    assert report["versions"] == {"static": report["sent"]}
    assert sum(second["sent"] for second in report["timeline"]) == report["sent"]


def test_light_parts_import_nothing_heavy():
    code = (
        "import sys, prediction_services.load, prediction_services.fleet,"
        " prediction_services.server\n"
        "print([m for m in ('numpy', 'scipy', 'pandas', 'sklearn', 'skops') if m in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert finished.stdout.strip() == "[]"


@pytest.mark.slow
async def test_a_trained_service_answers_real_flights_well(cache):
    """The whole way once: process, model, wire, load; the scores part late from punctual."""
    async with Fleet(cache=cache) as fleet:
        service = await fleet.start_one("v2")
        trips = flight_trips(cache)[:20_000:40]
        async with LoadGenerator(service.url, trips, rate_per_s=250, seed=1, limit=400) as load:
            await load.finished()
    truths = load.take_truths()

    assert load.tally.as_dict()["good"] == 400
    right = sum((truth.score >= 0.5) == truth.late for truth in truths)
    assert len(truths) > 370
    assert right / len(truths) > 0.86
