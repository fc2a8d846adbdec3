"""Rules and their unit tests through promtool; metric names against what the router exposes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from router.control.outside.alerts import RUNBOOK
from router.core.policy.hooks import TRIGGERS
from router.telemetry.metrics import FAMILIES

FOLDER = Path(__file__).resolve().parents[2] / "deploy/prometheus"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def promtool(*arguments):
    result = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@needs_promtool
def test_the_configuration_is_valid():
    promtool("check", "config", "prometheus.yml")


@needs_promtool
def test_the_rules_are_valid():
    promtool("check", "rules", "rules.yml")


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then():
    promtool("test", "rules", "rules_test.yml")


def rules():
    return [
        rule
        for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
        for rule in group["rules"]
    ]


def test_rules_use_metrics_that_the_router_has():
    used = {name for rule in rules() for name in re.findall(r"\brampway_([a-z_]+)", rule["expr"])}

    assert used
    assert used <= set(FAMILIES)


def test_every_alert_has_a_test_and_words_for_people():
    tested = {
        case["alertname"]
        for test in yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    alerts = [rule for rule in rules() if "alert" in rule]

    assert {rule["alert"] for rule in alerts} == tested
    for rule in alerts:
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["labels"]["severity"] in ("info", "warning", "critical")


def test_each_alert_of_prometheus_and_of_the_router_has_its_place_in_the_runbook():
    """Links of alerts end in these anchors; each stands right above a section."""
    text = (FOLDER.parents[1] / "docs/runbook.md").read_text()
    sections = re.findall(r"^((?:<a id=\"\w+\"></a>)+)\n\n## ", text, re.MULTILINE)
    anchors = re.findall(r'id="(\w+)"', "".join(sections))
    linked = [rule["annotations"]["runbook_url"] for rule in rules() if "alert" in rule]
    assert all(url.startswith(RUNBOOK) for url in linked)
    assert set(anchors) == {*TRIGGERS, *(url.removeprefix(RUNBOOK) for url in linked)}
    assert len(anchors) == len(set(anchors))
