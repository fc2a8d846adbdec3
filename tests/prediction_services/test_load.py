"""The load generator's plan and its honesty: what it counts is what the server did."""

import asyncio
import itertools
import json
import math
import statistics
import time
from collections import Counter

import pytest

from prediction_services.faults import KINDS, Faults
from prediction_services.load import (
    Arrivals,
    LoadGenerator,
    Tally,
    Trip,
    flight_trips,
    invented_trips,
)
from prediction_services.load.client import Client, TransportError
from prediction_services.load.tally import Latencies
from prediction_services.predictor import StaticPredictor
from prediction_services.service import PredictionService

pytestmark = pytest.mark.services

TRIPS = invented_trips(500, seed=1)
HANGS_S = 5.0
"""What takes longer never ends: any other answer comes sooner, on a busy machine as well."""


def plan(count, **options):
    return list(itertools.islice(Arrivals(TRIPS, **{"seed": 1} | options), count))


async def run(url, count, **options):
    """Send exactly `count` requests and return the generator when all have ended."""
    options = {"rate_per_s": 2_000, "seed": 1, "limit": count} | options
    async with LoadGenerator(url, TRIPS, **options) as load:
        await load.finished()
    return load


@pytest.fixture
def faulty(serve):
    """A static service with faults; gives service and URL."""

    def make(**faults):
        service = PredictionService("static", faults=Faults(**faults))
        service.use(StaticPredictor())
        return service, serve(service)

    return make


# --------------------------------------------------------------------------------------- plan


def test_the_same_seed_makes_the_same_plan_and_another_does_not():
    assert plan(300) == plan(300)
    assert plan(300) != plan(300, seed=2)


def test_gaps_are_exponential():
    waits = [arrival.wait for arrival in plan(20_000)]

    assert statistics.mean(waits) == pytest.approx(1.0, abs=0.03)
    assert statistics.stdev(waits) == pytest.approx(1.0, abs=0.05)
    assert statistics.median(waits) == pytest.approx(math.log(2), abs=0.03)


def test_users_are_zipf():
    users = Counter(arrival.user for arrival in plan(50_000, users=100, exponent=1.0))
    first = 1 / sum(1 / rank for rank in range(1, 101))

    for rank in (1, 2, 4):
        assert users[f"user-{rank}"] / 50_000 == pytest.approx(first / rank, rel=0.08)


def test_trips_are_asked_in_order_and_begin_anew():
    asked = [arrival.trip for arrival in plan(1_200)]

    assert asked == [TRIPS[number % 500] for number in range(1_200)]


def test_real_trips_follow_time_from_march_and_know_the_truth(cache):
    trips = flight_trips(cache)

    assert trips[0].flight_id.split(".")[2] == "2013-03-01"
    dates = [trip.flight_id.split(".")[2] for trip in trips[:20_000:500]]
    assert dates == sorted(dates)
    known = [trip.late for trip in trips[0:28_834:10] if trip.late is not None]
    assert sum(known) / len(known) == pytest.approx(0.228, abs=0.02)
    assert flight_trips(cache, month=7)[0].flight_id.split(".")[2] == "2013-07-01"
    assert trips[-1] == trips[len(trips) - 1]
    with pytest.raises(IndexError):
        trips[len(trips)]


# ------------------------------------------------------------------------------------ honesty


@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_percent_errors_are_counted_exactly(faulty, seed):
    service, serving = faulty(error_rate=0.1, error_status=503, seed=seed)
    async with serving as url:
        load = await run(url, 400)
    errors = service.injected["error"]

    assert 15 < errors < 75
    assert load.tally.sent == load.tally.answered == 400
    assert load.tally.codes == {200: 400 - errors, 503: errors}
    assert (load.tally.good, load.tally.bad) == (400 - errors, errors)
    assert load.tally.server_errors == errors


@pytest.mark.parametrize(
    ("kind", "field", "name"),
    [
        ("reset", "transport_errors", "reset"),
        ("truncate", "transport_errors", "truncated"),
        ("hang", "transport_errors", "timeout"),
        ("schema", "malformed", "schema"),
        ("nan", "malformed", "nan"),
    ],
)
async def test_each_fault_is_counted_exactly_under_its_name(faulty, kind, field, name):
    service, serving = faulty(**{f"{kind}_rate": 0.2}, seed=3)
    async with serving as url:
        load = await run(url, 100, timeout_s=HANGS_S)
    met = service.injected[kind]

    assert 5 < met < 40
    assert getattr(load.tally, field) == {name: met}
    assert (load.tally.sent, load.tally.good, load.tally.bad) == (100, 100 - met, met)


async def test_all_faults_together_leave_nothing_uncounted(faulty):
    service, serving = faulty(**{f"{kind}_rate": 0.08 for kind in KINDS}, seed=4)
    async with serving as url:
        load = await run(url, 300, timeout_s=HANGS_S)
    injected, tally = service.injected, load.tally

    assert tally.sent == injected["requests"] == 300
    unseen = {"unknown", "swapped", "previous"}  # good answers, as far as a client can tell
    assert tally.bad == sum(injected[kind] for kind in KINDS if kind not in unseen)
    assert sum(second.sent for _, second in load.timeline) == 300
    assert load.open == 0


async def test_a_refused_connection_is_counted():
    load = await run("http://127.0.0.1:9", 5)

    assert load.tally.transport_errors == {"connect": 5}
    assert load.tally.as_dict()["bad"] == 5


async def test_latency_runs_from_the_planned_moment(faulty):
    _, serving = faulty(latency_ms=100)
    async with serving as url:
        load = await run(url, 40)

    assert load.tally.latencies.quantile_s(0.01) >= 0.099
    assert load.report()["latency_ms"]["p50"] >= 99


