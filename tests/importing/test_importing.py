"""Argo Rollouts and Flagger Canaries as policies."""

from pathlib import Path
from typing import get_args, get_origin, get_type_hints, is_typeddict

import pytest
import yaml

from router.config import PolicyError, loads, schema
from router.core.policy.points import HOOKS
from router.importing import IMPORTERS, import_policy
from router.importing.manifest import seconds_text, share_text
from router.importing.written import WrittenRoute
from tests.published.manifests import KINDS, problems

FIXTURES = Path(__file__).parent / "files"
SOURCES = sorted(file for file in FIXTURES.glob("*.yaml") if ".expected" not in file.name)
OLDEST = "serving.kubeflow.org/v1alpha2"
"""Of this form of an InferenceService no schema is at hand."""
SECRET = {
    "RAMPWAY_COOKIE_SECRET": "sixteen-characters",
    "RAMPWAY_ALERT_URL": "https://hooks.example.org/1",
    "RAMPWAY_ALERT_URL_2": "https://hooks.example.org/2",
}


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_the_policy_is_the_one_agreed_and_loads(file):
    imported = import_policy(file.read_bytes(), file.name)

    assert file.with_suffix(".expected.yaml").read_text() == imported.text
    assert loads(imported.text, environment=SECRET).policy.routes


def test_what_is_imported_here_is_what_its_platform_takes():
    documents = [
        each for file in SOURCES for each in yaml.load_all(file.read_text(), yaml.CSafeLoader)
    ]
    known = [each for each in documents if each["kind"] in KINDS and each["apiVersion"] != OLDEST]
    assert {each["kind"] for each in known} == {"HTTPRoute", "InferenceService"}
    assert [problems(each) for each in known] == [[]] * len(known)


def written(kind, path):
    """Every mapping below an annotation, with its keys."""
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        yield path, set(hints)
        for name, inner in hints.items():
            yield from written(inner, (*path, name))
    named = max(schema.keys(path), key=lambda key: len(schema.keys((*path, key))), default="any")
    below = {list: (0,), dict: (named,)}.get(get_origin(kind), ())
    for inner in get_args(kind):
        yield from written(inner, path + below)


def test_what_is_written_has_the_keys_of_a_policy():
    found = dict(written(WrittenRoute, ("routes", 0)))

    assert {path: keys - set(schema.keys(path)) for path, keys in found.items()} == {
        path: set() for path in found
    }
    assert len(found) > 20


def test_every_importer_has_a_fixture():
    texts = [file.read_text() for file in SOURCES]

    for group, kind in IMPORTERS:
        assert any(group in text and f"kind: {kind}\n" in text for text in texts)


def test_steps_become_plateaus():
    imported = import_policy((FIXTURES / "argo_canary.yaml").read_text())
    (route,) = loads(imported.text).policy.routes
    plan = route.rollout.plan()

    assert [(s.weight_bp, s.mirror_bp, s.hold_s) for s in plan.steps] == [
        (0, 5_000, 600.0),
        (50, 5_000, 60.0),
        (2_000, 5_000, 5400.0),
        (2_000, 5_000, 0.0),
    ], "a mirror route stays until a step removes it"
    assert plan.steps[-1].approval is not None


def test_what_waits_for_an_analysis_there_does_not_end_at_once_here():
    imported = import_policy((FIXTURES / "argo_inline.yaml").read_text())
    inline, looked_at, switched, asked = (
        route.rollout.plan() for route in loads(imported.text).policy.routes
    )

    waits = [(s.weight_bp, s.hold_s, s.approval is not None) for s in inline.steps]
    assert waits == [(1_000, 210.0, False), (3_000, 0.0, True), (5_000, 1_200.0, False)]
    assert [(s.weight_bp, s.approval is not None) for s in looked_at.steps] == [
        (0, True),
        (5_000, False),
    ]
    assert (switched.steps[0].hold_s, switched.bake_s) == (210.0, 210.0)
    assert asked.steps[0].approval is not None
    assert not loads(imported.text).warnings


