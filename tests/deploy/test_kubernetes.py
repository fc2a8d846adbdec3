"""deploy/kubernetes against Kubernetes' own schemas, the policy loader and the Dockerfile."""

from pathlib import Path

import pytest
import yaml

from router.config import load
from router.core.policy import split_address

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
KUBERNETES = "1.31"
MANIFESTS = ("service.yaml", "statefulset.yaml")


@pytest.fixture(scope="module")
def policy():
    return load(FOLDER / "rampway.yaml").policy


@pytest.fixture(scope="module")
def pod():
    return yaml.safe_load((FOLDER / "statefulset.yaml").read_text())["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_what_kubernetes_takes(name):
    validate = pytest.importorskip("kubernetes_validate").validate
    manifest = yaml.safe_load((FOLDER / name).read_text())
    validate(manifest, KUBERNETES, strict=True)
    manifest["spec"]["replica"] = 1
    with pytest.raises(Exception, match="replica"):
        validate(manifest, KUBERNETES, strict=True)


def test_the_base_names_every_file():
    base = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    named = {*base["resources"], *base["configMapGenerator"][0]["files"], "kustomization.yaml"}
    assert {path.name for path in FOLDER.iterdir()} == named


def test_ports_mounts_and_user_fit(policy, pod):
    (container,) = pod["containers"]
    port = split_address(policy.listen)[1]
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert policy.store.removeprefix("sqlite:///").startswith(mounts["state"] + "/")
    dockerfile = (FOLDER.parent / "Dockerfile").read_text()
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    assert f'"serve", "{mounts["policy"]}/rampway.yaml"' in dockerfile
    assert pod["terminationGracePeriodSeconds"] > policy.limits.drain


def test_probes_ask_the_admin_interface(policy, pod):
    (container,) = pod["containers"]
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        command = container[probe]["exec"]["command"]
        assert f"http://{policy.admin.listen}{path}" in command[2]
        compile(command[2], probe, "exec")
