"""Argo Rollouts and Flagger Canaries as policies."""

from pathlib import Path

import pytest

from router.config import PolicyError, loads
from router.core.policy.hooks import HOOKS
from router.importing import IMPORTERS, import_policy
from router.importing.manifest import seconds_text, share_text

FIXTURES = Path(__file__).parent / "files"
SOURCES = sorted(file for file in FIXTURES.glob("*.yaml") if ".expected" not in file.name)
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
        (50, 0, 60.0),
        (2_000, 0, 5400.0),
        (2_000, 0, 0.0),
    ]
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
        ("{setWeight: 5}, {newKind: {}}", "steps[1] has no counterpart"),
        ("{setHeaderRoute: {name: r, match: [{headerName: X}]}}", "has a condition that is not"),
        ("{setMirrorRoute: {name: r, percentage: 7.777}}", "has a percentage that is not"),
    ],
)
def test_strange_steps_are_remarked_on(step, said):
    notes = import_policy(UNKNOWN % step).notes

    assert any(said in note for note in notes), notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Deployment\napiVersion: apps/v1\n", "expected one of Rollout, Canary, got none"),
        ("", "got none of them"),
        ("metadata: {name: {{ .Release.Name }}}\n", "got the template of a chart"),
        ("a: [", "expected valid YAML"),
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