def test_every_point_of_flagger_is_a_hook_of_ours():
    imported = import_policy((FIXTURES / "flagger_hooks.yaml").read_text())
    (route,) = loads(imported.text, environment=SECRET).policy.routes
    hooks = route.rollout.hooks

    assert {hook.point for hook in hooks} == set(HOOKS)
    checks = {hook.title: hook.failure_limit for hook in hooks if hasattr(hook, "failure_limit")}
    assert checks == {"smoke-test": 2, "load": 2, "load-2": 2}, (
        "there the third failure is too many"
    )
    (smoke,) = (hook for hook in hooks if hook.point == "pre_rollout")
    assert smoke.metadata["cmd"].endswith("grep ${WORD}"), "kept as it was, not expanded"


def test_what_is_not_understood_is_said_with_its_line():
    text = (FIXTURES / "flagger_canary.yaml").read_text()
    text = text.replace("    timeout: 30s", "    timeout: 30s\n    novelty: {a: [1, 2]}")
    line = next(n for n, line in enumerate(text.splitlines(), 1) if "novelty" in line)

    notes = import_policy(text).notes

    assert f"line {line}: spec.service.novelty has no counterpart" in notes


UNKNOWN = """apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: a}
spec:
  strategy:
    canary:
      steps: [%s]
"""


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{setWeight: 12.345}", "setWeight is no share from 0% to 100% in steps of 0.01%"),
        ("{setWeight: 120}", "setWeight is no share"),
        ("{setWeight: 5}, {pause: {duration: soon}}", "has a duration that is not understood"),
        ("{plugin: {name: x}}", "plugins are not translated"),
        ("{setWeight: 5}, {newKind: {}}", "steps[1].newKind has no counterpart"),
        ("{setHeaderRoute: {name: r, match: [{headerName: X}]}}", "has a condition that is not"),
        ("{setMirrorRoute: {percentage: 7.777, match: []}}", "is a percentage that is not"),
    ],
)
def test_strange_steps_are_remarked_on(step, said):
    notes = import_policy(UNKNOWN % step).notes

    assert any(said in note for note in notes), notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "kind: Deployment\napiVersion: apps/v1\n",
            "expected one of Rollout, Canary, HTTPRoute, InferenceService, got none",
        ),
        ("", "got none of them"),
        ("metadata: {name: {{ .Release.Name }}}\n", "got the template of a chart"),
        ("a: [", "expected ] to close this"),
        (b"\xff", "expected UTF-8 text"),
        ("a: !!python/name:os.system", "got the tag"),
        ("a: 1\n---\n" * 201, "expected at most 200 documents"),
    ],
)
def test_other_files_are_refused(text, said):
    with pytest.raises(PolicyError, match=said):
        import_policy(text)


@pytest.mark.parametrize(
    ("theirs", "ours"), [(30, "30s"), ("30", "30s"), ("1h30m", "1h30m"), ("soon", None), ("", None)]
)
def test_durations(theirs, ours):
    assert seconds_text(theirs) == ours


@pytest.mark.parametrize(
    ("theirs", "whole", "ours"),
    [
        (5, 100, "5%"),
        ("50%", 100, "50%"),
        (5, 1_000, "0.5%"),
        (0.005, 100, None),
        (101, 100, None),
        ("x", 1, None),
    ],
)
def test_shares(theirs, whole, ours):
    assert share_text(theirs, whole) == ours


ARGO = """apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: a}
spec:
  strategy:
    %s
"""

HEADER = "setHeaderRoute: {name: h, match: [{headerName: agent, headerValue: {prefix: %s}}]}"
MIRROR = "setMirrorRoute: {name: %s, percentage: %d, match: [{path: {%s: %s}}]}"
PAUSE = "pause: {duration: 5m}"


def argo(*steps):
    """The route of a Rollout with these steps, and the remarks."""
    lines = "".join(f"\n      - {step}" for step in steps)
    made = import_policy(ARGO % f"canary:\n      steps:{lines}")
    return loads(made.text).policy.routes[0], " ".join(made.notes)


def test_a_mirror_route_without_match_ends_there_and_here():
    route, _ = argo(
        "setWeight: 20", MIRROR % ("m", 10, "prefix", "/"), PAUSE, "setMirrorRoute: {name: m}",
        PAUSE, "setWeight: 60", PAUSE,
    )  # fmt: skip

    plan = route.rollout.plan()
    assert [(s.weight_bp, s.mirror_bp) for s in plan.steps] == [
        (2_000, 1_000),
        (2_000, 0),
        (6_000, 0),
    ]


