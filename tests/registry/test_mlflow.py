"""Registry write-back against a real MLflow server, where its package is installed.

``make test-registry`` installs it into an environment of its own, whose interpreter the variable
RAMPWAY_TEST_MLFLOW_PYTHON names.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time

import aiohttp
import pytest

from router.core.rollout.events import Rollback
from router.core.rollout.rollout import Phase
from tests.registry.conftest import said

PYTHON = os.environ.get("RAMPWAY_TEST_MLFLOW_PYTHON", sys.executable)
START_S = 90.0


def installed():
    found = subprocess.run(
        [PYTHON, "-c", "import importlib.util as u, sys; sys.exit(not u.find_spec('mlflow'))"],
        check=False,
    )
    return found.returncode == 0


pytestmark = [
    pytest.mark.registry,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not installed(), reason="mlflow is not installed: make test-registry"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The URL of an MLflow tracking server with a database of its own."""
    folder = tmp_path_factory.mktemp("mlflow")
    log = folder / "log"
    command = [PYTHON, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "0",
               "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/m.db",
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=folder, env=environment, start_new_session=True
        )
    try:
        yield _listening(log, process)
    finally:
        os.killpg(process.pid, 15)
        process.wait(10)


def _listening(log, process):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", text):
            return found[1]
        assert process.poll() is None, text[-2_000:]
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace")[-2_000:])


class Mlflow:
    """Its REST API as a person would use it."""

    def __init__(self, url, session):
        self.url, self.session = url + "/api/2.0/mlflow", session

    async def call(self, method, path, body=None):
        async with self.session.request(method, f"{self.url}/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def model(self, versions):
        """A registered model with that many versions, each from a run of its own."""
        await self.call("POST", "registered-models/create", {"name": "delay"})
        for _ in range(versions):
            run = await self.call("POST", "runs/create", {"experiment_id": "0"})
            info = run["run"]["info"]
            about = {"name": "delay", "run_id": info["run_id"], "source": info["artifact_uri"]}
            await self.call("POST", "model-versions/create", about)

    async def aliases(self):
        found = await self.call("GET", "registered-models/get?name=delay")
        listed = found["registered_model"].get("aliases", ())
        return {one["alias"]: one["version"] for one in listed}


async def until_aliases(world, mlflow, expected):
    deadline = time.monotonic() + 60
    while (seen := await mlflow.aliases()) != expected:
        assert time.monotonic() < deadline, (seen, expected, said(world))
        await world.run(0.25, tick=0.25)
        await asyncio.sleep(0.02)


async def test_aliases_of_a_real_registry_follow_the_rollout(registered, server):
    async with aiohttp.ClientSession() as session:
        mlflow = Mlflow(server, session)
        await mlflow.model(versions=2)
        async with registered(server, steps="[{weight: 1%, hold: 20s}]") as w:
            await until_aliases(w, mlflow, {"champion": "1", "challenger": "2"})
            await w.until(lambda: w.rollout.phase is Phase.COMPLETED)
            await until_aliases(w, mlflow, {"champion": "2"})
            await w.order(Rollback("ann", "undo"))
            await until_aliases(w, mlflow, {"champion": "1"})
        assert w.counts["registry", "failed"] == 0

        async with registered(server, more="x", steps="[{weight: 1%, hold: 9h}]") as w:
            await w.until(lambda: said(w))
        (text,) = said(w)
        assert "MLflow answered 404: Registered Model with name=delayx not found" in text
