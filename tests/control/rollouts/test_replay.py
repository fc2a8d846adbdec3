"""A recorded rollout is decided again, exactly; whatever was changed in the recording is found."""

from __future__ import annotations

import json

import pytest

from router.control.rollouts.freeze import EVERYTHING
from router.control.rollouts.recording import Writer, digest, sealed
from router.control.rollouts.replay import Replay
from router.core.gates import Measurement
from router.core.rollout.events import Abort, Pause, Promote, Resume, Retry, Rollback, SetWeight
from router.core.rollout.rollout import Phase
from tests.cli.conftest import rampway
from tests.control.rollouts.test_ready import HALF, tell
from tests.control.rollouts.test_rules_of_policy import QUERY, with_rules

AUTO = "{canary: {ramp: {auto: {to: 50%, hold: 30s}}}}"


@pytest.fixture
def recorded(world, policy, tmp_path):
    """A world that records, and the lines that it wrote."""
    file = tmp_path / "rec"

    async def start(text=None, *, size="64MiB", seed=1, **changes):
        head = f"recording: {{file: {file}, size: {size}, keep: 3}}\n"
        w = await world(head + (text or policy(**changes)), seed=seed).start()
        w.file = file
        return w

    return start


def lines(w):
    w.reconciler.recording.close()
    return w.file.read_bytes().splitlines(keepends=True)


def replayed(w):
    return list(Replay().run(lines(w)))


def same(decisions):
    assert [d for d in decisions if d.difference] == []
    return [d.action for d in decisions]


async def test_a_whole_rollout_is_decided_again(recorded):
    w = await recorded()
    await w.run(200, candidate=0.01, stable=0.01)
    actions = same(replayed(w))
    assert actions == [e.action for e in w.disk.entries if e.action != "start"]
    assert {"advance", "bake", "complete"} <= set(actions)


@pytest.mark.parametrize("seed", range(3))
async def test_a_rollback_with_every_number_of_its_evidence(recorded, seed):
    w = await recorded(seed=seed)
    await w.run(61, candidate=0.01, stable=0.01)
    await w.run(30, candidate=0.5, stable=0.01)
    decisions = replayed(w)
    assert same(decisions)[-1] == "rollback"
    assert decisions[-1].reason == w.rollout.reason


async def test_an_evidence_driven_ramp_is_followed_exactly(recorded, policy):
    text = policy().replace("{canary: {steps", "{canary: {steps")
    start = text.index("strategy: ") + len("strategy: ")
    w = await recorded(text[:start] + AUTO + text[text.index("\n", start) :])
    await w.run(120, rate=400, candidate=0.01, stable=0.01)
    actions = same(replayed(w))
    assert actions.count("ramp") >= 3
    assert "complete" in actions


async def test_people_s_orders_pauses_and_retries_are_made_again(recorded):
    w = await recorded()
    for event in (Pause("ann"), Resume("ann"), SetWeight("ann", weight_bp=700, until=50.0)):
        await w.order(event)
        await w.run(5)
    await w.order(Rollback("ann", "no"))
    await w.order(Retry("ann", force=True))
    await w.run(5)
    await w.order(Promote("ann"))
    await w.order(Abort("ann"))
    assert same(replayed(w)) == [
        "pause", "resume", "set_weight", "rollback", "retry", "promote", "abort",
    ]  # fmt: skip


async def test_what_held_a_decision_back_is_in_the_recording(recorded):
    w = await recorded()
    w.reconciler.freeze(True, "ann", "incident", route=EVERYTHING)
    await w.run(70)
    assert w.weight == 100
    w.reconciler.freeze(False, "ann", "", route=EVERYTHING)
    w.store.broken = True
    await w.run(5)
    w.store.broken = False
    await w.run(60)  # the freeze began at once, so the hold is yet to come
    w.store.broken = True
    await w.run(5)
    w.store.broken = False
    await w.run(5)
    assert w.weight == 2_500
    assert "advance" in same(replayed(w))
    held = [json.loads(line).get("held") for line in w.file.read_bytes().splitlines()]
    assert any("incident" in text for text in held if text)
    assert "waits for the disk" in held


@pytest.mark.parametrize("writing", [False, True])
async def test_what_a_gate_says_before_the_candidate_is_ready_convicts_nobody(
    recorded, policy, writing
):
    w = await recorded(with_rules(policy, steps=HALF, gates=f"[error_rate, {QUERY}]"))
    tell(w, healthy=True, ready=False)
    await w.order(Abort("ann"))
    await w.order(Retry("ann", force=True))
    assert w.rollout.standing
    run = w.reconciler.runs["r"]
    (gate,) = (one for one in run.record.pinned.policy.gates if one.kind == "prometheus")
    if writing:  # that it begins is decided, and not on the disk yet
        tell(w, healthy=True, ready=True)
        w.reconciler.turn()
        assert run.pending is not None
    for _ in range(3):
        w.reconciler.measured(run, gate.title, Measurement((0.2,)))
        w.reconciler.turn()
    tell(w, healthy=True, ready=True)
    await w.run(2)
    assert (w.rollout.phase, w.rollout.standing) == (Phase.PROGRESSING, False)
    assert same(replayed(w)) == ["abort", "retry", "begin"]


