"""An edit of `sticky` in mid-rollout: other units are drawn, so the evidence begins anew."""

from __future__ import annotations

import pytest

from router.core.wire.outcomes import ArmCounts, Batch, Cell
from tests.control.rollouts.test_rules_of_policy import view

STEPS = "[{weight: 50%, hold: 1h}]"


def of_users(text, *, sticky=True, header="X-User"):
    line = f"    sticky: {{header: {header}}}\n    versions:" if sticky else "    versions:"
    return text.replace("    versions:", line, 1)


def counted(w, revision, number, *, sticky):
    arm = ArmCounts(ok=number, arrived=number)
    cell = Cell(5_000, arm, arm, w.entry.thresholds_s, slice=7, sticky=sticky)
    w.reconciler.observe((Batch("r", revision, (cell,)),))


@pytest.mark.parametrize("first", [True, False], ids=["requests-then", "users-then"])
async def test_evidence_of_other_units_is_dropped_and_said(world, policy, first):
    text = policy(steps=STEPS)
    w = await world(of_users(text, sticky=not first)).start()
    run, then = w.reconciler.runs["r"], w.entry.revision
    counted(w, then, 40, sticky=not first)
    assert run.live.trial.answers == 40
    await w.edit(of_users(text, sticky=first))
    assert run.live.trial.answers == 0
    assert run.live.trial.settings.sticky is first
    assert w.entry.revision > then, "what is under way belongs to the revision that drew it"
    assert (w.weight, w.rollout.revision) == (5_000, w.entry.revision), "nobody's share changes"
    counted(w, then, 900, sticky=not first)
    assert run.live.trial.answers == 0, "an old worker's word, drawn before the edit"
    counted(w, w.entry.revision, 3, sticky=first)
    assert run.live.trial.answers == 3
    said = w.disk.entries[-1]
    assert (said.action, said.phase_to) == ("redraw", "progressing")
    assert "evidence begins anew" in said.reason
    assert w.disk.records["r"].revision == w.record.revision
    assert view(w)["revision"] == w.record.revision


async def test_another_header_draws_users_as_before(world, policy):
    text = policy(steps=STEPS)
    w = await world(of_users(text)).start()
    run = w.reconciler.runs["r"]
    counted(w, w.entry.revision, 40, sticky=True)
    await w.edit(of_users(text, header="X-Other"))
    assert run.live.trial.answers == 40


async def test_an_edit_that_a_restart_finds_begins_anew_too(world, policy):
    text = policy(steps=STEPS)
    w = await world(text).start()
    counted(w, w.entry.revision, 40, sticky=False)
    await w.run(2, rate=0)
    assert w.disk.evidence["r"].sticky is False
    w.text = of_users(text)
    await w.start()
    assert w.reconciler.runs["r"].live.trial.answers == 0
    assert w.reconciler.runs["r"].live.trial.settings.sticky
