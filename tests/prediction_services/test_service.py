import asyncio
import json
import threading

import aiohttp
import pytest

from prediction_services.faults import Faults
from prediction_services.predictor import StaticPredictor
from prediction_services.service import PredictionService

INFER = "/v2/models/flight-delay/infer"
PREDICT = "/v1/models/flight-delay:predict"


def infer_body(flight_id, request_id="r-1"):
    tensor = {"name": "flight_id", "shape": [1], "datatype": "BYTES", "data": [flight_id]}
    return {"id": request_id, "inputs": [tensor]}


@pytest.fixture
async def client():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


async def put_faults(client, url, **faults):
    async with client.put(f"{url}/admin/faults", json=faults) as response:
        assert response.status == 200
        return await response.json()


class BlockingPredictor:
    """Holds its worker until released, as a slow model does."""

    instant = False

    def __init__(self):
        self.release = threading.Event()

    def scores(self, flights):
        assert self.release.wait(10)
        return [0.5] * len(flights)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2", {"name": "prediction-services", "version": "static", "extensions": []}),
        ("/v2/models/flight-delay/ready", {"name": "flight-delay", "ready": True}),
        ("/v2/models/flight-delay/versions/static/ready", {"name": "flight-delay", "ready": True}),
        ("/v1/models", {"models": ["flight-delay"]}),
        ("/v1/models/flight-delay", {"name": "flight-delay", "ready": True}),
    ],
)
async def test_health_and_metadata(client, static_url, path, document):
    async with client.get(static_url + path) as response:
        assert (response.status, await response.json()) == (200, document)


async def test_model_metadata_names_every_tensor(client, static_url, flight_id):
    async with client.get(f"{static_url}/v2/models/flight-delay") as response:
        document = await response.json()

    assert document["name"] == "flight-delay"
    assert document["versions"] == ["static"]
    assert [t["name"] for t in document["outputs"]] == ["predict", "predict_proba"]
    async with client.post(static_url + INFER, json=infer_body(flight_id)) as response:
        answer = await response.json()
    described = {t["name"]: (t["datatype"], len(t["shape"])) for t in document["outputs"]}
    sent = {t["name"]: (t["datatype"], len(t["shape"])) for t in answer["outputs"]}
    assert sent == described


async def test_v2_infer(client, static_url, flight_id):
    async with client.post(static_url + INFER, json=infer_body(flight_id)) as response:
        answer = await response.json()

    assert response.status == 200
    assert (answer["model_name"], answer["model_version"]) == ("flight-delay", "static")
    assert answer["id"] == "r-1"
    score = answer["outputs"][1]["data"][1]
    assert answer["outputs"][0]["data"] == [int(score >= 0.5)]
    async with client.post(
        f"{static_url}/v2/models/flight-delay/versions/static/infer", json=infer_body(flight_id)
    ) as response:
        assert await response.json() == answer


@pytest.mark.parametrize("path", [PREDICT, PREDICT.replace(":", "%3A")])
async def test_v1_predict(client, static_url, flight_id, path):
    from yarl import URL

    url = URL(static_url + path, encoded=True)
    async with client.post(url, json={"instances": [flight_id, flight_id]}) as response:
        answer = await response.json()

    assert response.status == 200
    assert len(answer["predictions"]) == 2
    assert 0 <= answer["predictions"][0] <= 1


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        (("POST", INFER, b"{"), 400, "body: not JSON"),
        (("POST", INFER, b"{}"), 400, "inputs: expected"),
        (("POST", INFER, b" " * 1_100_000), 413, ""),
        (("POST", PREDICT, b'{"instances": [{"carrier": "UA"}]}'), 400, "instances[0].flight"),
        (("POST", "/v2/models/other/infer", b"{}"), 404, "no model other"),
        (("POST", "/v2/models/flight-delay/versions/v9/infer", b"{}"), 404, "no version v9"),
        (("GET", "/v2/models/other/ready", None), 404, "no model other"),
        (("GET", "/nothing", None), 404, "Not Found"),
        (("DELETE", INFER, None), 405, "Not Allowed"),
    ],
)
async def test_refusals_are_json_and_name_the_field(client, static_url, request_, status, says):
    method, path, body = request_
    async with client.request(method, static_url + path, data=body) as response:
        assert response.status == status
        assert says in (await response.json())["error"]
    if status == 405:
        assert response.headers["Allow"] == "POST"


async def test_before_the_model_is_loaded_the_service_lives_but_is_not_ready(client, serve):
    service = PredictionService("v2")
    async with serve(service) as url:
        statuses = {}
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/flight-delay/ready"):
            async with client.get(url + path) as response:
                statuses[path] = response.status
        async with client.post(url + INFER, json={}) as response:
            statuses[INFER] = response.status

    assert list(statuses.values()) == [200, 503, 503, 503]


async def test_a_full_pool_answers_429_and_recovers(client, serve, flight_id, until):
    predictor = BlockingPredictor()
    service = PredictionService("slow", workers=1, waiting_max=1)
    service.use(predictor)

    async with serve(service) as url:

        async def ask():
            async with client.post(url + INFER, json=infer_body(flight_id)) as response:
                return response.status, response.headers.get("Retry-After")

        admitted = [asyncio.create_task(ask()) for _ in range(2)]
        await until(lambda: service.busy == 2)
        refused = await ask()
        predictor.release.set()
        assert refused == (429, "1")
        assert [await task for task in admitted] == [(200, None)] * 2
        assert await ask() == (200, None)