async def test_files_are_bounded_and_each_is_replayed_by_itself(recorded):
    w = await recorded(size="64KiB")
    await w.run(200, candidate=0.01, stable=0.01, tick=0.25)
    lines(w)
    files = sorted(w.file.parent.glob("rec*"))
    assert 3 <= len(files) <= 4
    assert all(file.stat().st_size < 150_000 for file in files)
    for file in files:
        assert [d for d in Replay().run(file.open("rb")) if d.difference] == []


async def test_a_restart_begins_a_new_file_that_goes_on(recorded):
    w = await recorded()
    await w.run(40, candidate=0.01, stable=0.01)
    w.reconciler.last_words()
    w.reconciler.recording.close()
    await w.start()
    await w.run(160, candidate=0.01, stable=0.01)
    assert "complete" in same(replayed(w))


@pytest.fixture
async def rolled_back(recorded):
    w = await recorded()
    await w.run(61, candidate=0.01, stable=0.01)
    await w.run(30, candidate=0.5, stable=0.01)
    return lines(w)


def forge(rows, change):
    """Change the objects and seal them anew, as somebody would who knows how."""
    made, before = [], ""
    for row in rows:
        line = json.loads(row)
        del line["digest"]
        for changed in change(line):
            content = json.dumps(changed, separators=(",", ":")).encode()
            before = digest(before, content)
            made.append(sealed(content, before))
    return made


def differences(rows):
    return [d.difference for d in Replay().run(rows) if d.difference]


async def test_a_changed_missing_or_moved_line_is_found(rolled_back):
    middle = len(rolled_back) // 2
    assert differences(rolled_back) == []
    changed = list(rolled_back)
    changed[middle] = changed[middle].replace(b'"t":', b'"t": ', 1)
    assert differences(changed) == ["it is not the line written here"]
    assert differences(rolled_back[:middle] + rolled_back[middle + 1 :])
    swapped = list(rolled_back)
    swapped[middle], swapped[middle + 1] = swapped[middle + 1], swapped[middle]
    assert differences(swapped)
    assert differences([b"hello\n"])


def fewer_bad(line):
    if line["kind"] == "batch":
        for cell in line["batch"]["cells"]:
            cell["candidate"]["bad"] = 0
    return [line]


def without_rollback(line):
    return [] if line["kind"] == "decide" and line["entry"]["action"] == "rollback" else [line]


def another_reason(line):
    if line["kind"] == "decide" and line["entry"]["action"] == "rollback":
        line["entry"]["reason"] = line["rollout"]["reason"] = "looked bad"
    return [line]


def other_numbers(line):
    if line["kind"] == "decide" and line["entry"]["evidence"]:
        line["entry"]["evidence"]["capital"] = 3.0
    return [line]


@pytest.mark.parametrize("change", [fewer_bad, without_rollback, another_reason, other_numbers])
async def test_a_recording_that_was_forged_with_care_comes_out_otherwise(rolled_back, change):
    assert differences(forge(rolled_back, lambda line: [line])) == []
    assert differences(forge(rolled_back, change))


def in_old_words(line):
    """As a router wrote it whose rollouts had an epoch."""
    text = json.dumps(line).replace('"revision":', '"epoch":')
    return [json.loads(text.replace('"step_revision":', '"step_epoch":'))]


async def test_a_recording_in_the_words_of_before_comes_out_the_same(rolled_back):
    old = forge(rolled_back, in_old_words)
    assert b'"epoch":' in b"".join(old)
    assert differences(old) == []


async def test_the_verb_tells_each_decision_and_its_exit_code(rolled_back, tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(b"".join(rolled_back))
    bad.write_bytes(b"".join(forge(rolled_back, another_reason)))

    told = rampway("replay", str(good))
    assert (told.code, "rollback: " in told.out, ", 0 different" in told.out) == (0, True, True)
    wrong = rampway("replay", str(bad))
    assert (wrong.code, "DIFFERENT" in wrong.out) == (1, True)
    assert rampway("replay", str(good), "-o", "json").json["different"] == 0
    assert rampway("replay", str(tmp_path / "none")).code == 2


def test_a_disk_that_fails_is_told_and_delays_nobody(tmp_path):
    writer = Writer(tmp_path / "no" / "where", 1)
    assert writer.put(b"x\n")
    writer.close()
    assert "No such file" in writer.error


def test_a_folder_is_not_put_aside_as_an_older_recording(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    writer = Writer(folder, 1)
    writer.put(b"x\n")
    writer.close()
    assert "Is a directory" in writer.error
    assert [one.name for one in tmp_path.iterdir()] == ["models"]


async def test_lines_that_were_lost_make_a_gap_and_a_new_beginning(recorded, monkeypatch):
    w = await recorded()
    await w.run(10, candidate=0.01, stable=0.01)
    put = Writer.put
    monkeypatch.setattr(Writer, "put", lambda *_: False)
    await w.run(1, candidate=0.01, stable=0.01)
    monkeypatch.setattr(Writer, "put", put)
    await w.run(190, candidate=0.01, stable=0.01)
    rows = lines(w)
    assert json.loads(rows[0])["kind"] == "gap"
    assert "complete" in [d.action for d in Replay().run(rows)]
    assert differences(rows) == []
