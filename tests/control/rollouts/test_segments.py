"""Segments in virtual time: each for itself, until too many were taken back."""

from __future__ import annotations

import pytest

from router.control.rollouts.run import LOOKS_A_TURN
from router.core.rollout.events import Abort, Promote, Retry, Rollback
from router.core.rollout.rollout import Phase

EACH = "      for_each: {{header: X-Country, values: [de, fr, at], rest: {rest}{more}}}\n"


def segmented(policy, *, rest="stable", more=", stop_all_when: 2", **changes):
    return policy(**changes) + EACH.format(rest=rest, more=more)


def phases(w):
    return {
        name: run.rollout.phase.value if run.rollout else None
        for name, run in w.reconciler.runs.items()
    }


async def order(w, route, event):
    move = w.reconciler.order(route, event)
    await w.settle()
    return move


@pytest.fixture
async def w(world, policy):
    made = await world(segmented(policy)).start()
    await made.run(1, rate=0)
    return made


async def test_every_segment_has_a_rollout_of_its_own(w):
    assert phases(w) == {"r@de": "progressing", "r@fr": "progressing", "r@at": "progressing",
                         "r": None}  # fmt: skip
    assert [e.name for e in w.tables.last.routes] == ["r@de", "r@fr", "r@at", "r"]
    await order(w, "r@de", Promote("ann"))
    assert [e.weights_bp[1] for e in w.tables.last.routes] == [2_500, 100, 100, 0]
    offsets = {run.rollout.id for run in w.reconciler.runs.values() if run.rollout}
    assert len(offsets) == 3, "other users come first in each"


async def test_many_are_judged_in_turns_and_what_has_news_comes_first(world, policy, monkeypatch):
    names = [f"c{n}" for n in range(60)]
    text = segmented(policy).replace("[de, fr, at]", f"[{', '.join(names)}]")
    w = await world(text).start()
    await w.run(10, rate=0)
    reconciler, looked = w.reconciler, []
    look = reconciler._look

    def seen(run, live, now):
        looked.append(run.route.name)
        return look(run, live, now)

    monkeypatch.setattr(reconciler, "_look", seen)
    for run in reconciler.runs.values():
        run.look_at = reconciler.clock.now() - 1
    reconciler.runs["r@c59"].look_at = 0.0
    assert reconciler.turn() == reconciler.clock.now(), "there is more to do at once"
    assert len(looked) == LOOKS_A_TURN
    assert "r@c59" in looked
    reconciler.turn()
    assert sorted(looked) == sorted(f"r@{name}" for name in names), "each once"


async def test_one_that_fails_leaves_the_others_alone_and_the_second_takes_all_back(w):
    await order(w, "r@de", Rollback("ann", "wrong prices"))
    assert phases(w)["r@fr"] == phases(w)["r@at"] == "progressing"
    await order(w, "r@fr", Abort("bob", "here too"))
    assert {p for p in phases(w).values() if p} == {"rolled_back", "aborted"}
    last = w.reconciler.runs["r@at"].rollout
    assert last.actor == "router"
    assert "r@fr was aborted, and stop_all_when is 2 segments" in last.reason
    assert "here too" in last.reason
    assert all(e.weights_bp[0] == 10_000 for e in w.tables.last.routes)


async def test_one_that_was_completed_meanwhile_goes_back_as_well(w):
    await order(w, "r@at", Promote("ann", full=True))
    await order(w, "r@at", Promote("ann"))
    assert phases(w)["r@at"] == "completed"
    await order(w, "r@de", Rollback("ann"))
    await order(w, "r@fr", Rollback("ann"))
    assert phases(w)["r@at"] == "rolled_back"


async def test_a_segment_that_was_tried_again_is_not_a_lost_one(w):
    await order(w, "r@de", Rollback("ann"))
    await order(w, "r@de", Retry("ann", force=True))
    await order(w, "r@fr", Rollback("ann"))
    assert phases(w)["r@de"] == phases(w)["r@at"] == "progressing"


async def test_without_a_limit_each_stands_for_itself(world, policy):
    w = await world(segmented(policy, rest="rollout", more="")).start()
    for name in ("r@de", "r@fr", "r@at"):
        await order(w, name, Rollback("ann"))
    assert phases(w)["r"] == "progressing"


async def test_a_restart_between_the_first_and_the_last_takes_the_rest_back(w, monkeypatch):
    monkeypatch.setattr(w.reconciler, "_take_back_fellows", lambda _run: None)
    await order(w, "r@de", Rollback("ann"))
    await order(w, "r@fr", Rollback("ann"))
    assert phases(w)["r@at"] == "progressing"
    await w.start()
    assert phases(w)["r@at"] == "rolled_back"


async def test_evidence_of_one_segment_convicts_that_one_only(w):
    from router.core.wire.outcomes import ArmCounts, Batch, Cell

    entry = w.tables.last.routes[1]
    cell = Cell(100, ArmCounts(0, 40, arrived=40), ArmCounts(4_000, 4, arrived=4_004),
                entry.thresholds_s)  # fmt: skip
    w.reconciler.observe((Batch("r@fr", entry.revision, (cell,)),))
    await w.settle()
    assert w.reconciler.runs["r@fr"].rollout.phase is Phase.ROLLED_BACK
    assert phases(w)["r@de"] == "progressing"
