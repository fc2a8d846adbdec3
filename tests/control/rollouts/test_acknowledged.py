"""A way back is shown until somebody has seen it; the next one is shown again."""

from __future__ import annotations

from dataclasses import replace

from router.control.rollouts.acknowledged import ACKNOWLEDGED, Acknowledged
from router.core.rollout.rollout import Phase, begin
from tests.clock import ManualClock

BACK = replace(begin("r-1", "r", "v1", "v2", revision=3, now=0.0), phase=Phase.ROLLED_BACK)


def test_it_is_wanted_once_an_attempt():
    kept = Acknowledged()
    assert kept.wanted(BACK)
    assert not kept.wanted(None)
    assert not kept.wanted(replace(BACK, phase=Phase.BAKING))
    change = kept.order(ManualClock(), BACK, "ann", "known outage")
    assert not kept.wanted(BACK)
    assert kept.wanted(replace(BACK, attempt=2))
    (entry,) = change.entries
    assert (entry.actor, entry.action) == ("ann", ACKNOWLEDGED)
    assert entry.reason == "ann has seen that v2 was taken back: known outage"
    again = Acknowledged()
    again.restore(change.settings.acknowledged)
    assert not again.wanted(BACK)
