"""R13-R16: a policy comes into force whole or not at all, and never moves a rollout by itself."""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path

import pytest

from router.control.state.errors import PolicyRejected
from tests.control.conftest import World, canary
from tests.reliability.whole import Load, asked, in_thread, policy_text, promised, until

BROKEN = sorted((Path(__file__).parents[1] / "config" / "broken").glob("*.yaml"))


@pytest.fixture(scope="module")
def router(shared, nursery):
    shared.write(rollout=None)
    return nursery.start(shared)


def reload(router, text):
    """The answer to an edit and an order to read it, and how long it took."""
    router.policy.write_bytes(text if isinstance(text, bytes) else text.encode())
    began = time.monotonic()
    status, said = router.api("/api/v1/reload", "POST", {})
    return status, said, time.monotonic() - began


def spoiled(good):
    """What editors, merges and attackers make of a file: (name, content)."""
    yield from ((file.stem, file.read_bytes()) for file in BROKEN)
    yield "duplicate key", good.replace("stable: v1", "stable: v1\n    stable: v2")
    yield "unknown key", good.replace("stable: v1", "stabel: v1")
    yield "wrong type", good.replace("workers: 1", "workers: many")
    yield "not a number", good.replace("workers: 1", "workers: .nan")
    yield "tab", good.replace("    stable", "\tstable")
    yield "NUL", good.replace("stable: v1", "stable: v\0")
    yield "a megabyte", good + "# " + "x" * 1_050_000
    yield "empty", ""
    yield "half a file", good[: len(good) // 2]
    yield "Latin-1", good.encode() + "# Größe".encode("latin-1")


@pytest.mark.slow
async def test_r13_a_broken_edit_changes_nothing_and_is_named(shared, router):
    good = shared.file.read_text()
    count = 0
    async with Load(router.port, kept=2, fresh=1) as load:
        for name, text in spoiled(good):
            status, said, _ = await in_thread(reload, router, text)
            assert status == 422, (name, said)
            assert said["problems"], name
            for problem in said["problems"]:
                assert problem["file"] == str(shared.file)
                assert (problem["line"], problem["column"]) >= (1, 1), (name, problem)
                assert problem["message"]
            count += 1
        assert any(p.startswith("policy") for p in router.api("/healthz")[1]["problems"])
        status, said, _ = await in_thread(reload, router, good)
        assert (status, router.api("/healthz")[1]["problems"]) == (200, [])
    assert count >= 16
    assert load.tally.lost == []
    assert set(load.tally.statuses) == {200}
    assert set(load.tally.versions) == {"v1"}


@pytest.mark.slow
async def test_r14_reloads_under_load_lose_nothing(shared, router):
    """3 reloads in 2 s with other limits and versions, kept and fresh clients."""
    good = shared.file.read_text()
    edits = [good.replace("drain: 5s", f"drain: {n}s, header_timeout: {n}s") for n in (3, 4)]
    accepted = _accepted(router)
    async with Load(router.port, kept=4, fresh=4, pause_s=0.005) as load:
        for text in (*edits, good):
            known = _accepted(router)
            shared.file.write_text(text)
            router.process.send_signal(signal.SIGHUP)
            await in_thread(until, lambda: _accepted(router) > known)  # noqa: B023
        await load.more(max(1_001 - load.tally.answered, 1), 60)
    seen = _accepted(router)
    print(f"{load.tally.answered} answered over {seen - accepted} reloads")
    assert seen >= accepted + 3
    assert load.tally.lost == []
    assert load.tally.statuses == {200: load.tally.answered}


def _accepted(router):
    return sum(line["event"] == "policy_accepted" for line in router.lines())


def bomb():
    lines = ["a0: &a0 [" + "x," * 9 + "x]"]
    lines += [f"a{n}: &a{n} [" + f"*a{n - 1}," * 9 + f"*a{n - 1}]" for n in range(1, 9)]
    return "\n".join(lines)


HOSTILE = {
    "alias bomb": bomb(),
    "object tag": "routes: !!python/object/apply:os.system ['touch hacked']",
    "deep brackets": "routes: " + "[" * 5_000 + "]" * 5_000,
    "merge bomb": "a: &a {<<: *a}\n",
    "file of the system": "listen: ${file:/proc/self/environ}\n",
    "many keys": "\n".join(f"k{n}: 1" for n in range(60_000)),
}


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


@pytest.mark.slow
async def test_r15_a_hostile_file_costs_nobody_anything(shared, router):
    good = shared.file.read_text()
    await in_thread(reload, router, good)
    before = resident_kb(router.process.pid)
    for name, text in HOSTILE.items():
        status, said, took_s = await in_thread(reload, router, text)
        assert status == 422, name
        assert took_s < promised(0.5), (name, took_s)
        assert "environ" not in str(said) or "PATH=" not in str(said)
        assert (await asked(router.port, 4)).statuses == {200: 4}
    assert not (Path.cwd() / "hacked").exists()
    assert resident_kb(router.process.pid) - before < 30_000
    await in_thread(reload, router, good)


# --- R16: every edit at every step -----------------------------------------------------------


async def at_step(step):
    """A world whose rollout is at a step of its canary (0, 1) or in its bake (2)."""
    w = await World().start()
    for _ in range(step):
        await w.run(61)
    assert w.rollout.phase.value == ("baking" if step == 2 else "progressing")
    return w


def position(w):
    return w.rollout.id, w.rollout.phase, w.rollout.step, w.weight


EDITS = {
    "the same file": canary(),
    "a comment": canary() + "\n# nothing\n",
    "other steps": canary(steps="[{weight: 50%, hold: 1s}]"),
    "a longer bake": canary(bake="9h"),
    "no rollout": canary(rollout=False),
    "another candidate": canary(candidate="v3"),
}


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("edit", EDITS)
async def test_r16_an_edit_never_moves_a_running_rollout(step, edit):
    w = await at_step(step)
    before = position(w)
    await w.edit(EDITS[edit])
    assert position(w) == before


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("gone", ["v1", "v2"])
async def test_r16_a_version_that_serves_cannot_go_unless_forced(step, gone):
    w = await at_step(step)
    before, sent = position(w), len(w.tables.sent)
    text = re.sub(rf"\n +{gone}: .*", "", canary(stable="v3", candidate="v3"))
    text = text[: text.index("    rollout:")]
    with pytest.raises(PolicyRejected, match=gone):
        await w.edit(text)
    assert (position(w), len(w.tables.sent)) == (before, sent), "nothing half applied"
    await w.edit(text, force=True)
    assert w.serving == {"v3": 10_000} or gone == "v2"
    assert gone not in w.serving or w.serving == {"v1": 10_000}


@pytest.mark.parametrize("step", range(3))
async def test_r16_a_changed_target_restarts_the_analysis_at_step_0(step):
    w = await at_step(step)
    before = w.rollout
    await w.edit(canary(v2_port=9_999))
    assert (w.rollout.step, w.weight) == (0, 100)
    assert w.rollout.id != before.id
    assert w.record.revision > before.revision


async def test_r16_any_edits_in_any_order_move_nothing():
    seed = random.randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    w = await at_step(1)
    before = position(w)
    for _ in range(30):
        await w.edit(EDITS[rng.choice(list(EDITS))])
        if rng.random() < 0.2:
            await w.start()
        assert position(w) == before


@pytest.mark.slow
async def test_r16_the_real_program_refuses_to_lose_the_version_that_serves(site, nursery):
    """v2 was promoted and is stable by the record; the file still says v1, and forgets v2."""
    router = await in_thread(nursery.start, site.write())
    await in_thread(router.order, "promote", full=True, reason="now")
    await in_thread(router.order, "promote", reason="no bake")
    await in_thread(until, lambda: router.position()[1] == "completed")
    before = await in_thread(router.position)
    text = policy_text(site.folder, site.services).replace(
        f'      v2: {{endpoints: ["{site.services[1].url}"]}}\n', ""
    )
    text = text[: text.index("    rollout:")]
    status, said, _ = await in_thread(reload, router, text)
    assert status == 422
    assert "v2" in said["problems"][0]["message"]
    assert await in_thread(router.position) == before
    assert (await asked(router.port, 20)).statuses == {200: 20}
    await in_thread(until, lambda: router.heard("policy_rejected"))
