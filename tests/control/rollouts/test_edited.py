"""What an edited policy would have decided on a recording: the same outcomes, other rules."""

from __future__ import annotations

import json

import pytest

from router.core.rollout.events import Pause, Promote, Resume, Retry
from tests.cli.conftest import rampway


@pytest.fixture
def recorded(world, policy, tmp_path):
    """A world that records; ``w.edit(before, after)`` writes the edited policy's file."""

    async def start(text=None, *, size="64MiB", seed=1, **changes):
        head = f"recording: {{file: {tmp_path / 'rec'}, size: {size}, keep: 9}}\n"
        text = text or policy(**changes)
        w = await world(head + text, seed=seed).start()
        w.file, w.edited = tmp_path / "rec", tmp_path / "edited.yaml"

        def replay(*edits):
            w.reconciler.recording.close()
            changed = text
            for before, after in edits:
                assert before in changed
                changed = changed.replace(before, after)
            w.edited.write_text(changed)
            files = sorted(w.file.parent.glob("rec*"), key=lambda f: f.stat().st_mtime_ns)
            said = rampway("replay", *map(str, files), "--policy", str(w.edited), "-o", "json")
            return said.code, said.json["rollouts"] if said.out else said.err

        w.replay = replay
        return w

    return start


def actions(decisions):
    return [one["action"] for one in decisions]


async def healthy(recorded, seconds=200, **more):
    w = await recorded(**more)
    await w.run(seconds, candidate=0.01, stable=0.01, tick=0.25)
    return w


async def failing(recorded, share=0.5, **more):
    w = await recorded(**more)
    await w.run(61, candidate=0.01, stable=0.01)
    await w.run(60, candidate=share, stable=0.01)
    return w


async def test_the_same_policy_decides_the_same(recorded):
    w = await healthy(recorded)
    code, (one,) = w.replay()
    assert (code, one["verdict"], one["edited_end"]) == (0, "same", "completed")
    assert one["edited"] == one["recorded"]


async def test_the_same_policy_takes_back_at_the_same_moment(recorded):
    w = await failing(recorded)
    code, (one,) = w.replay()
    assert (code, one["verdict"], one["edited_end"]) == (0, "same", "rolled back")
    assert one["edited"] == one["recorded"]


async def test_a_policy_that_would_have_missed_the_incident_fails_the_check(recorded):
    w = await failing(recorded, share=0.08)
    assert w.rollout.phase.value == "rolled_back"
    code, (one,) = w.replay(
        ("[error_rate, {guard: {error_rate: 20%}}]", "[guard: {error_rate: 40%}]")
    )
    assert (code, one["verdict"], one["recorded_end"]) == (1, "different", "rolled back")


async def test_a_stricter_policy_would_have_acted(recorded, policy):
    lenient = policy().replace(
        "[error_rate, {guard: {error_rate: 20%}}]", "[guard: {error_rate: 40%}]"
    )
    w = await recorded(lenient)
    await w.run(200, candidate=0.15, stable=0.01)
    code, (one,) = w.replay(("{error_rate: 40%}", "{error_rate: 3%}"))
    assert (code, one["verdict"]) == (1, "different")
    assert (one["recorded_end"], one["edited_end"]) == ("completed", "rolled back")
    assert one["edited"][-1]["reason"].startswith("guard: ")


async def test_longer_holds_are_later_and_not_different(recorded):
    w = await healthy(recorded)
    code, (one,) = w.replay(("bake: 30s", "bake: 2h"))
    assert (code, one["verdict"], one["edited_end"]) == (4, "later", "undecided")
    assert "complete" not in actions(one["edited"])
    assert "bake" in actions(one["edited"])


async def test_people_s_orders_and_attempts_are_those_of_the_recording(recorded):
    w = await recorded()
    await w.order(Pause("ann"))
    await w.run(30, candidate=0.01, stable=0.01)
    await w.order(Resume("ann"))
    await w.order(Promote("ann", "seen enough"))
    await w.run(30, candidate=0.5, stable=0.01)
    await w.order(Retry("ann", force=True))
    await w.run(200, candidate=0.01, stable=0.01)
    code, both = w.replay(("hold: 60s", "hold: 59s"))
    assert code == 0
    assert [one["attempt"] for one in both] == [1, 2]
    assert [one["edited_end"] for one in both] == ["rolled back", "completed"]
    assert actions(both[0]["edited"])[:3] == ["pause", "resume", "promote"]


async def test_several_files_are_one_recording(recorded):
    w = await healthy(recorded, size="64KiB")
    code, (one,) = w.replay()
    assert (code, one["edited_end"], one["notes"]) == (0, "completed", [])
    assert one["edited"] == one["recorded"]


async def test_what_the_recording_does_not_hold_is_said(recorded):
    w = await healthy(recorded)
    edit = ("[error_rate,", "[error_rate, {slo: {slower_than: 77ms}},")
    code, (one,) = w.replay(edit)
    assert (code, one["verdict"]) == (4, "later")
    assert one["notes"] == ["slo learnt nothing: the recording has no outcomes counted as it asks"]


async def test_another_candidate_or_route_is_no_answer(recorded):
    w = await healthy(recorded, 10)
    code, said = w.replay(("candidate: v2", "candidate: v3"))
    assert (code, "the policy's candidate is v3, the recording's v2" in said) == (2, True)


async def test_a_recording_whose_writer_was_killed_ends_with_its_last_whole_line(recorded):
    w = await failing(recorded)
    w.reconciler.recording.close()
    w.file.write_bytes(w.file.read_bytes()[:-40])
    said = rampway("replay", str(w.file), "-o", "json")
    assert (said.code, said.json["different"]) == (0, 0)


async def test_the_table_is_read_by_people(recorded):
    w = await failing(recorded)
    w.replay()
    said = rampway("replay", str(w.file), "--policy", str(w.edited))
    assert said.out.startswith("r, attempt 1 of r-1: ends the same: rolled back\n")
    assert json.dumps("edited")[1:-1] in said.out
