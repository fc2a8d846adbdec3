"""Real clients in front of the router: the same answers as from the server itself, and pairs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.peers.lab import Lab, python_of
from tests.peers.setups import SETUPS

pytestmark = [pytest.mark.peers, pytest.mark.timeout(400)]
CLIENTS = Path(__file__).with_name("clients.py")
LEAST = {"mlserver": 18, "kserve-v2-binary": 2, "openai-compatible": 3}
"""Clients of which something must be there; curl, node and Java may be missing."""


@pytest.mark.parametrize("kind", LEAST)
def test_clients_of(kind, tmp_path):
    setup = next(setup for setup in SETUPS if setup.name == kind)
    python = python_of("web", "openai")
    with Lab(setup, tmp_path) as lab:
        command = [python, CLIENTS, kind, str(lab.at("a")), str(lab.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert not done.returncode, done.stderr[-3_000:]
        found = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
        for one in found:
            print(kind, one["name"], one["missing"] or str(one["routed"])[:100])
        asked = [one for one in found if not one["missing"]]
        assert len(asked) >= LEAST[kind], found
        assert [one for one in asked if one["direct"] != one["routed"]] == []

        seen = lab.pairs("anybody", "b", 2)
        print(kind, {k: seen[k] for k in ("pairs", "agreed", "disagreed", "failed", "unusable")})
        assert seen["agreed"] == seen["pairs"] >= 2
        assert (seen["disagreed"], seen["failed"]) == (0, 0)