def test_paths_of_several_mirror_routes_combine_and_a_name_replaces_its_share():
    route, _ = argo(
        "setWeight: 20", MIRROR % ("m", 10, "prefix", "/v1"), MIRROR % ("n", 30, "exact", "/x"),
        PAUSE, MIRROR % ("n", 5, "exact", "/x"), PAUSE,
    )  # fmt: skip

    assert route.rollout.mirroring.paths == ("/v1*", "/x")
    assert [s.mirror_bp for s in route.rollout.plan().steps] == [3_000, 1_000]


def test_a_mirror_route_of_all_paths_copies_all():
    route, _ = argo("setWeight: 20", MIRROR % ("m", 10, "prefix", "/v1"), PAUSE,
                    "setMirrorRoute: {name: n, percentage: 5, match: [{method: {exact: GET}}]}",
                    PAUSE)  # fmt: skip

    assert not route.rollout.mirroring.paths
    assert "POST" in route.rollout.mirroring.methods


def test_a_later_header_route_of_the_name_replaces_the_earlier_one():
    route, notes = argo("setWeight: 20", HEADER % "firefox", PAUSE, HEADER % "chrome", PAUSE)

    (rule,) = route.rules
    assert rule.match.headers["agent"].prefix == "chrome"
    assert "is replaced by a later step of its name" in notes


def test_a_header_route_that_is_removed_leaves_no_rule():
    route, notes = argo("setWeight: 20", HEADER % "x", PAUSE, "setHeaderRoute: {name: h}", PAUSE)

    assert not route.rules
    assert "steps[1].setHeaderRoute holds for some steps only" in notes


TEMPLATE = """---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: t}
spec:
  args: [{name: service}, {name: least, value: "0.9"}]
  metrics:
  - name: success
    interval: 1m
    count: "{{ args.times }}"
    successCondition: result[0] >= {{args.least}}
    provider: {prometheus: {address: "http://p:9090", query: 'ok{service="{{args.service}}"}'}}
"""


@pytest.mark.parametrize(
    ("arguments", "gates", "hold_s"),
    [
        ("[{name: service, value: models}, {name: times, value: 3}]", 1, 180.0),
        ("[{name: service, valueFrom: {podTemplateHashValue: Latest}}, {name: times, value: 3}]",
         0, 180.0),
        ("[{name: service, value: models}]", 1, 0.0),
    ],
)  # fmt: skip
def test_arguments_of_a_template_are_resolved_or_remarked_on(arguments, gates, hold_s):
    analysis = f"analysis: {{templates: [{{templateName: t}}], args: {arguments}}}"
    made = import_policy(ARGO % f"canary:\n      steps: [setWeight: 20, {analysis}]" + TEMPLATE)

    rollout = loads(made.text).policy.routes[0].rollout
    asked = [gate for gate in rollout.gates if gate.kind == "prometheus"]
    assert [gate.query for gate in asked] == ['ok{service="models"}'] * gates
    assert rollout.plan().steps[0].hold_s == hold_s
    unknown = "has an argument whose value is not in this file" in " ".join(made.notes)
    assert unknown is not bool(gates)


