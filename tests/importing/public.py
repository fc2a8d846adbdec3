"""Twenty public rollouts of Argo Rollouts and Flagger, told anew: what each file says, and means.

The files themselves stay where they are (both projects are Apache-2.0); ``says`` are the fields
that move traffic or judge, written down from reading them, without pods, services and meshes.
The rest is read from those projects' documentation, not from our importer: what clients get step
by step as (percent, percent of copies, seconds or ``person``), and what else holds. ``left`` must
be said in a remark, since it has no counterpart here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ARGO = "argoproj/argo-rollouts"
FLAGGER = "fluxcd/flagger"


@dataclass(frozen=True)
class Public:
    """One file."""

    where: str
    """Repository, path and the commit at which it was read."""
    says: str
    steps: list[tuple[float, float, object]]
    bake_s: float = 0.0
    ramp: bool = False
    """Ours ends with a ramp by evidence, where theirs jumps to all traffic unjudged."""
    gates: tuple[str, ...] = ("error_rate", "guard")
    rules: tuple[str, ...] = ()
    match: dict[str, str] = field(default_factory=lambda: {"path": "/*"})
    hooks: tuple[str, ...] = ()
    copies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    timeout_s: float = 30.0
    left: tuple[str, ...] = ()


def argo(strategy: str, name: str = "demo", more: str = "") -> str:
    """A Rollout with this strategy, the lines of it indented by four."""
    head = f"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: {name}}}\nspec:\n"
    return f"{head}{more}  strategy:\n{strategy}"


def flagger(analysis: str, service: str, kind: str = "analysis", api: str = "v1beta1") -> str:
    """A Canary with this analysis, the lines of it indented by four."""
    return (
        f"apiVersion: flagger.app/{api}\nkind: Canary\nmetadata: {{name: podinfo, namespace: test}}"
        f"\nspec:\n  progressDeadlineSeconds: 600\n  service: {service}\n  {kind}:\n{analysis}"
    )


METRICS = """\
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}, interval: 1m}
    - {name: request-duration, thresholdRange: {max: 500}, interval: 30s}
"""
OLD_METRICS = """\
    metrics:
    - {name: request-success-rate, threshold: 99, interval: 1m}
    - {name: request-duration, threshold: 500, interval: 30s}
"""
HOOKS = """\
    webhooks:
    - {name: conformance-test, type: pre-rollout, url: "http://loadtester.test/", timeout: 15s}
    - {name: load-test, type: rollout, url: "http://loadtester.test/", timeout: 5s}
"""
LOAD = """\
    webhooks:
    - {name: load-test, url: "http://loadtester.test/", timeout: 5s}
"""
BOTH = ("pre_rollout conformance-test", "rollout load-test")
JUDGED = ("error_rate", "guard", "slo")
WHOLE_SITE = {"host": "app.example.com", "path": "/*"}
SERVICE = """\
{port: 80, hosts: [app.example.com], timeout: 30s, rewrite: {uri: /},
    match: [{uri: {prefix: /}}]}"""
FIVES = [(float(w), 0.0, 15.0) for w in range(5, 55, 5)]

FILES = [
    Public(
        f"{ARGO} examples/rollout-canary.yaml @05a6891",
        argo("""\
    canary:
      steps: [{setWeight: 20}, {pause: {}}, {setWeight: 40}, {pause: {duration: 40}},
              {setWeight: 60}, {pause: {duration: 20}}, {setWeight: 80}, {pause: {duration: 20}}]
"""),
        [(20, 0, "person"), (40, 0, 40.0), (60, 0, 20.0), (80, 0, 20.0)],
    ),
    Public(
        f"{ARGO} examples/rollout-bluegreen.yaml @05a6891",
        argo("""\
    blueGreen: {activeService: active, previewService: preview, autoPromotionEnabled: false}
"""),
        [(0, 0, "person")], bake_s=30.0, gates=("guard",),
    ),
    Public(
        f"{ARGO} examples/rollout-analysis-step.yaml @1c9c4fc",
        argo("""\
    canary:
      steps: [{setWeight: 25}, {analysis: {templates: [{templateName: random-fail}]}}]
"""),
        [(25, 0, "person")],
        left=("waits there for an analysis of unknown length", "random-fail"),
    ),
    Public(
        f"{ARGO} examples/rollout-background-analysis.yaml @1c9c4fc",
        argo("""\
    canary:
      analysis: {templates: [{templateName: random-fail}]}
      steps: [{setWeight: 25}, {pause: {}}]
