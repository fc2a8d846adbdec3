"""InferenceServices as policies, in both forms of their canary."""

import pytest

from router.config import loads
from router.importing import import_policy

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


def test_two_specs_beside_each_other():
    route, told = imported(
        "apiVersion: serving.kubeflow.org/v1alpha2\nkind: InferenceService\nmetadata: {name: a}\n"
        "spec: {default: {predictor: {}}, canaryTrafficPercent: 10}\n"
    )
    assert first(route) == (False, 1_000, True)
    assert "has no canary" in told
