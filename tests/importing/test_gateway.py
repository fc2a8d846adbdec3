"""HTTPRoutes as policies: public examples of the Gateway API, told anew, and what is left out.

The examples are kubernetes-sigs/gateway-api, examples/standard (Apache-2.0), at the commits named.
"""

import pytest
import yaml

from router.config import loads
from router.core.rollout.plan import Ending
from router.importing import import_policy
from tests.published.manifests import problems

HEAD = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: foo}\nspec:\n"
V1, V2 = "{name: foo-v1, port: 8080%s}", "{name: foo-v2, port: 8080%s}"

BOTH = f"backendRefs: [{V1 % ''}, {V2 % ''}]"

SPLIT = f"""\
  hostnames: [foo.example.com]
  rules: [{{backendRefs: [{V1 % ", weight: 90"}, {V2 % ", weight: 10"}]}}]
"""  # traffic-splitting/traffic-split-2.yaml @ 3b86a42b
TEST = f"""\
  hostnames: [foo.example.com]
  rules:
  - backendRefs: [{V1 % ""}]
  - matches: [{{headers: [{{name: traffic, value: test}}]}}]
    backendRefs: [{V2 % ""}]
"""  # traffic-splitting/traffic-split-1.yaml @ 03f3982d
HEADER_FIRST = f"""\
  hostnames: [bar.example.com]
  rules:
  - matches: [{{headers: [{{type: Exact, name: env, value: canary}}]}}]
    backendRefs: [{V2 % ""}]
  - backendRefs: [{V1 % ""}]
"""  # http-routing/bar-httproute.yaml @ 3e3798e1
MIRROR = f"""\
  hostnames: [mirror.example]
  rules:
  - backendRefs: [{V1 % ""}]
    filters: [{{type: RequestMirror, requestMirror: {{backendRef: {V2 % ""}}}}}]
"""  # http-request-mirroring/httproute-mirroring.yaml @ 9f326358


def imported(spec):
    made = import_policy(HEAD + spec)
    loaded = loads(made.text)
    assert not loaded.warnings
    (route,) = loaded.policy.routes
    return route, " ".join(made.notes)


def endpoints(route):
    return [str(route.versions[name].endpoints[0]) for name in ("stable", "candidate")]


@pytest.mark.parametrize(
    ("spec", "host", "steps", "rules"),
    [
        (SPLIT, "foo.example.com", [(1_000, 0)], []),
        (TEST, "foo.example.com", None, ["traffic"]),
        (HEADER_FIRST, "bar.example.com", None, ["env"]),
        (MIRROR, "mirror.example", [(0, 10_000)], []),
    ],
    ids=["split", "header", "header first", "mirror"],
)
def test_a_public_route_means_the_same_here(spec, host, steps, rules):
    assert problems(yaml.safe_load(HEAD + spec)) == []
    route, _ = imported(spec)
    plan = route.rollout.plan()
    assert route.match.host == host
    assert [str(url).rstrip("/") for url in endpoints(route)] == [
        "http://foo-v1:8080",
        "http://foo-v2:8080",
    ]
    assert [list(rule.match.headers) for rule in route.rules] == [[name] for name in rules]
    assert {rule.version for rule in route.rules} <= {"candidate"}
    assert plan.steps[0].approval is not None, "nobody there says what follows"
    assert plan.ending is Ending.PROMOTE
    if steps is not None:
        fixed = [step for step in plan.steps if not step.auto and step.label != "confirm"]
        assert [(step.weight_bp, step.mirror_bp) for step in fixed] == steps


def test_the_heavier_backend_is_stable_whatever_the_order():
    route, _ = imported(f"  rules: [{{backendRefs: [{V2 % ', weight: 1'}, {V1 % ', weight: 7'}]}}]")
    assert "foo-v1" in str(endpoints(route)[0])
    assert route.rollout.plan().steps[0].weight_bp == 1_250


def test_a_backend_without_weight_waits_for_a_person():
    mirror = f"filters: [{{type: RequestMirror, requestMirror: {{backendRef: {V2 % ''}}}}}]"
    none = f"backendRefs: [{V1 % ''}, {V2 % ', weight: 0'}]"
    for spec, copies in ((f"{none}", 0), (f"{mirror}, {none}", 10_000)):
        route, _ = imported(f"  rules: [{{{spec}}}]")
        step = route.rollout.plan().steps[0]
        assert (step.mirror_bp, step.weight_bp, step.approval is not None) == (copies, 0, True)


def test_a_limit_of_zero_is_none():
    route, _ = imported(f"  rules: [{{timeouts: {{request: 0s, backendRequest: 2s}}, {BOTH}}}]")
    assert (route.timeouts.total, route.timeouts.response) == (0, 2)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (f"matches: [{{path: {{value: /v1}}}}], {BOTH}", "covers whole elements"),
        (f"matches: [{{path: {{type: RegularExpression, value: /a+}}}}], {BOTH}", "an expression"),
        (f"matches: [{{queryParams: [{{name: a, value: b}}]}}], {BOTH}", "queryParams has no"),
        (f"matches: [{{headers: [{{type: Odd, name: a, value: b}}]}}], {BOTH}", "not understood"),
        (f"filters: [{{type: CORS, cors: {{}}}}], {BOTH}", "filters has no counterpart"),
        (f"backendRefs: [{V1 % ''}, {V2 % ''}, {{name: c}}]", "more than two backends"),
        (f"backendRefs: [{V1 % ''}]", "no second backend"),
        ("backendRefs: [{name: a, kind: InferencePool}, {name: b}]", "is no Service"),
    ],
)
def test_what_has_no_counterpart_is_said(rule, said):
    _, told = imported(f"  rules: [{{{rule}}}]")
    assert said in told, told
