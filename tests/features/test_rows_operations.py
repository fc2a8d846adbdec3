"""Rows 84 to 97 of docs/features.md that no other test shows in one piece."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from router.cli import VERBS
from router.core.rollout.events import Pause, Promote
from router.core.rollout.rollout import Phase
from router.core.wire.counts import VersionCounts

ARGO = {
    "abort": ["abort"], "completion": ["completion"], "create": ["check", "serve"],
    "dashboard": ["serve"], "get": ["get"], "lint": ["check"], "list": ["list"],
    "notifications": ["check"], "pause": ["pause"], "promote": ["promote"], "restart": ["retry"],
    "retry": ["retry"], "set": ["set-weight"], "status": ["status", "wait"],
    "terminate": ["abort"], "undo": ["rollback"], "version": ["version"],
}  # fmt: skip
"""The verbs of `kubectl argo rollouts` 1.8, and what does the same here."""


def test_every_verb_of_argo_has_a_counterpart():
    known = {*VERBS, "serve", "demo", "completion"}
    assert {verb for counterparts in ARGO.values() for verb in counterparts} <= known


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_the_command(shell):
    """Click's completion: `eval "$(_RAMPWAY_COMPLETE=bash_source rampway)"`."""
    place = "roll" if shell == "fish" else "1"  # fish tells the word, the others its number
    asked = {"_RAMPWAY_COMPLETE": f"{shell}_complete", "COMP_WORDS": "rampway roll",
             "COMP_CWORD": place}  # fmt: skip
    code = "from router.__main__ import app; app(prog_name='rampway')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | asked, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "rollback" in done.stdout, done.stderr


async def test_what_people_decided_survives_a_restart(world, policy):
    """Approvals, pauses and freezes are positions in the store, not gates in somebody's memory."""
    steps = "[{weight: 5%, hold: 1m, approval: {}}, {weight: 20%, hold: 1h}]"
    w = await world(policy(f"canary: {{steps: {steps}}}")).start()
    await w.run(61, rate=20, tick=1)
    assert w.rollout.phase is Phase.AWAITING_APPROVAL
    await w.start()
    assert w.rollout.phase is Phase.AWAITING_APPROVAL
    await w.order(Promote("ann", "reviewed"))
    await w.start()
    assert (w.weight, w.rollout.actor) == (2_000, "ann")
    await w.order(Pause("bob"))
    await w.start()
    assert w.rollout.phase is Phase.PAUSED
    await w.reconciler.freeze(True, "eve", "sale")
    await w.start()
    await w.run(5, rate=20, tick=1)
    assert "frozen by eve" in w.reconciler.restraint.starting(w.reconciler.runs["r"])


async def test_the_measured_share_stands_beside_the_commanded_one(world, policy):
    """What really happened in the last minute, from counted requests."""
    w = await world(policy("canary: {steps: [{weight: 20%, hold: 1h}]}")).start()
    observatory = w.reconciler.observatory
    for _ in range(60):
        w.clock.advance(1)
        counts = [
            VersionCounts("r", name, role, (good,) + (0,) * 10, (0, good, 0, 0, 0))
            for name, role, good in (("v1", "stable", 81), ("v2", "candidate", 19))
        ]
        observatory.add(0, counts, w.clock.now())
    assert w.weight == 2_000
    assert observatory.measured_bp("r", "v1", "v2", w.clock.now()) == 1_900
