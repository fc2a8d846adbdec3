"""The router image's steps in a bare folder: what comes out is compiled, starts, and is healthy."""

import json
import subprocess
import urllib.request

import pytest

from tests.install.dockerfile import built
from tests.install.serving import wait_ready
from tests.install.shell import ROOT, run
from tests.ports import free_port

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The router image."""
    folder = tmp_path_factory.mktemp("image")
    return built(ROOT / "deploy/Dockerfile", "router", folder / "root", ROOT)


def test_the_command_is_the_compiled_one(image):
    said = run("rampway", "version", "--output", "json", cwd=image.cwd(), env=image.env())
    assert json.loads(said)["hot path"].startswith("compiled")


def test_it_starts_with_its_own_command_and_is_healthy(image):
    """Endpoints are names of other containers, which nobody is here: alive all the same."""
    listen, admin = free_port(), free_port()
    policy = image.root / "etc/rampway/rampway.yaml"
    text = image.here((ROOT / "deploy/policy/rampway.yaml").read_text())
    ports = {"0.0.0.0:8080": f"127.0.0.1:{listen}", ":8081": f":{admin}", "//v": "//127.0.0.1:9#"}
    for old, new in ports.items():
        assert old in text
        text = text.replace(old, new)
    policy.write_text(text.replace("#2:9000", "").replace("#3:9000", ""))
    command = [image.here(part) for part in (*image.entrypoint, *image.command)]
    with subprocess.Popen(
        command, cwd=image.cwd(), env=image.env(), stderr=subprocess.PIPE, text=True
    ) as router:
        try:
            wait_ready(f"http://127.0.0.1:{admin}/healthz", router)
            check = [part.replace(":8081", f":{admin}") for part in image.health]
            run(*check, env=image.env())
            metrics = f"http://127.0.0.1:{admin}/metrics"
            with urllib.request.urlopen(metrics, timeout=30) as answer:
                assert b"process_resident_memory_bytes" in answer.read()
        finally:
            router.terminate()
    assert (image.root / "var/lib/rampway/rampway.db").exists(), "state is on the volume"