"""),
        [(25, 0, "person")], left=("random-fail",),
    ),
    Public(
        f"{ARGO} examples/rollout-baseline-vs-canary.yaml @05a6891",
        argo("""\
    canary:
      steps:
      - experiment: {templates: [{name: a, specRef: stable}, {name: b, specRef: canary}]}
"""),
        [(0, 0, "person")], ramp=True, left=("an experiment is a route of its own",),
    ),
    Public(
        f"{ARGO} examples/istio/istio-mirror.yaml @8beaee0",
        argo("""\
    canary:
      canaryService: canary
      stableService: stable
      trafficRouting: {managedRoutes: [{name: mirror-route}]}
      steps:
      - setCanaryScale: {weight: 50}
      - setMirrorRoute:
          name: mirror-route
          percentage: 50
          match: [{method: {exact: POST}, path: {prefix: /color}}]
      - pause: {}
"""),
        [(0, 50, "person")], ramp=True,
        copies={"methods": ("POST",), "paths": ("/color*",)}, left=("is about replicas",),
    ),
    Public(
        f"{ARGO} test/e2e/header-routing/istio-hr-host.yaml @6c4ce9d (syntax of a pre-release)",
        argo("""\
    canary:
      canaryService: canary
      stableService: stable
      steps:
      - setWeight: 20
      - setHeaderRouting: {match: [{headerName: agent, headerRegex: firefox(.*)}]}
      - pause: {}
      - setHeaderRouting: {match: [{headerName: agent, headerRegex: chrome(.*)}]}
      - pause: {}
      - setWeight: 40
      - setHeaderRouting: {}
      - pause: {}
"""),
        [(20, 0, "person"), (20, 0, "person"), (40, 0, "person")], left=("setHeaderRouting",),
    ),
    Public(
        f"{ARGO} test/e2e/functional/rollout-bg-analysis-withArgs.yaml @9a4dca8",
        argo("""\
    canary:
      analysis:
        templates: [{templateName: web}]
        startingStep: 1
        args: [{name: limit, value: "2"}, {name: every, value: 10s}, {name: wanted, value: "fine"}]
      steps: [{setWeight: 25}, {pause: {}}]
""") + """---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: web}
spec:
  args:
  - {name: every}
  - {name: limit}
  - {name: wanted, value: replace}
  - {name: url, valueFrom: {secretKeyRef: {name: s, key: u}}}
  metrics:
  - name: webmetric
    interval: "{{args.every}}"
    initialDelay: "{{args.every}}"
    failureLimit: "{{args.limit}}"
    successCondition: result == "{{args.wanted}}"
    provider: {web: {url: "{{args.url}}", jsonPath: "{$.message}"}}
""",
        [(25, 0, "person")], left=("is no Prometheus query with a simple condition",),
    ),
    Public(
        f"{ARGO} test/e2e/istio/istio-host-split-max-traffic-weight.yaml @ee89079",
        argo("""\
    canary:
      canaryService: canary
      stableService: stable
      trafficRouting: {maxTrafficWeight: 1000}
      steps: [{setWeight: 200}, {pause: {}}]
"""),
        [(20, 0, "person")],
    ),
    Public(
        f"{ARGO} test/e2e/functional/rollout-rollback-window.yaml @4e1af7b",
        argo("""\
    canary:
      steps:
      - setWeight: 50
      - analysis:
          templates: [{templateName: sleep-job}]
          args: [{name: rev, valueFrom: {fieldRef: {fieldPath: "metadata.labels['rev']"}}}]
""", more="  rollbackWindow: {revisions: 2}\n"),
        [(50, 0, "person")], left=("rollbackWindow", "sleep-job"),
    ),
    Public(
        f"{ARGO} test/e2e/functional/rollout-inline-multiple-analysis.yaml @b6105e7",
        argo("""\
    canary:
      steps:
      - setWeight: 10
      - pause: {}
      - analysis: {templates: [{templateName: multiple-job}]}
"""),
        [(10, 0, "person")], left=("waits there for an analysis", "multiple-job"),
    ),
    Public(
        f"{ARGO} examples/ambassador/rollout.yaml @734c859",
        argo("""\
    canary:
      canaryService: canary
      stableService: stable
      trafficRouting: {ambassador: {mappings: [echo]}}
      steps: [{setWeight: 30}, {pause: {duration: 30s}}, {setWeight: 60}, {pause: {duration: 30s}},
              {setWeight: 100}, {pause: {duration: 10}}]
