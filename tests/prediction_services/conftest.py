import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from prediction_services.predictor import StaticPredictor
from prediction_services.service import PredictionService
from tests.models_cache import models_cache

FLIGHT_ID = "UA1545.EWR.2013-01-01.0515"
"""The first flight of the data; it arrived 11 minutes late, so it was on time."""


@pytest.fixture(scope="session")
def cache() -> Path:
    """One cache for all runs, shared by parallel workers."""
    return models_cache()


@contextlib.asynccontextmanager
async def listening(service: PredictionService) -> AsyncIterator[str]:
    """The service on a real socket; gives its URL."""
    runner = web.AppRunner(service.application(), handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        service.stopping.set()
        await runner.cleanup()


@pytest.fixture
def serve():
    """`async with serve(service) as url`, for a service that already has its predictor."""
    return listening


@pytest.fixture
def until():
    """`await until(condition)`: polls with a deadline of 60 s."""

    async def wait(condition):
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
async def static_url() -> AsyncIterator[str]:
    service = PredictionService("static")
    service.use(StaticPredictor())
    async with listening(service) as url:
        yield url


@pytest.fixture
def flight_id() -> str:
    return FLIGHT_ID
