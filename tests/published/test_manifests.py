"""The checker of manifests: what it must find, and what it must let pass."""

import copy

import pytest
import yaml

from tests.published.manifests import FOLDER, KINDS, filled, problems, published, rules

ROUTE = yaml.safe_load("""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: score}
spec:
  parentRefs: [{name: gateway}]
  rules:
  - matches: [{path: {value: /}}]
    timeouts: {request: 10s, backendRequest: 2s}
    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v3, port: 80}, percent: 10}}]
    backendRefs: [{name: v1, port: 80, weight: 9500}, {name: v2, port: 80, weight: 500}]
""")
SERVICE = yaml.safe_load("""
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: score}
spec:
  predictor: {model: {modelFormat: {name: sklearn}, storageUri: "gs://bucket/1"}}
  canary: [{trafficPercent: 10, predictor: {name: next, minReplicas: 2}}]
""")
MONITOR = yaml.safe_load("""
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: score}
spec:
  selector: {matchLabels: {app: score}}
  endpoints: [{targetPort: 8080, interval: 15s}, {targetPort: http}]
""")


def changed(manifest, path, value):
    made = copy.deepcopy(manifest)
    *above, last = path
    inner = made["spec"]
    for key in above:
        inner = inner[key]
    inner[last] = value
    return made


RULE = ("rules", 0)
MIRROR = (*RULE, "filters", 0, "requestMirror")


@pytest.mark.parametrize(
    ("manifest", "path", "value", "said"),
    [
        (ROUTE, (*RULE, "backendRefs", 0, "wieght"), 5, "'wieght' was unexpected"),
        (ROUTE, (*RULE, "backendRefs", 0, "weight"), 2_000_000, "greater than the maximum"),
        (ROUTE, (*RULE, "backendRefs", 0, "port"), None, "None is not of type 'integer'"),
        (ROUTE, (*RULE, "matches", 0, "path", "value"), "no-slash", "start with '/'"),
        (ROUTE, (*RULE, "matches", 0, "path", "value"), "/a//b", "must not contain '//'"),
        (ROUTE, (*RULE, "backendRefs", 1), {"name": "v2"}, "Must have port"),
        (ROUTE, (*RULE, "timeouts", "backendRequest"), "20s", "cannot be longer"),
        (ROUTE, (*MIRROR, "fraction"), {"numerator": 1}, "Only one of percent or fraction"),
        (ROUTE, ("rules", 0, "filters", 0, "type"), "URLRewrite", "must be nil"),
        (SERVICE, ("predictor", "modle"), {}, "'modle' was unexpected"),
        (SERVICE, ("predictor", "canaryTrafficPercent"), "10%", "not of type 'integer'"),
        (SERVICE, ("canary", 0), {"predictor": {}}, "'trafficPercent' is a required"),
        (MONITOR, ("endpoints", 0, "intervall"), "15s", "'intervall' was unexpected"),
        (MONITOR, ("endpoints", 0, "interval"), "15 s", "does not match"),
        (MONITOR, ("endpoints", 0, "targetPort"), 1.5, "is not valid under any"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(manifest, path, value, said):
    assert problems(manifest) == []
    assert said in " ".join(problems(changed(manifest, path, value)))


def written(schema):
    """Every rule of a schema, wherever it is."""
    yield from schema.get("x-kubernetes-validations", ())
    below = [schema["items"]] if "items" in schema else schema.get("properties", {}).values()
    for inner in below:
        yield from written(inner)


def test_every_rule_of_a_schema_can_be_worked_out():
    """One that the library cannot read would pass for broken wherever its field is."""
    refers = {"name": "a", "port": 1}
    heads = {"set": [{"name": "a", "value": "b"}]}
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    every = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": heads},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": heads},
        {"type": "RequestMirror",
         "requestMirror": {"backendRef": refers, "fraction": {"numerator": 1}}},
        {"type": "ExtensionRef", "extensionRef": {"group": "a", "kind": "A", "name": "a"}},
    ]  # fmt: skip
    rewrite = {"type": "URLRewrite", "urlRewrite": {"path": path}}
    redirect = {"type": "RequestRedirect", "requestRedirect": {"path": path}}
    manifest = changed(ROUTE, ("rules",), [
        {"filters": [*every, rewrite], "backendRefs": [{**refers, "filters": [*every, rewrite]}],
         "timeouts": {"request": "2s", "backendRequest": "1s"}},
        {"filters": [redirect]},
        {"backendRefs": [{**refers, "filters": [redirect]}]},
    ])  # fmt: skip
    assert problems(manifest) == []
    schema, _ = published("HTTPRoute")
    asked = {id(rule) for rule, _, _ in rules(schema, filled(schema, manifest), "$")}
    assert [rule["rule"] for rule in written(schema) if id(rule) not in asked] == []


def test_kinds_without_a_schema_are_refused():
    assert {kind.lower() for kind in KINDS} == {path.stem for path in FOLDER.glob("*.json")}
    with pytest.raises(KeyError, match="GRPCRoute"):
        problems({"kind": "GRPCRoute"})
