"""Rows 31 to 42 of docs/features.md that no other test shows in one piece."""

from __future__ import annotations

from router.core.rollout.events import Abort, Retry
from router.core.rollout.traffic import Draw, bucket_of

CANARY = "canary: {steps: [{weight: 20%, hold: 60s}, {weight: 40%, hold: 60s}], bake: 30s}"


def places(w, users=500):
    """Where each user goes by the table in force, as workers and `whois` compute it."""
    entry = w.entry
    draw = Draw(range(len(entry.versions)), entry.weights_bp, entry.candidate, entry.offset)
    return [draw.at(bucket_of(b"user-%d" % n)) for n in range(users)]


async def test_two_routers_with_one_policy_choose_alike(world, policy):
    """No state is shared: the key's bucket, the rollout's name and the weight are the choice."""
    text = policy(CANARY).replace("stable: v1", "stable: v1\n    sticky: {header: X-User}")
    one, other = await world(text, seed=1).start(), await world(text, seed=2).start()
    for _ in range(2):
        assert places(one) == places(other)
        await one.run(61)
        await other.run(61)
    assert len(set(places(one))) == 1, "both have completed"
    assert places(one) == places(other)


async def test_users_only_ever_come_to_the_candidate_while_it_grows(world, policy):
    w = await world(policy(CANARY)).start()
    small = {n for n, place in enumerate(places(w)) if place == w.entry.candidate}
    await w.run(61)
    large = {n for n, place in enumerate(places(w)) if place == w.entry.candidate}
    assert small < large
    await w.start()
    assert {n for n, p in enumerate(places(w)) if p == w.entry.candidate} == large


async def test_another_candidate_begins_with_other_users(world, policy):
    """The same users must not be the first to suffer every time; a retry keeps them, though."""
    w = await world(policy(CANARY)).start()
    first, offset = places(w), w.entry.offset
    await w.order(Abort("ann"))
    await w.order(Retry("ann"))
    assert places(w) == first
    await w.order(Abort("ann"))
    await w.edit(policy(CANARY).replace("candidate: v2", "candidate: v3"))
    assert w.entry.offset != offset
    chosen = {n for n, place in enumerate(places(w)) if place == w.entry.candidate}
    before = {n for n, place in enumerate(first) if place == 1}
    assert chosen != before