"""),
        [(30, 0, 30.0), (60, 0, 30.0), (100, 0, 10.0)],
    ),
    Public(
        f"{FLAGGER} artifacts/examples/istio-abtest.yaml @0eaf054",
        flagger("""\
    interval: 15s
    threshold: 10
    iterations: 10
    match:
    - headers: {cookie: {regex: "^(.*?;)?(type=insider)(;.*)?$"}}
    - headers: {user-agent: {regex: ".*Firefox.*"}}
""" + METRICS + HOOKS, SERVICE),
        [(0, 0, "person")], bake_s=150.0, gates=("guard",),
        rules=("cookie type exact insider", "header user-agent regex .*Firefox.*"),
        match=WHOLE_SITE, hooks=BOTH,
        left=("a person says go on", "there is nothing to compare with",
              "a fixed choice is no evidence", "rewrite"),
    ),
    Public(
        f"{FLAGGER} artifacts/examples/istio-canary.yaml @2a7a610",
        flagger("""\
    interval: 15s
    threshold: 10
    maxWeight: 50
    stepWeight: 5
""" + METRICS + HOOKS, SERVICE),
        FIVES, gates=JUDGED, match=WHOLE_SITE, hooks=BOTH, left=("rewrite", "only for hooks"),
    ),
    Public(
        f"{FLAGGER} artifacts/examples/kuma-canary.yaml @ae0f20a",
        flagger("""\
    interval: 15s
    threshold: 15
    maxWeight: 50
    stepWeight: 10
""" + OLD_METRICS + HOOKS, "{port: 9898, apex: {}, canary: {}, primary: {}}"),
        [(float(w), 0.0, 15.0) for w in range(10, 60, 10)], gates=JUDGED, hooks=BOTH,
        left=("only for hooks", "is about the mesh"),
    ),
    Public(
        f"{FLAGGER} artifacts/examples/linkerd-canary-steps.yaml @2a0473f",
        flagger("""\
    interval: 15s
    threshold: 10
    maxWeight: 50
    stepWeights: [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]
""" + METRICS + HOOKS, "{port: 80, targetPort: 9898, portName: http}"),
        [*FIVES, (55, 0, 15.0)], gates=JUDGED, hooks=BOTH,
        left=("only for hooks", "is about the mesh"),
    ),
    Public(
        f"{FLAGGER} artifacts/examples/osm-canary-steps.yaml @a6fae01",
        flagger("""\
    interval: 15s
    threshold: 10
    stepWeights: [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]
""" + METRICS + HOOKS, "{port: 9898}"),
        [*FIVES, (55, 0, 15.0)], gates=JUDGED, hooks=BOTH, left=("only for hooks",),
    ),
    Public(
        f"{FLAGGER} artifacts/examples/appmesh-abtest.yaml @7ab0eb1",
        flagger("""\
    interval: 15s
    threshold: 10
    iterations: 10
    match: [{headers: {x-canary: {exact: insider}}}]
""" + METRICS + HOOKS, """\
{port: 80, retries: {attempts: 3}, timeout: 35s, match: [{uri: {prefix: /}}], meshName: global}"""),
        [(0, 0, "person")], bake_s=150.0, gates=("guard",), timeout_s=35.0,
        rules=("header x-canary exact insider",), match={"path": "/*"}, hooks=BOTH,
        left=("a person says go on", "there is nothing to compare with", "retries", "meshName"),
    ),
    Public(
        f"{FLAGGER} artifacts/nginx/canary.yaml @948df55 (v1alpha3)",
        flagger("""\
    interval: 10s
    threshold: 10
    maxWeight: 50
    stepWeight: 5
""" + OLD_METRICS + LOAD, "{port: 9898}", "canaryAnalysis", "v1alpha3"),
        [(w, 0, 10.0) for w, _, _ in FIVES], gates=JUDGED, hooks=("rollout load-test",),
        left=("only for hooks",),
    ),
    Public(
        f"{FLAGGER} artifacts/gloo/canary.yaml @1c06721 (v1alpha3)",
        flagger("""\
    interval: 10s
    threshold: 10
    maxWeight: 50
    stepWeight: 5
""" + OLD_METRICS + LOAD, "{port: 9898}", "canaryAnalysis", "v1alpha3"),
        [(w, 0, 10.0) for w, _, _ in FIVES], gates=JUDGED, hooks=("rollout load-test",),
        left=("only for hooks",),
    ),
]  # fmt: skip