async def test_a_client_that_leaves_does_not_free_a_worker_that_still_works(
    client, serve, flight_id, until
):
    predictor = BlockingPredictor()
    service = PredictionService("slow", workers=1, waiting_max=0)
    service.use(predictor)

    async with serve(service) as url:
        leaving = asyncio.create_task(client.post(url + INFER, json=infer_body(flight_id)))
        await until(lambda: service.busy == 1)
        leaving.cancel()
        await asyncio.wait([leaving])
        async with client.post(url + INFER, json=infer_body(flight_id)) as response:
            assert response.status == 429
        predictor.release.set()
        await until(lambda: service.busy == 0)


async def test_metrics_count_answers_by_status(client, static_url, flight_id):
    await (await client.post(static_url + INFER, json=infer_body(flight_id))).read()
    await (await client.post(static_url + INFER, json={})).read()
    async with client.get(f"{static_url}/metrics") as response:
        text = await response.text()

    assert 'prediction_requests_total{code="200"} 1.0' in text
    assert 'prediction_requests_total{code="400"} 1.0' in text
    assert "prediction_seconds_count 1.0" in text
    assert "prediction_ready 1.0" in text


# ------------------------------------------------------------------------------------- faults


async def test_faults_are_shown_replaced_and_cleared(client, static_url):
    shown = await put_faults(client, static_url, error_rate=0.5, seed=3)
    assert shown["faults"]["error_rate"] == 0.5
    replaced = await put_faults(client, static_url, latency_ms=1)
    assert replaced["faults"]["error_rate"] == 0.0
    async with client.delete(f"{static_url}/admin/faults") as response:
        assert (await response.json())["faults"] == Faults().model_dump()


@pytest.mark.parametrize(
    ("body", "field"),
    [(b'{"error_rate": 2}', "error_rate"), (b'{"eror_rate": 1}', "eror_rate"), (b"[", "body")],
)
async def test_wrong_faults_change_nothing(client, static_url, body, field):
    await put_faults(client, static_url, latency_ms=1)
    async with client.put(f"{static_url}/admin/faults", data=body) as response:
        assert (response.status, (await response.json())["field"]) == (400, field)
    async with client.get(f"{static_url}/admin/faults") as response:
        assert (await response.json())["faults"]["latency_ms"] == 1


async def test_error_fault(client, static_url, flight_id):
    await put_faults(client, static_url, error_rate=1, error_status=503)
    async with client.post(static_url + INFER, json=infer_body(flight_id)) as response:
        assert (response.status, await response.json()) == (503, {"error": "injected fault"})


async def test_latency_fault(client, static_url, flight_id):
    await put_faults(client, static_url, latency_ms=80)
    begun = asyncio.get_running_loop().time()
    async with client.post(static_url + INFER, json=infer_body(flight_id)) as response:
        assert response.status == 200
    assert asyncio.get_running_loop().time() - begun >= 0.08


@pytest.mark.parametrize(
    ("path", "missing", "body"),
    [
        (INFER, "outputs", infer_body("UA1545.EWR.2013-01-01.0515")),
        (PREDICT, "predictions", {"instances": ["UA1545.EWR.2013-01-01.0515"]}),
    ],
)
async def test_schema_fault_is_valid_json_of_another_shape(client, static_url, path, missing, body):
    await put_faults(client, static_url, schema_rate=1)
    async with client.post(static_url + path, json=body) as response:
        answer = await response.json()

    assert response.status == 200
    assert missing not in answer
    assert "result" in answer


async def test_nan_and_shift_faults(client, static_url, flight_id):
    async def score():
        async with client.post(static_url + INFER, json=infer_body(flight_id)) as response:
            text = await response.text()
        return text if "NaN" in text else json.loads(text)["outputs"][1]["data"][1]

    before = await score()
    await put_faults(client, static_url, score_shift=-0.25)
    assert await score() == pytest.approx(max(0.0, before - 0.25))
    await put_faults(client, static_url, nan_rate=1)
    assert '"data":[NaN,NaN]' in await score()


async def test_truncate_fault_promises_more_than_it_sends(client, static_url, flight_id):
    await put_faults(client, static_url, truncate_rate=1)
    async with client.post(static_url + INFER, json=infer_body(flight_id)) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_reset_fault(client, static_url, flight_id):
    await put_faults(client, static_url, reset_rate=1)
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await client.post(static_url + INFER, json=infer_body(flight_id))


async def test_hang_fault_leaves_health_alone_and_ends_with_the_service(
    client, serve, flight_id, until
):
    service = PredictionService("static", faults=Faults(hang_rate=1))
    service.use(StaticPredictor())
    async with serve(service) as url:
        leaving = asyncio.create_task(client.post(url + INFER, json=infer_body(flight_id)))
        await until(lambda: service.injected["hang"] == 1)
        async with client.get(f"{url}/v2/health/ready") as response:
            assert response.status == 200
        assert not leaving.done()
        leaving.cancel()
        await asyncio.wait([leaving])
        hanging = asyncio.create_task(client.post(url + INFER, json=infer_body(flight_id)))
        await until(lambda: service.injected["hang"] == 2)
        begun = asyncio.get_running_loop().time()
    with pytest.raises(aiohttp.ClientError):
        await hanging
    assert asyncio.get_running_loop().time() - begun < 9, "before its own time-out of 10 s"


async def test_die_after_ends_the_process(client, serve, flight_id):
    deaths = []
    service = PredictionService("x", faults=Faults(die_after=1), die=lambda: deaths.append(1))
    service.use(StaticPredictor())
    async with serve(service) as url:
        for expected in (0, 1):
            async with client.post(url + INFER, json=infer_body(flight_id)) as response:
                await response.read()
            assert len(deaths) == expected
