"""Gates, strategies and payloads of other packages: written in a policy like our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CODE = '''
from typing import ClassVar

from router.core.gates import Gate, GateState
from router.core.payloads import Answer
from router.core.rollout.plan import Plan, Step
from router.core.strategies import Strategy
from router.core.gates.verdict import Verdict


class SuspiciousState(GateState):
    seen = 0

    def observe(self, batch):
        self.seen += sum(cell.candidate.ok for cell in batch.cells)

    @property
    def verdict(self):
        return Verdict.FAIL if self.seen >= 100 else Verdict.PASS

    def sentence(self):
        return f"acme has seen {self.seen} answers and that is enough"

    def snapshot(self):
        return {"seen": self.seen}

    def restore(self, data):
        self.seen = data["seen"]


class Suspicious(Gate):
    """Trusts nobody for more than a hundred answers."""

    kind: ClassVar[str] = "suspicious"
    bets: ClassVar[bool] = False

    def start(self, context):
        return SuspiciousState(self.title, context, dry_run=self.dry_run)


class Coin(Strategy):
    """Half of everything, once."""

    def plan(self):
        return Plan((Step(weight_bp=5_000, hold_s=3_600.0),), strategy="coin")


class Csv:
    """Answers of one line."""

    def read(self, body):
        return Answer({"line": body.decode()})


class Misnamed(Gate):
    kind: ClassVar[str] = "another"
'''

ENTRIES = """
[rampway.gates]
suspicious = acme:Suspicious
guard = acme:Suspicious
missing = acme:Nothing
misnamed = acme:Misnamed
[rampway.strategies]
coin = acme:Coin
gate = acme:Suspicious
[rampway.payloads]
tsv = acme:Csv
none = acme:Suspicious
"""

POLICY = """
routes:
  - name: r
    payload: {payload}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout: {{candidate: v2, strategy: {strategy}, gates: [error_rate, {gate}]}}
"""


@pytest.fixture
def rampway(tmp_path):
    """The command, where a package that extends it is installed."""
    (tmp_path / "acme.py").write_text(CODE)
    info = tmp_path / "acme_gates-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-gates\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}

    def run(*arguments, payload="tsv", strategy="coin", gate="suspicious"):
        text = POLICY.format(payload=payload, strategy=strategy, gate=gate)
        (tmp_path / "policy.yaml").write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "router", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def test_an_installed_gate_strategy_and_payload_are_written_and_decide(rampway):
    checked = rampway("check", "policy.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    simulated = rampway(
        "simulate",
        "policy.yaml",
        "--rate",
        "50/s",
        "--runs",
        "1",
        "--duration",
        "10m",
        "-o",
        "json",
    )
    assert simulated.returncode in (0, 3), simulated.stderr
    sentence = json.loads(simulated.stdout)["sentence"]
    assert sentence.startswith("suspicious: acme has seen "), "the gate of the package decided"

    definitions = json.dumps(json.loads(rampway("schema").stdout))
    assert all(name in definitions for name in ('"suspicious"', '"coin"', '"tsv"'))


def test_what_is_broken_is_left_out_and_said(rampway):
    checked = rampway("check", "policy.yaml")
    said = checked.stdout + checked.stderr
    for sentence in (
        "guard (gates) of package acme-gates was left out: there is one of that name already",
        "missing (gates) of package acme-gates was left out: AttributeError",
        "misnamed (gates) of package acme-gates was left out: TypeError: expected kind",
        "gate (strategies) of package acme-gates was left out: TypeError: expected a subclass",
        "none (payloads) of package acme-gates was left out: TypeError: expected a class",
    ):
        assert sentence in said
    assert checked.returncode == 0, "nobody named them"

    named = rampway("check", "policy.yaml", gate="missing")
    assert named.returncode == 2
    assert "missing (gates) of package acme-gates was left out" in named.stdout + named.stderr