SPLIT = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: split}
spec:
  strategy:
    canary:
      stableService: stable
      canaryService: canary
      trafficRouting: {istio: {virtualService: {name: vs, routes: [primary]}}}
      steps: [{setWeight: 10}, {pause: {duration: 1m}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME}
spec:
  hosts: HOSTS
  http: [{name: primary, MATCH route: []}]
"""


@pytest.mark.parametrize(("name", "hosts", "match", "host", "said"), [
    ("vs", '["*", Models.Example.org]', "", "models.example.org", ""),
    ("vs", "[a.example.org, b.example.org]", "", "a.example.org", "has several"),
    ("vs", '["*"]', "match: [{uri: {prefix: /a}}],", None, "conditions of its own"),
    ("another", "[a.example.org]", "", None, ""),
])  # fmt: skip
def test_the_hosts_of_a_virtual_service_are_the_routes(name, hosts, match, host, said):
    made = import_policy(
        SPLIT.replace("NAME", name).replace("HOSTS", hosts).replace("MATCH", match)
    )
    (route,) = loads(made.text).policy.routes
    assert (route.match.host or None) == host
    told = [note for note in made.notes if "of the VirtualService" in note]
    assert [said in note for note in told] == ([True] if said else [])


@pytest.mark.parametrize(
    "strategy",
    [
        "blueGreen: {activeService: a, previewService: b}",
        "blueGreen: {activeService: a, previewService: b, autoPromotionSeconds: 60}",
    ],
)
def test_a_preview_that_nothing_judges_waits_for_a_person(strategy):
    made = import_policy(ARGO % strategy)

    preview = loads(made.text).policy.routes[0].rollout.plan().steps[0]
    assert preview.approval is not None
    assert preview.approval.deadline_s is None
    assert "nothing judges the preview" in " ".join(made.notes)


CANARY = """apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: %s}
spec:
  service: {port: 80, hosts: [site.example], match: [{uri: {prefix: %s}}]}
  analysis: {interval: 1m, %s}
"""


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_blue_green_of_flagger_keeps_a_judge(mirrored):
    extra = ", mirror: true, mirrorWeight: 50" if mirrored else ""
    made = import_policy(CANARY % ("a", "/", f"iterations: 5{extra}"))

    plan = loads(made.text).policy.routes[0].rollout.plan()
    (preview,) = plan.steps
    assert (preview.mirror_bp, preview.approval is None) == (
        (5_000, True) if mirrored else (0, False)
    )
    assert plan.bake_s == 300.0
    assert ("a person says go on" in " ".join(made.notes)) is not mirrored


def test_the_more_exact_path_comes_first():
    weights = "maxWeight: 50, stepWeight: 10"
    documents = [CANARY % ("site", "/", weights), CANARY % ("api", "/api", weights)]

    routes = loads(import_policy("---\n".join(documents)).text).policy.routes

    assert [route.name for route in routes] == ["api", "site"]


CANARY_STEPS = ("spec", "strategy", "canary", "steps")
MIRRORED = ("spec", "rules", 0, "filters", 0, "requestMirror", "fraction", "denominator")
ODD = [
    ("argo_basic", ("spec",), 5),
    ("argo_basic", ("spec", "strategy"), 5),
    (
        "argo_blue_green",
        ("spec", "strategy", "blueGreen", "prePromotionAnalysis", "templates"),
        [1],
    ),
    ("argo_canary", ("spec", "strategy", "canary", "trafficRouting", "maxTrafficWeight"), "x"),
    ("argo_canary", ("spec", "strategy", "canary", "analysis", "templates"), [1]),
    ("argo_canary", (*CANARY_STEPS, 1, "setMirrorRoute", "match", 0, "method"), 5),
    ("argo_canary", (*CANARY_STEPS, 1, "setMirrorRoute", "match", 0, "method", "exact"), [1]),
    ("argo_canary", (*CANARY_STEPS, 5, "setHeaderRoute", "match", 0, "headerValue"), 5),
    ("argo_notified", ("metadata", "annotations"), 5),
    ("flagger_ab", ("spec", "analysis", "match", 0, "headers"), 5),
    ("flagger_ab", ("spec", "analysis", "match", 0, "headers"), {"a": 1}),
    ("flagger_canary", ("spec", "service", "hosts"), 5),
    ("gateway_split", ("spec", "hostnames"), 5),
    ("gateway_split", ("spec", "rules"), [1]),
    ("gateway_split", MIRRORED, 0),
    ("gateway_split", MIRRORED, "x"),
    ("kserve_revisions", ("spec", "predictor"), 5),
]


@pytest.mark.parametrize(("stem", "path", "odd"), ODD, ids=range(len(ODD)))
def test_what_no_api_server_takes_is_told_and_raises_nothing_else(stem, path, odd):
    documents = list(yaml.safe_load_all((FIXTURES / f"{stem}.yaml").read_text()))
    *above, last = path
    place = next(doc for doc in documents if doc["kind"] in {kind for _, kind in IMPORTERS})
    for key in above:
        place = place[key]
    place[last] = odd

    made = import_policy(yaml.safe_dump_all(documents))

    assert made.notes
    assert yaml.safe_load(made.text)["routes"]
