"""Every path that begins a rollout looks at *convicted*: one row a path, and no path without."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import router.control.rollouts
from router.control.state.errors import ControlError, PolicyRejected
from router.core.rollout.events import Abort, Promote, Retry, Rollback
from router.core.rollout.rollout import Phase
from router.core.wire.outcomes import ArmCounts, Batch, Cell

HALF = "[{weight: 50%, hold: 1h}]"
OTHER = "[{weight: 25%, hold: 1h}]"


async def restart(w, policy):
    await w.start()


async def forced_restart(w, policy):
    await w.start(force=True)


async def same_file(w, policy):
    await w.edit(policy(steps=HALF))


async def forced_file(w, policy):
    await w.edit(policy(steps=HALF), force=True)


async def other_plan(w, policy):
    await w.edit(policy(steps=OTHER))


async def other_place(w, policy):
    await w.edit(policy(steps=HALF, v2_port=9_077))


async def other_name(w, policy):
    await w.edit(policy(steps=HALF, candidate="v2b").replace("v2:", "v2b:"))


async def other_route(w, policy):
    await w.edit(policy(steps=HALF).replace("- name: r", "- name: q\n    formerly: r"))


async def taken_out_and_put_back(w, policy):
    await w.edit(policy(rollout=False))
    await w.edit(policy(steps=HALF))


async def git_revert(w, policy):
    await w.edit(policy(steps=HALF, candidate="v3", on_new="replace"))
    await w.edit(policy(steps=HALF, on_new="replace"))


async def after_a_good_end(w, policy):
    await w.edit(policy(steps=HALF, candidate="v3"))
    await w.order(Promote("ann", full=True))
    await w.edit(policy(steps=HALF, stable="v1"))
    await w.order(Promote("ann"))


async def after_a_bad_end(w, policy):
    await w.edit(policy(steps=HALF, candidate="v3", on_new="start"))
    await w.edit(policy(steps=HALF, on_new="start"))
    await w.order(Abort("ann"))


async def after_a_freeze(w, policy):
    await w.reconciler.freeze(True, "ann", "night")
    await w.edit(policy(steps=OTHER))
    await w.settle()
    await w.reconciler.freeze(False, "ann", "")


async def as_stable(w, policy):
    with pytest.raises(PolicyRejected, match="was taken back"):
        await w.edit(policy(stable="v2", rollout=False))


async def by_rollback_to(w, policy):
    await w.edit(policy(steps=HALF, candidate="v3"))
    with pytest.raises(ControlError, match="was taken back itself"):
        await w.order(Rollback("ann", to="v2"))


PATHS = [
    restart, forced_restart, same_file, forced_file, other_plan, other_place, other_name,
    other_route, taken_out_and_put_back, git_revert, after_a_good_end, after_a_bad_end,
    after_a_freeze, as_stable, by_rollback_to,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_what_was_convicted_gets_nothing_by(world, policy, path):
    w = await world(policy(steps=HALF)).start()
    await w.run(20, candidate=1.0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    before = len(w.disk.entries)
    await path(w, policy)
    for _ in range(5):
        await w.settle()
        await w.run(2)
    name = next(iter(w.reconciler.runs))
    assert not {"v2", "v2b"} & {*w.serving}, w.serving
    begun = [e.reason for e in w.disk.entries[before:] if e.action == "start"]
    assert not [reason for reason in begun if "of v2" in reason]
    if path in {restart, same_file, other_plan, other_route, taken_out_and_put_back}:
        w.reconciler.order(name, Retry("ann", force=True))
        await w.settle()
        assert "v2" in w.serving, "a person may"


EACH = "      for_each: {header: X-Country, values: [de, fr], rest: stable}\n"


def getting(w, version):
    """Routes that give anything to a version."""
    return [
        entry.name
        for entry in w.tables.last.routes
        for one, share in zip(entry.versions, entry.weights_bp, strict=True)
        if one.name == version and share
    ]


async def convicted_in(w, route):
    entry = next(one for one in w.tables.last.routes if one.name == route)
    cell = Cell(entry.weights_bp[entry.candidate], ArmCounts(0, 50, arrived=50),
                ArmCounts(50, 0, arrived=50), entry.thresholds_s)  # fmt: skip
    w.clock.advance(1.0)
    w.reconciler.observe((Batch(route, entry.revision, (cell,)),))
    await w.settle()
    assert w.reconciler.runs[route].rollout.phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("rest", ["stable", "rollout"])
async def test_what_was_convicted_stays_out_of_new_segments(world, policy, rest, restarted):
    w = await world(policy(steps=HALF)).start()
    await convicted_in(w, "r")
    w.text = policy(steps=HALF) + EACH.replace("rest: stable", f"rest: {rest}")
    await (w.start() if restarted else w.edit(w.text))
    await w.settle()
    assert getting(w, "v2") == []
    w.reconciler.order("r@de", Retry("ann", force=True))
    await w.settle()
    assert getting(w, "v2") == ["r@de"]
    await w.edit(w.text.replace("de, fr", "de, fr, at"))
    assert getting(w, "v2") == ["r@de"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_a_segment_convicted_stays_out_of_the_whole(world, policy, restarted):
    w = await world(policy(steps=HALF) + EACH).start()
    await convicted_in(w, "r@de")
    w.reconciler.order("r@fr", Abort("ann"))
    await w.settle()
    w.text = policy(steps=HALF)
    await (w.start() if restarted else w.edit(w.text))
    await w.settle()
    assert getting(w, "v2") == []
    w.reconciler.order("r", Retry("ann", force=True))
    await w.settle()
    assert getting(w, "v2") == ["r"]
    await w.start()
    assert getting(w, "v2") == ["r"], "a retry is one, through a restart"
    await w.order(Promote("ann", full=True))
    await w.order(Promote("ann"))
    assert w.reconciler.runs["r"].record.stable == "v2"
    assert not w.reconciler.runs["r"].record.blocked


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("formerly", ["", "\n    formerly: r"])
async def test_what_a_segment_convicted_stays_out_under_the_new_name_of_its_route(
    world, policy, formerly, restarted
):
    w = await world(policy(steps=HALF) + EACH).start()
    await convicted_in(w, "r@de")
    for _ in range(2):
        w.reconciler.order("r@fr", Promote("ann", full=True))
        await w.settle()
    assert getting(w, "v2") == ["r@fr"]
    w.text = (policy(steps=HALF) + EACH).replace("- name: r", f"- name: q{formerly}")
    await (w.start() if restarted else w.edit(w.text))
    await w.settle()
    assert getting(w, "v2") == ["q@fr"], "it was completed there, and convicted in the other"
    assert "q@fr goes on with the record of r@fr" in w.notes


def _called(node):
    """``name(...)`` or ``lifecycle.name(...)``; methods of others are not meant."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Name):
        return node.func.id
    home = getattr(node.func, "value", None)
    return node.func.attr if isinstance(home, ast.Name) and home.id == "lifecycle" else ""


def test_nothing_else_begins_a_rollout():
    """Who calls what makes one: a new caller needs a row above."""
    callers = set()
    for file in Path(router.control.rollouts.__file__).parent.glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                called = {_called(node) for node in ast.walk(function)}
                callers |= {
                    (file.name, function.name, made)
                    for made in ("begun", "begin", "_begin") if made in called
                }  # fmt: skip
    assert callers == {
        ("lifecycle.py", "begun", "begin"),
        ("lifecycle.py", "_begin", "begun"),
        ("lifecycle.py", "_new_candidate", "_begin"),
        ("lifecycle.py", "_beside_live", "_begin"),
        ("orders.py", "_retried", "begun"),
    }
