"""A candidate that is not ready takes no more traffic, however long it waits."""

from __future__ import annotations

import pytest

from router.core.rollout.events import Abort, Promote, Retry
from router.core.rollout.rollout import Phase
from router.core.wire.counts import EndpointState
from tests.control.rollouts.test_rules_of_policy import view

HALF = "[{weight: 50%, hold: 5s, until: {samples: 0}}]"


def tell(w, *, healthy=False, ejected=False, error="probe answered 503", ready=None):
    state = EndpointState(
        "r", "v2", "http://127.0.0.1:9002", healthy, ejected, 0, 0, last_error=error, ready=ready
    )
    w.reconciler.seen(0, (state,))


@pytest.mark.parametrize("state", [{"healthy": False}, {"healthy": True, "ejected": True}])
@pytest.mark.parametrize("where", ["step", "bake"])
async def test_what_is_not_ready_is_not_promoted(world, policy, state, where):
    w = await world(policy(steps=HALF, bake="5s")).start()
    tell(w, healthy=True, ready=True)
    await w.run(2)
    if where == "bake":
        await w.run(7)
    before = w.rollout.phase
    tell(w, **state)
    await w.run(100)
    assert w.rollout.phase is before
    assert view(w)["waits_for"] == "v2 is not ready: probe answered 503"
    tell(w, healthy=True)
    await w.run(30)
    assert w.rollout.phase is Phase.COMPLETED


async def probed(world, text):
    w = world(text)
    w.probed = True
    return await w.start()


def given(w):
    split = w.reconciler.runs["r"].record.live.split
    return split.candidate_bp, split.mirror_bp


async def test_what_was_never_ready_stands_without_traffic_and_begins_by_itself(world, policy):
    w = await probed(world, policy(steps=HALF, bake="5s"))
    assert w.rollout.standing, "before any worker has said a word"
    assert all(entry.weights_bp[1] == 0 for t in w.tables.sent for entry in t.routes)
    assert view(w)["waits_for"].startswith("v2 is not ready: no worker has reached it yet")
    tell(w, healthy=True, ready=False, error="connection refused")
    await w.run(1)
    assert [e.action for e in w.disk.entries] == ["start"], "nobody is told of a second"
    await w.run(60)
    assert [e.action for e in w.disk.entries] == ["start", "wait"]
    assert w.disk.entries[1].reason == "v2 is not ready: connection refused"
    assert w.rollout.standing
    assert given(w) == (0, 0)
    assert view(w)["waits_for"].startswith("v2 is not ready: connection refused")
    tell(w, healthy=True, ready=True)
    await w.run(2)
    assert not w.rollout.standing
    assert w.rollout.step == 0  # its clock began with the candidate
    assert given(w) == (5_000, 0)
    await w.run(30)
    assert w.rollout.phase is Phase.COMPLETED


async def start(w):
    await w.start()


async def retry(w):
    tell(w, healthy=True, ready=True)
    await w.settle()
    await w.order(Abort("ann"))
    tell(w, healthy=True, ready=None)
    await w.order(Retry("ann", force=True))


async def edit(w):
    tell(w, healthy=True, ready=True)
    await w.settle()
    await w.edit(w.text.replace(":9002", ":9012"))


async def other(w):
    tell(w, healthy=True, ready=True)
    await w.settle()
    await w.edit(
        w.text.replace("candidate: v2", "candidate: v3").replace(
            "on_new_candidate: queue", "on_new_candidate: replace"
        )
    )


@pytest.mark.parametrize("begin", [start, retry, edit, other])
async def test_every_path_that_begins_a_rollout_begins_it_standing(world, policy, begin):
    w = await probed(world, policy(steps=HALF, bake="5s"))
    await begin(w)
    await w.run(20)
    assert w.rollout.phase is Phase.PROGRESSING
    assert w.rollout.standing
    assert given(w) == (0, 0)
    assert not w.reconciler.runs["r"].live.trial.judge.answers


