"""What can be known about the container files without an engine to build them."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from prediction_services.versions import VERSIONS
from router.config import load
from router.core.policy import split_address

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def stages():
    """Instructions of every stage of the Dockerfile: name -> [(word, rest)]."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text())
    found, current = {}, None
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            current = found.setdefault(rest.split(" AS ")[1], [])
        current.append((word, rest.strip()))
    return found


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def policy():
    return load(DEPLOY / "policy/rampway.yaml").policy


def of(stage, word):
    return [rest for found, rest in stage if found == word]


def test_what_is_copied_exists(stages):
    copied = [
        source
        for stage in stages.values()
        for rest in of(stage, "COPY")
        if not rest.startswith("--from=")
        for source in rest.split()[:-1]
    ]

    assert copied, "something is copied"
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_what_is_copied_is_enough_to_build_the_package(stages, tmp_path):
    for rest in of(stages["build"], "COPY"):
        *sources, target = rest.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target)
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    ran = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert len([*(tmp_path / "dist").glob("*-py3-none-any.whl")]) == 1


def test_the_image_compiles_the_hot_path_where_there_is_a_compiler(stages):
    build = of(stages["build"], "RUN")

    assert "gcc" in build[0]
    assert [rest for rest in build if "RAMPWAY_COMPILE=1" in rest and "pip install" in rest]
    assert not [rest for rest in of(stages["router"], "RUN") if "gcc" in rest]


def test_stages_copy_from_stages_that_exist(stages):
    named = {
        match[1]
        for stage in stages.values()
        for rest in of(stage, "COPY")
        if (match := re.match(r"--from=(\S+)", rest))
    }

    assert named
    assert named <= set(stages)


@pytest.mark.parametrize("name", ["router", "services"])
def test_images_run_without_rights(stages, name):
    (user,) = of(stages[name], "USER")

    uid, gid = (int(part) for part in user.split(":"))
    assert min(uid, gid) >= 10_000
    assert any(f"--uid {uid} " in run for run in of(stages[name], "RUN"))


@pytest.mark.parametrize("name", ["router", "services"])
def test_images_have_a_health_check_in_python(stages, name):
    (check,) = of(stages[name], "HEALTHCHECK")

    command = yaml.safe_load(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "health check", "exec")


def test_the_services_image_serves_versions_that_exist(stages, compose):
    trained = shlex.split(of(stages["build-services"], "RUN")[-1])
    served = {name: compose["services"][name]["command"][-1] for name in ("v2", "v3")}

    assert set(served.values()) <= set(VERSIONS)
    assert set(served.values()) <= set(trained), "trained while building"


def test_the_router_image_is_the_last_stage(stages):
    assert list(stages)[-1] == "router", "`docker build` without a target builds the router"


def test_ports_match(stages, compose, policy):
    port = split_address(policy.listen)[1]
    published = [entry.split(":") for entry in compose["services"]["router"]["ports"]]
    health = of(stages["router"], "HEALTHCHECK")[0]
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())

    assert of(stages["router"], "EXPOSE") == [str(port)]
    assert [inside for _, _, inside in published] == [str(port), "9090"]
    assert f"http://{policy.admin.listen}/healthz" in health
    assert scraped["scrape_configs"][0]["static_configs"] == [{"targets": [policy.admin.listen]}]


def test_published_ports_are_local(compose):
    for service in compose["services"].values():
        for entry in service.get("ports", ()):
            assert entry.startswith("127.0.0.1:")


def test_endpoints_are_services_of_the_file(stages, compose, policy):
    (exposed,) = of(stages["services"], "EXPOSE")

    for version in policy.routes[0].versions.values():
        for endpoint in version.endpoints:
            assert endpoint.host in compose["services"]
            assert endpoint.port == int(exposed)


def test_every_service_is_hardened(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_mounts_exist_and_only_volumes_are_writable(compose):
    for service in compose["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
                assert mount.endswith(":ro"), mount
            else:
                assert source in compose["volumes"], mount


def test_state_is_on_the_volume(compose, policy):
    mounts = dict(m.split(":")[:2] for m in compose["services"]["router"]["volumes"])

    assert policy.store.removeprefix("sqlite:///").startswith(mounts["state"] + "/")


def test_requests_under_way_may_finish_before_the_kill(compose, policy):
    grace_s = int(compose["services"]["router"]["stop_grace_period"].removesuffix("s"))

    assert grace_s > policy.limits.drain


def test_build_contexts_name_stages(stages, compose):
    for service in compose["services"].values():
        if "build" in service:
            assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).exists()
            assert service["build"]["target"] in stages
