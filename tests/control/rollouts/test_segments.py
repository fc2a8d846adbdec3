"""Segments in virtual time: each for itself, until too many were taken back."""

from __future__ import annotations

import pytest

from router.config.check import loads
from router.control.rollouts import lifecycle
from router.control.rollouts.arrivals import BATCHES_A_TURN
from router.control.rollouts.keeping import SNAPSHOTS_A_TURN
from router.control.rollouts.run import LOOKS_A_TURN
from router.control.watch import with_known
from router.core.rollout.events import Abort, Promote, Retry, Rollback
from router.core.rollout.rollout import Phase
from router.core.wire.outcomes import ArmCounts, Batch, Cell

EACH = "      for_each: {{header: X-Country, values: [de, fr, at], rest: {rest}{more}}}\n"


def segmented(policy, *, rest="stable", more=", stop_all_when: 2", **changes):
    return policy(**changes) + EACH.format(rest=rest, more=more)


def load_text(text):
    return loads("listen: 127.0.0.1:0\n" + text, "policy.yaml").policy


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


@pytest.mark.parametrize(("scope", "parts"), [
    ("", 4), ("segment", 1), ("route", 4), ("fleet", 5), ("7", 7),
])  # fmt: skip
async def test_whose_bound_it_is(world, policy, scope, parts):
    """The limit at which each of them is taken back; three segments, the rest, another route."""
    said = f"      false_rollback_scope: {scope}\n" if scope else ""
    other = policy().split("routes:\n")[1].replace("name: r", "name: s")
    text = segmented(policy, rest="rollout", more="") + said + other
    w = await world(text.replace("path: /", "path: /r", 1)).start()
    limits = {name: run.trial.judge.limit for name, run in w.reconciler.runs.items()}
    assert limits.pop("s") == pytest.approx(100)
    assert set(limits) == {"r@de", "r@fr", "r@at", "r"}
    assert [*limits.values()] == pytest.approx([100 * parts] * 4)


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
    while len(looked) < len(names):
        reconciler.turn()
    assert sorted(looked) == sorted(f"r@{name}" for name in names), "each once"


async def test_outcomes_and_evidence_of_many_are_taken_in_by_parts(world, policy):
    names = [f"c{n}" for n in range(60)]
    text = segmented(policy).replace("[de, fr, at]", f"[{', '.join(names)}]")
    w = await world(text).start()
    await w.run(10, rate=0)
    reconciler, written = w.reconciler, []
    cell = Cell(100, ArmCounts(ok=1, arrived=1), ArmCounts(ok=9, arrived=9))
    runs = [run for run in reconciler.runs.values() if run.live]
    reconciler.observe(tuple(Batch(r.route.name, r.record.revision, (cell,)) for r in runs))

    def told():
        return sum(run.live.trial.answers > 0 for run in runs)

    assert told() == BATCHES_A_TURN
    reconciler._keeping._quietly = lambda change: written.append(set(change.evidence))
    assert reconciler.turn() == reconciler.clock.now(), "there is more to do at once"
    assert told() == 2 * BATCHES_A_TURN
    reconciler.abandon(1)
    assert told() == 60, "what a worker said counts before its end does"
    for _ in range(len(runs) // SNAPSHOTS_A_TURN + 1):
        w.clock.advance(0.2)
        reconciler.turn()
    assert max(map(len, written)) == SNAPSHOTS_A_TURN
    assert set().union(*written) >= {run.route.name for run in runs}


async def test_an_edit_leaves_what_it_does_not_change_as_it_is(world, policy, monkeypatch):
    w = await world(policy()).start()
    await w.run(5, rate=0)
    known, settled = w.reconciler.policy, []
    again = with_known(load_text(policy()), known)
    assert again.routes[0] is known.routes[0]
    settle = lifecycle.settle

    def noted(route, *args, **options):
        settled.append(route.name)
        return settle(route, *args, **options)

    monkeypatch.setattr(lifecycle, "settle", noted)
    entry = w.reconciler.runs["r"].entry
    w.reconciler.adopt(again)
    assert settled == []
    assert w.reconciler.runs["r"].entry is entry
    w.reconciler.adopt(again, force=True)
    w.reconciler.adopt(load_text(policy()))
    assert settled == ["r", "r"]


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
