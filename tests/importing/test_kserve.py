"""InferenceServices as policies, in each form of their canary."""

import pytest
import yaml

from router.config import loads
from router.importing import import_policy
from tests.published.manifests import problems

# kserve/kserve (Apache-2.0), docs/samples/v1beta1/torchserve/docs/canary.md, told anew
REVISIONS = """apiVersion: serving.kubeflow.org/v1beta1
kind: InferenceService
metadata: {name: torch-pred%s}
spec: {predictor: {%spytorch: {%sstorageUri: "pvc://model-store-claim-1"}}}
"""


def imported(text):
    made = import_policy(text)
    loaded = loads(made.text)
    assert not loaded.warnings
    (route,) = loaded.policy.routes
    return route, " ".join(made.notes)


def first(route):
    step = route.rollout.plan().steps[0]
    return step.auto, step.weight_bp, step.approval is not None


def test_the_share_of_the_newest_revision_is_a_step_that_a_person_ends():
    route, told = imported(REVISIONS % ("", "canaryTrafficPercent: 20, ", ""))
    assert first(route) == (False, 2_000, True)
    assert route.match.path == "/v1/models/torch-pred:*"
    assert "enable-tag-routing" in told


def test_a_canary_without_traffic_is_a_switch_that_a_person_makes():
    route, told = imported(REVISIONS % ("", "canaryTrafficPercent: 0, ", ""))
    assert route.rollout.plan().steps[0].approval is not None
    assert "a person says when" in told


@pytest.mark.parametrize("share", ["", "canaryTrafficPercent: 100, ", "canaryTrafficPercent: a, "])
def test_without_a_share_evidence_decides(share):
    route, told = imported(REVISIONS % ("", share, ""))
    assert any(step.auto for step in route.rollout.plan().steps)
    assert "no share of a canary" in told
    assert ("is no share from" in told) == ("a," in share)


def test_revisions_are_told_apart_by_their_tags():
    tags = ', namespace: ml, annotations: {serving.kserve.io/enable-tag-routing: "true"}'
    route, told = imported(
        REVISIONS % (tags, "canaryTrafficPercent: 20, ", "protocolVersion: v2, ")
    )
    urls = [str(route.versions[name].endpoints[0]) for name in ("stable", "candidate")]
    assert urls[0].startswith("http://prev-torch-pred-predictor.ml:80")
    assert urls[1].startswith("http://latest-torch-pred-predictor.ml:80")
    assert route.match.path == "/v2/models/torch-pred/*"
    assert "enable-tag-routing" not in told


def test_a_protocol_that_is_no_http_is_said():
    _, told = imported(REVISIONS % ("", "", "protocolVersion: grpc-v2, "))
    assert "grpc-v2 is no HTTP" in told


# the fields of a canary beside the predictor are KServe's from 0.21 on
BESIDE = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: iris, namespace: ml}
spec:
  predictor: {%smodel: {modelFormat: {name: sklearn}, protocolVersion: v2}}
  canary:
  - {trafficPercent: %d, predictor: {name: next, model: {modelFormat: {name: sklearn}}}}
"""


@pytest.mark.parametrize(
    ("name", "stable"), [("", "iris-predictor"), ("old", "iris-old-predictor")]
)
def test_a_canary_beside_the_predictor_has_a_deployment_of_its_own(name, stable):
    text = BESIDE % (name and f"name: {name}, ", 10)
    assert problems(yaml.safe_load(text)) == []
    route, told = imported(text)
    assert first(route) == (False, 1_000, True)
    urls = [str(route.versions[name].endpoints[0]) for name in ("stable", "candidate")]
    assert urls[0].startswith(f"http://{stable}.ml:80")
    assert urls[1].startswith("http://iris-next-predictor.ml:80")
    assert route.match.path == "/v2/models/iris/*"
    assert "no counterpart" not in told
    assert "enable-tag-routing" not in told


def test_of_several_canaries_the_first_is_the_candidate():
    more = "  - {trafficPercent: 5, predictor: {name: third}}\n"
    route, told = imported(BESIDE % ("", 0) + more)
    assert "iris-next-predictor" in str(route.versions["candidate"].endpoints[0])
    assert route.rollout.plan().steps[0].approval is not None, "no traffic until a person says so"
    assert "spec.canary[1] is left out" in told


def test_two_specs_beside_each_other():
    route, told = imported(
        "apiVersion: serving.kubeflow.org/v1alpha2\nkind: InferenceService\nmetadata: {name: a}\n"
        "spec: {default: {predictor: {}}, canaryTrafficPercent: 10}\n"
    )
    assert first(route) == (False, 1_000, True)
    assert "has no canary" in told