async def test_a_restart_forgets_neither_that_it_stands_nor_that_it_began(world, policy):
    w = await probed(world, policy(steps=HALF, bake="5s"))
    await w.start()
    assert w.rollout.standing
    tell(w, healthy=True, ready=True)
    await w.settle()
    await w.start()
    assert not w.rollout.standing
    await w.run(60)
    assert w.rollout.phase is Phase.PROGRESSING, "nobody knows yet whether it is there"
    assert w.rollout.stopped_since is None, "which is no news of the candidate"
    assert given(w) == (5_000, 0)


async def test_the_clocks_stand_while_nobody_is_ready(world, policy):
    steps = "[{weight: 50%, hold: 30s, until: {samples: 0}}]"
    text = policy(steps=steps, bake="5s").replace(
        "on_new_candidate:",
        "max_duration: 60s\n      on_inconclusive: rollback\n      on_new_candidate:",
    )
    w = await world(text).start()
    await w.run(10)
    tell(w, healthy=True, ready=True)
    tell(w, healthy=True, ready=False, error="connection refused")
    await w.run(600)
    assert w.rollout.phase is Phase.PROGRESSING
    assert view(w)["remaining_s"] == pytest.approx(20, abs=2)
    assert view(w)["next_advance_at"] is None
    tell(w, healthy=True, ready=True)
    await w.run(15)
    assert w.rollout.phase is Phase.PROGRESSING
    assert [e.action for e in w.disk.entries][:4] == ["start", "stop", "go_on"][:4]
    await w.run(100)
    assert w.rollout.phase is Phase.COMPLETED


def half(w, **state):
    both = [("http://127.0.0.1:9002", {"healthy": True}), ("http://127.0.0.1:9022", state)]
    for name, one in both:
        state = EndpointState(
            "r", "v2", name, one.get("healthy", True), one.get("ejected", False), 0, 0,
            last_error=one.get("error", ""), ready=one.get("ready", True),
        )  # fmt: skip
        w.reconciler.seen(0, (state,))


async def test_half_a_version_is_not_promoted_without_a_word(world, policy):
    w = await world(policy(steps=HALF, bake="5s")).start()
    half(w, ejected=True)
    await w.run(60)
    assert w.rollout.phase is Phase.PROGRESSING
    word = (
        "not all of it is up: 1 of 2 endpoints of v2 does not answer: http://127.0.0.1:9022: it is "
        "ejected for failing"
    )
    assert view(w)["waits_for"] == word
    assert [e.reason for e in w.disk.entries if e.action == "wait"] == [word]
    half(w)
    await w.run(20)
    assert w.rollout.phase is Phase.COMPLETED


async def test_what_comes_and_goes_is_waited_for(world, policy):
    w = await world(policy(steps=HALF, bake="5s")).start()
    for _ in range(3):
        half(w)
        half(w, ejected=True)
    half(w)
    await w.run(120)
    assert "http://127.0.0.1:9022 of v2 went away 3 times in 10m" in view(w)["waits_for"]
    assert w.rollout.phase is Phase.PROGRESSING
    await w.run(90)
    assert w.rollout.phase is Phase.COMPLETED


async def test_a_person_promotes_half_a_version(world, policy):
    w = await world(policy(steps=HALF, bake="0s")).start()
    half(w, ejected=True)
    await w.run(20)
    await w.order(Promote("ann", reason="the other half is retired"))
    assert w.rollout.phase is Phase.COMPLETED


async def test_an_endpoint_that_left_the_policy_is_forgotten(world, policy):
    w = await world(policy(steps=HALF, bake="5s")).start()
    half(w, ready=False, error="connection refused")
    await w.edit(w.text + "\n# the same\n")
    await w.run(20)
    assert w.rollout.phase is Phase.COMPLETED


async def test_what_was_ready_and_died_does_not_stand(world, policy):
    w = await world(policy(steps=HALF, bake="5s")).start()
    tell(w, healthy=True, ready=True)
    await w.run(2)
    tell(w, healthy=True, ready=False, error="connection refused")
    await w.run(60)
    assert not w.rollout.standing
    assert w.rollout.phase is Phase.PROGRESSING
    assert w.reconciler.runs["r"].record.live.split.candidate_bp == 5_000
