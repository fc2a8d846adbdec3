"""The admin API as strangers use it, before a live router: generated clients, generated requests.

`make test-api` installs openapi-python-client and schemathesis into an environment of their own,
whose interpreter the variable RAMPWAY_TEST_API_PYTHON names.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.api.stage import begun
from tests.live.kit import Lab

TOOLS = os.environ.get("RAMPWAY_TEST_API_PYTHON", "")
HERE = Path(__file__).parent
SEES_S = 280

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(not TOOLS, reason="run `make test-api`: it installs the generators"),
    pytest.mark.timeout(320),
]


@pytest.fixture
async def lab(tmp_path):
    async with Lab(tmp_path) as lab:
        await begun(lab)
        yield lab


async def run(*command, folder, **environment):
    """What it printed; fails with that if it does not end well."""
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, check=False, timeout=SEES_S,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-6_000:]}\n{done.stderr[-2_000:]}"
    return done.stdout


async def test_a_generated_client_reads_and_orders(lab, tmp_path):
    """Nothing of the document is left out, every answer has its type, an order is carried out."""
    admin = lab.lives[-1].admin
    said = await run(
        TOOLS, "-m", "openapi_python_client", "generate", "--url", f"{admin}/api/v1/openapi.json",
        "--output-path", str(tmp_path / "client"), "--fail-on-warning",
        "--config", str(HERE / "client.yaml"), folder=tmp_path,
    )  # fmt: skip
    assert "Generating" in said
    seen = json.loads(
        await run(TOOLS, str(HERE / "use_client.py"), str(tmp_path / "client"), admin,
                  folder=tmp_path)
    )  # fmt: skip
    assert seen == {
        "routes": ["r", "plain"],
        "gate": ["error_rate", "pass", True],
        "paused": [200, "paused", "paused by local: by a generated client"],
        "late": [412, "conflict", True],
        "back": ["rolled_back", 0],
        "journal": ["rollback", "pause"],
        "why": ["local", ["error_rate", "guard", "agreement", "promotion"]],
        "unknown": [404, "ProblemDocument"],
        "shadow": ["v2", True],
        "verdict": ["fail", False],
        "health": True,
    }
    now = await lab.status()
    assert (now["phase"], now["weight_bp"]) == ("rolled_back", 0)


@pytest.mark.parametrize(
    ("route", "phases"),
    [("", "examples,coverage,fuzzing"), ("r", "fuzzing,stateful")],
    ids=["anywhere", "at a route that is there"],
)
async def test_generated_requests_find_nothing(lab, tmp_path, route, phases):
    """Every answer is one that the document describes, for requests that are as it says or are not.

    The stream of events is left out: it does not end; tests/admin/test_stream.py reads it.
    """
    config = tmp_path / "schemathesis.toml"
    named = f'[parameters]\n"path.route" = "{route}"\n\n' if route else ""
    text = (HERE / "schemathesis.toml").read_text()
    config.write_text(text.replace("[checks", f"{named}[checks", 1))
    admin = lab.lives[-1].admin
    said = await run(
        TOOLS, "-m", "schemathesis.cli", "--config-file", str(config), "run",
        f"{admin}/api/v1/openapi.json", "--url", admin, "--checks", "all", "--max-examples", "10",
        "--exclude-path", "/api/v1/events", "--phases", phases, "--no-color", folder=tmp_path,
    )  # fmt: skip
    assert re.search(r"([0-9]{3,}) generated, \1 passed", said), said[-2_000:]
    assert (await lab.get("/healthz"))["ok"]
