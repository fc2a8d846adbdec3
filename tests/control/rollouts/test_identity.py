"""What a candidate is, how it ends, and what brings it back."""

from __future__ import annotations

import pytest

from router.core.rollout.events import Abort, Promote, Retry, Rollback
from router.core.rollout.rollout import Phase

HALF = "[{weight: 50%, hold: 1h}]"
V2 = "v2: {endpoints: [http://127.0.0.1:9002]}"


def at(policy, version, **more):
    return policy(steps=HALF, **more).replace(V2, version)


async def convicted(world, text):
    w = await world(text).start()
    await w.run(20, candidate=1.0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    return w


async def test_endpoints_come_and_go_without_touching_the_rollout(world, policy):
    w = await world(at(policy, V2)).start()
    started = w.rollout
    two = "v2: {endpoints: [http://127.0.0.1:9002, http://127.0.0.1:9012]}"
    for version in (two, "v2: {endpoints: [http://127.0.0.1:9012]}", two):
        await w.edit(at(policy, version))
        assert w.rollout == started
    await w.start()
    assert w.rollout.id == started.id


async def test_a_wholly_different_set_or_another_model_begins_anew(world, policy):
    w = await world(at(policy, V2)).start()
    await w.edit(at(policy, "v2: {endpoints: [http://127.0.0.1:9055]}"))
    assert (w.rollout.id, w.rollout.phase) == ("r-2", Phase.PROGRESSING)
    assert "all endpoints of v2 changed" in w.disk.entries[-2].reason
    await w.edit(at(policy, "v2: {model: '7', endpoints: [http://127.0.0.1:9055]}"))
    assert w.rollout.id == "r-3"
    assert "the model of v2 changed" in w.disk.entries[-2].reason


async def test_a_model_that_goes_back_to_a_convicted_one_ends_and_does_not_begin(world, policy):
    """In mid-rollout nobody had looked whether it was taken back (night 5342)."""
    w = await convicted(world, at(policy, V2))
    await w.edit(at(policy, "v2: {model: '8', endpoints: [http://127.0.0.1:9002]}"))
    assert (w.rollout.id, w.rollout.phase) == ("r-2", Phase.PROGRESSING)
    await w.edit(at(policy, V2))
    assert (w.rollout.id, w.rollout.phase) == ("r-2", Phase.ABORTED)
    assert "the model of v2 changed, to what was taken back" in w.disk.entries[-1].reason
    assert w.serving == {"v1": 10_000}
    assert any("`retry` starts it again" in note for note in w.notes)
    await w.run(5)
    assert w.serving == {"v1": 10_000}


@pytest.mark.parametrize(
    "version",
    [
        "v2: {endpoints: [http://127.0.0.1:9002, http://127.0.0.1:9012]}",
        "v2: {endpoints: [http://127.0.0.1:9077]}",
    ],
)
async def test_convicted_stays_out_wherever_it_is(world, policy, version):
    w = await convicted(world, at(policy, V2))
    for text in (at(policy, version), at(policy, V2), at(policy, version)):
        await w.edit(text)
        await w.run(5)
        assert w.serving == {"v1": 10_000}
        w.text = text
        await w.start()
        assert w.serving == {"v1": 10_000}
    await w.order(Retry("ann"))
    assert w.serving == {"v1": 5_000, "v2": 5_000}


async def test_convicted_stays_out_under_another_name(world, policy):
    w = await convicted(world, at(policy, V2))
    renamed = at(policy, V2.replace("v2", "v2b"), candidate="v2b")
    await w.edit(renamed)
    assert w.serving == {"v1": 10_000}
    assert "v2b was taken back; `retry`" in w.notes[0]


async def test_another_model_is_another_candidate(world, policy):
    w = await convicted(world, at(policy, "v2: {model: '1', endpoints: [http://127.0.0.1:9002]}"))
    await w.edit(at(policy, "v2: {model: '2', endpoints: [http://127.0.0.1:9002]}"))
    assert w.serving == {"v1": 5_000, "v2": 5_000}


async def test_what_is_asked_for_at_one_address_tells_candidates_apart(world, policy):
    """An adapter that was taken back keeps no other adapter of its server out, only itself."""
    adapter = "v2: {endpoints: [http://127.0.0.1:9002], set: {model: a}}"
    w = await convicted(world, at(policy, adapter))
    await w.edit(at(policy, adapter.replace("v2", "v2b"), candidate="v2b"))
    assert w.serving == {"v1": 10_000}
    await w.edit(at(policy, adapter.replace("model: a", "model: b")))
    assert w.serving == {"v1": 5_000, "v2": 5_000}


async def test_what_was_superseded_may_come_back_by_the_file_alone(world, policy):
    w = await world(at(policy, V2, on_new="replace")).start()
    await w.edit(at(policy, V2, on_new="replace", candidate="v3"))
    assert w.serving == {"v1": 5_000, "v3": 5_000}
    await w.edit(at(policy, V2, on_new="replace"))
    assert w.serving == {"v1": 5_000, "v2": 5_000}, "git revert"


async def test_given_up_waits_until_the_file_has_named_another(world, policy):
    w = await world(at(policy, V2)).start()
    await w.order(Abort("ann", "not today"))
    for _ in range(2):
        await w.start()
        assert w.serving == {"v1": 10_000}
    await w.edit(at(policy, V2, candidate="v3"))
    await w.order(Abort("ann"))
    await w.edit(at(policy, V2))
    assert w.serving == {"v1": 5_000, "v2": 5_000}


@pytest.mark.parametrize(
    ("on_new", "serving"), [("queue", {"v1": 10_000}), ("start", {"v1": 5_000, "v3": 5_000})]
)
async def test_after_a_bad_end_the_next_one_waits_for_a_person(world, policy, on_new, serving):
    w = await world(at(policy, V2, on_new=on_new)).start()
    await w.edit(at(policy, V2, on_new=on_new, candidate="v3"))
    await w.order(Rollback("ann", "incident"))
    await w.run(5)
    assert w.serving == serving
    if on_new == "queue":
        assert "v3 was waiting when v2 was taken back" in w.reconciler.runs["r"].notes[0]
        w.text = at(policy, V2, on_new=on_new, candidate="v3")
        await w.start()
        assert w.serving == serving, "also through a restart"
        await w.order(Retry("ann"))
        assert w.serving == {"v1": 5_000, "v3": 5_000}


async def test_after_a_good_end_the_next_one_begins(world, policy):
    w = await world(at(policy, V2)).start()
    await w.edit(at(policy, V2, candidate="v3"))
    await w.order(Promote("ann", full=True))
    await w.order(Promote("ann"))
    await w.run(5)
    assert w.serving == {"v2": 5_000, "v3": 5_000}


async def test_a_rollback_leads_to_any_version_that_a_person_names(world, policy):
    w = await world(at(policy, V2)).start()
    await w.order(Promote("ann", full=True))
    await w.order(Promote("ann"))
    await w.order(Rollback("bob", "v3 was better", to="v3"))
    assert w.serving == {"v3": 10_000}
    assert "rolled back to v3 by bob" in w.rollout.reason
    w.text = at(policy, V2)
    await w.start()
    assert w.serving == {"v3": 10_000}
