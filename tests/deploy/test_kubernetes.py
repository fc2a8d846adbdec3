"""deploy/kubernetes, rendered: Kubernetes' schemas, the policy loader, the Dockerfile."""

import copy
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from router.config import loads
from router.core.policy import split_address
from tests.published.manifests import KINDS, problems

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
KUBERNETES = "1.31"
OVERLAYS = ("base", "envoy", "monitored", "postgres")
SECRETS = {"VIEWER_TOKEN": "viewer-token-of-16-chars", "OPERATOR_TOKEN": "operator-token-of-16"}


def rendered(overlay):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not here, which renders an overlay")
    run = ["kubectl", "kustomize", str(FOLDER / overlay)]
    text = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30).stdout
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request):
    return rendered(request.param)


def one(manifests, *kinds):
    (found,) = [manifest for manifest in manifests if manifest["kind"] in kinds]
    return found


def workload(manifests):
    return one(manifests, "StatefulSet", "Deployment")


def policy_of(manifests):
    return loads(one(manifests, "ConfigMap")["data"]["rampway.yaml"], environment=SECRETS).policy


def check(manifest):
    if manifest["kind"] in KINDS:
        found = problems(manifest)
        assert not found, " ".join(found)
        return
    validate = pytest.importorskip("kubernetes_validate").validate
    validate(manifest, KUBERNETES, strict=True)


def test_every_folder_is_checked_and_every_file_named():
    assert {path.name for path in FOLDER.iterdir()} == set(OVERLAYS)
    for folder in FOLDER.iterdir():
        told = yaml.safe_load((folder / "kustomization.yaml").read_text())
        named = {*told["resources"], *told["configMapGenerator"][0]["files"]}
        named = {one for one in named if not one.startswith("../")}
        assert {path.name for path in folder.iterdir()} == {*named, "kustomization.yaml"}


def test_each_manifest_is_what_kubernetes_takes(manifests):
    for manifest in manifests:
        check(manifest)
        broken = copy.deepcopy(manifest)
        broken["novelty" if manifest["kind"] == "ConfigMap" else "spec"] = {"novelty": 1}
        with pytest.raises(Exception, match="novelty"):
            check(broken)


def test_there_is_one_router_and_the_old_one_ends_first_or_several_on_a_database(manifests):
    spec = workload(manifests)["spec"]
    allowed = one(manifests, "PodDisruptionBudget")["spec"]["maxUnavailable"]
    if workload(manifests)["kind"] == "Deployment":
        (container,) = spec["template"]["spec"]["containers"]
        assert (spec["replicas"], allowed) == (3, 1)
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert container["args"][-2:] == ["--replica", "$(POD_NAME)"]
        assert "POD_NAME" in {given["name"] for given in container["env"]}
        assert policy_of(manifests).store.startswith("postgresql://")
    else:
        assert (spec["replicas"], allowed) == (1, 0)
        (claim,) = spec["volumeClaimTemplates"]
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
        assert policy_of(manifests).store.startswith("sqlite:")


def test_selectors_find_the_pod_and_ports_have_their_names(manifests):
    pod = workload(manifests)["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    for manifest in manifests:
        match manifest["kind"], manifest.get("spec"):
            case "Service", spec:
                assert spec["selector"].items() <= labels
                assert {port["targetPort"] for port in spec["ports"]} <= ports
            case "PodDisruptionBudget", spec:
                assert spec["selector"]["matchLabels"].items() <= labels
            case "NetworkPolicy", spec if manifest["metadata"]["name"] == "rampway-database":
                (rule,) = spec["ingress"]
                assert rule["from"][0]["podSelector"]["matchLabels"].items() <= labels
                assert rule["ports"] == [{"protocol": "TCP", "port": 5432}]
            case "NetworkPolicy", spec:
                assert spec["podSelector"]["matchLabels"].items() <= labels
                open_ports = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
                assert open_ports == ports, "what listens is reached, and nothing else"


def test_ports_mounts_and_user_fit(manifests):
    pod, policy = workload(manifests)["spec"]["template"]["spec"], policy_of(manifests)
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["http"] == split_address(policy.listen)[1]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert {volume["name"] for volume in pod["volumes"]} | {"state"} == set(mounts)
    if policy.store.startswith("sqlite"):
        assert policy.store.removeprefix("sqlite:///").startswith(mounts["state"] + "/")
    dockerfile = (FOLDER.parent / "Dockerfile").read_text()
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    assert f'"serve", "{mounts["policy"]}/rampway.yaml"' in dockerfile
    assert pod["terminationGracePeriodSeconds"] > policy.limits.drain
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_probes_ask_the_admin_interface(manifests):
    (container,) = workload(manifests)["spec"]["template"]["spec"]["containers"]
    policy = policy_of(manifests)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        asked = container[probe]
        if policy.admin.tls is None:
            command = asked["exec"]["command"]
            assert f"http://{policy.admin.listen}{path}" in command[2]
            compile(command[2], probe, "exec")
        else:
            assert (asked["httpGet"]["path"], asked["httpGet"]["scheme"]) == (path, "HTTPS")
            assert ports[asked["httpGet"]["port"]] == split_address(policy.admin.listen)[1]


@pytest.mark.parametrize("overlay", ["monitored", "postgres"])
def test_prometheus_finds_the_admin_service_of_every_pod_and_asks_by_its_name(overlay):
    manifests = rendered(overlay)
    wanted = one(manifests, "ServiceMonitor")["spec"]
    services = [
        manifest
        for manifest in manifests
        if manifest["kind"] == "Service"
        and wanted["selector"]["matchLabels"].items() <= manifest["metadata"]["labels"].items()
    ]
    assert [service["metadata"]["name"] for service in services] == ["rampway-admin"]
    (endpoint,) = wanted["endpoints"]
    assert [port["name"] for port in services[0]["spec"]["ports"]] == [endpoint["port"]]
    assert endpoint["tlsConfig"]["serverName"] in policy_of(manifests).admin.hosts


def test_who_follows_reaches_who_leads_from_pod_to_pod():
    manifests = rendered("postgres")
    (policy,) = [
        one["spec"] for one in manifests
        if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "rampway"
    ]  # fmt: skip
    pod = workload(manifests)["spec"]["template"]["metadata"]["labels"]
    peers = [
        peer["podSelector"]["matchLabels"]
        for rule in policy["ingress"] if {"protocol": "TCP", "port": "admin"} in rule["ports"]
        for peer in rule.get("from", ()) if "podSelector" in peer
    ]  # fmt: skip
    assert [labels for labels in peers if labels.items() <= pod.items()]
    admin = policy_of(manifests).admin
    assert admin.tokens
    assert admin.tls


def test_the_overlay_of_envoy_has_envoy_carry_the_traffic():
    assert policy_of(rendered("envoy")).engine == "envoy"
