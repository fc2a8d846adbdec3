"""A `rollout:` that the file has no more ends what is live, and nothing else does by a file."""

from __future__ import annotations

import pytest

from router.config.check import loads
from router.control.state.errors import PolicyRejected
from router.core.rollout.events import Abort, Pause
from router.core.rollout.rollout import Phase

HALF = "[{weight: 50%, hold: 1h}]"


async def edited(w, text, *, ends):
    w.notes = w.reconciler.adopt(loads(text).policy, ends=ends)
    w.text = text
    await w.settle()


async def test_a_rollout_that_the_file_has_no_more_ends(world, policy):
    w = await world(policy(steps=HALF)).start()
    await edited(w, policy(rollout=False), ends=True)
    assert w.rollout.phase is Phase.ABORTED
    assert w.serving == {"v1": 10_000}
    assert "its rollout was taken out of the policy" in w.disk.entries[-1].reason
    assert w.rollout.line == "v2 was given up by policy: its rollout was taken out of the policy"
    await w.edit(policy(steps=HALF))
    assert w.serving == {"v1": 5_000, "v2": 5_000}, "named again it begins anew"
    assert w.rollout.id == "r-2"


async def test_until_it_is_believed_the_rollout_goes_on(world, policy):
    w = await world(policy(steps=HALF)).start()
    before = w.rollout
    await edited(w, policy(rollout=False), ends=False)
    assert w.rollout == before
    assert "ends when the file reads the same a second later" in w.notes[0]


async def test_the_candidate_may_leave_with_its_rollout(world, policy):
    w = await world(policy(steps=HALF)).start()
    gone = "\n".join(line for line in policy(rollout=False).splitlines() if "v2:" not in line)
    with pytest.raises(PolicyRejected, match="version v2 is progressing"):
        await edited(w, gone, ends=False)
    await edited(w, gone, ends=True)
    assert w.serving == {"v1": 10_000}


async def test_a_paused_one_ends_and_an_ended_one_stays_as_it_is(world, policy):
    w = await world(policy(steps=HALF)).start()
    await w.order(Pause("ann"))
    await edited(w, policy(rollout=False), ends=True)
    assert w.rollout.phase is Phase.ABORTED
    w = await world(policy(steps=HALF)).start()
    await w.order(Abort("ann", "not today"))
    entries = len(w.disk.entries)
    await edited(w, policy(rollout=False), ends=True)
    await edited(w, policy(steps=HALF), ends=True)
    assert len(w.disk.entries) == entries, "given up by a person: it waits for `retry`"
    assert w.serving == {"v1": 10_000}


async def test_what_was_convicted_is_not_freed_by_taking_it_out(world, policy):
    w = await world(policy(steps=HALF)).start()
    await w.run(20, candidate=1.0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    for text in (policy(rollout=False), policy(steps=HALF)):
        await edited(w, text, ends=True)
        await w.run(3)
    assert w.serving == {"v1": 10_000}


async def test_segments_end_with_the_rollout_of_their_route(world, policy):
    each = "candidate: v2\n      for_each: {header: X-Land, values: [de, fr]}"
    w = await world(policy(steps=HALF).replace("candidate: v2", each)).start()
    runs = dict(w.reconciler.runs)
    assert set(runs) == {"r@de", "r@fr", "r"}
    with pytest.raises(PolicyRejected, match="abort it first"):
        await edited(w, policy(rollout=False), ends=False)
    await edited(w, policy(rollout=False), ends=True)
    assert set(w.reconciler.runs) == {"r"}
    assert [run.rollout.phase for name, run in runs.items() if "@" in name] == [Phase.ABORTED] * 2
    ended = [e.route for e in w.disk.entries if e.action == "abort"]
    assert ended == ["r@de", "r@fr", "r"]


async def test_a_value_taken_out_of_for_each_ends_its_segment_alone(world, policy):
    def each(values):
        more = (
            f"candidate: v2\n      for_each: {{header: X-Land, values: [{values}], rest: stable}}"
        )
        return policy(steps=HALF).replace("candidate: v2", more)

    w = await world(each("de, fr")).start()
    await edited(w, each("de"), ends=True)
    assert [e.route for e in w.disk.entries if e.action == "abort"] == ["r@fr"]
    assert w.reconciler.runs["r@de"].rollout.phase is Phase.PROGRESSING