def _rate(planned):
    return (len(planned) - 1) / (planned[-1] - planned[0])


async def test_the_rate_holds_and_may_be_changed(static_url):
    """By the planned moments, before which nothing is sent: how busy the machine is, is no part."""
    planned, early = {}, []

    def note(answer):
        planned[int(answer.request_id.partition("-")[2])] = time.perf_counter() - answer.latency_s
        early.extend([answer] if answer.latency_s < 0 else [])

    options = {"rate_per_s": 100, "seed": 1, "limit": 701, "on_answer": note}
    async with LoadGenerator(static_url, TRIPS, **options) as load:
        while load.tally.sent < 100:
            await asyncio.sleep(0.005)
        begun = load.tally.sent + load.open
        load.rate_per_s = 600
        await load.finished()
    moments = [planned[number] for number in range(701)]

    assert 65 < _rate(moments[:begun]) < 160  # Poisson: some 10 of 100 are a standard deviation
    assert 450 < _rate(moments[begun + 1 :]) < 750
    assert early == []
    assert load.tally.bad == 0
    with pytest.raises(ValueError, match="rate_per_s"):
        load.rate_per_s = 0


async def test_stop_waits_for_open_requests(faulty):
    service, serving = faulty(latency_ms=300)
    async with serving as url:
        async with LoadGenerator(url, TRIPS, rate_per_s=200, seed=1) as load:
            while load.open <= 10:
                await asyncio.sleep(0.005)
        assert load.tally.sent == load.tally.good == service.injected["requests"] > 10


async def test_truths_follow_good_answers_only(faulty):
    _, serving = faulty(error_rate=0.5, seed=1)
    labels = [True, False, None] * 9
    trips = [Trip(TRIPS[row].flight_id, late) for row, late in enumerate(labels)]
    answers = []
    async with serving as url:
        options = {"rate_per_s": 1_000, "seed": 7, "limit": len(trips)}
        async with LoadGenerator(url, trips, on_answer=answers.append, **options) as load:
            await load.finished()
    truths = load.take_truths()
    expected = {a.request_id: a.trip.late for a in answers if a.good and a.trip.late is not None}

    assert {truth.request_id: truth.late for truth in truths} == expected
    assert 0 < len(truths) < 18
    assert {truth.version for truth in truths} == {"static"}
    assert load.take_truths() == []


# --------------------------------------------------------------------- answers of odd servers


@pytest.fixture
async def scripted():
    """A server that answers every request with given bytes, `{id}` filled in, and may close."""
    servers = []

    async def start(answer, *, close=False):
        async def serve(reader, writer):
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                    document = json.loads(await reader.readexactly(length))
                    writer.write(answer.replace(b"{id}", document["id"].encode()))
                    await writer.drain()
                    if close:
                        break
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()


def framed(document, head=b""):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    # The ids 1-0 to 1-9 of ten requests are equally long, so one Content-Length holds for all.
    length = len(body.replace(b"{id}", b"1-2"))
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (head, length, body)


def answer(score=0.7, request_id="{id}"):
    tensor = {"name": "predict_proba", "shape": [1, 2], "data": [1 - score, score]}
    return {"id": request_id, "model_version": "v7", "outputs": [tensor]}


@pytest.mark.parametrize(
    ("reply", "close", "problem"),
    [
        (framed(answer()), False, None),
        (framed(answer(), b"X-Rampway-Version: v8\r\n"), False, None),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + framed(answer()), False, None),
        (b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(answer()).encode(), True, None),
        (framed(answer(request_id="1-9999")), False, "answer to another request"),
        (framed(answer(score=1.5)), False, "score out of range"),
        (framed(b"oops"), False, "not json"),
        (framed({"model_version": "v7", "id": "{id}"}), False, "schema"),
        (framed([]), False, "schema"),
    ],
)
async def test_bodies_are_read_not_believed(scripted, reply, close, problem):
    load = await run(await scripted(reply, close=close), 10)

    assert load.tally.answered == 10
    assert load.tally.malformed == ({} if problem is None else {problem: 10})
    assert load.tally.good == (10 if problem is None else 0)
    if problem is None:
        assert load.tally.versions == {"v8" if b"v8" in reply else "v7": 10}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nhalf", "truncated"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "truncated"),
        (b"SSH-2.0-OpenSSH\r\n", "not http"),
    ],
)
async def test_broken_transports_are_named(scripted, reply, kind):
    load = await run(await scripted(reply, close=True), 5)

    assert load.tally.transport_errors == {kind: 5}


async def test_connections_are_kept_and_reused(static_url):
    client = Client(f"{static_url}/v1/models/flight-delay:predict", {})
    body = json.dumps({"instances": [TRIPS[0].flight_id]}).encode()
    for _ in range(5):
        assert (await client.post(body, {}, 5.0)).status == 200
    assert len(client._idle) == 1
    client.close()


async def test_the_client_is_for_http_and_says_so():
    with pytest.raises(ValueError, match="http URL"):
        Client("https://example.test/", {})
    client = Client("http://127.0.0.1:9/", {})
    with pytest.raises(TransportError, match="connect"):
        await client.post(b"", {}, 1.0)


def test_quantiles_are_right_within_one_percent():
    latencies = Latencies()
    for value in range(1, 10_001):
        latencies.record(value / 10_000)

    for share in (0.01, 0.5, 0.95, 0.99, 1.0):
        assert latencies.quantile_s(share) == pytest.approx(share, rel=0.0101)
    assert math.isnan(Latencies().quantile_s(0.5))
    assert Tally().as_dict()["latency_ms"] == {}
