"""docs/operations.md knows every alert and names verbs that exist."""

import re
from pathlib import Path

from router.cli import VERBS
from router.core.policy.hooks import TRIGGERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
RULES = (ROOT / "deploy/prometheus/rules.yml").read_text()


RUNBOOK = (ROOT / "docs/runbook.md").read_text()
ALERTS = [*TRIGGERS, *re.findall(r"- alert: (\w+)", RULES)]


def test_every_alert_is_explained():
    for name in ALERTS:
        assert f"`{name}`" in PAGE, name


def test_every_alert_has_a_section_of_the_runbook():
    named = [
        name
        for head in re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)
        for name in head.split(", ")
    ]
    assert sorted(named) == sorted(ALERTS)


def test_every_verb_exists():
    verbs = set(re.findall(r"\brampway ([a-z][a-z-]*)", PAGE))
    assert len(verbs) > 12
    assert verbs <= {*VERBS, "serve"}
