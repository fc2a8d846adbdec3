"""A renamed route keeps its record; nobody else gets it."""

from __future__ import annotations

import pytest

from router.config import PolicyError, loads
from router.control.state.errors import PolicyRejected
from router.core.rollout.events import Abort, Promote, Retry
from router.core.rollout.rollout import Phase

HALF = "[{weight: 50%, hold: 1h}]"


def named(text, name, formerly=""):
    more = f"\n    formerly: {formerly}" if formerly else ""
    return text.replace("- name: r", f"- name: {name}{more}")


def run(w):
    return next(iter(w.reconciler.runs.values()))


async def completed(world, text):
    w = await world(text).start()
    await w.order(Promote("ann", full=True))
    await w.order(Promote("ann"))
    assert w.serving == {"v2": 10_000}
    return w


@pytest.mark.parametrize("formerly", ["", "r"])
@pytest.mark.parametrize("restart", [False, True])
async def test_a_completed_route_that_is_renamed_keeps_its_record(world, policy, formerly, restart):
    text = policy(steps=HALF)
    w = await completed(world, text)
    for name, before in (("q", formerly), ("q", formerly)):
        w.text = named(text, name, before)
        await (w.start() if restart else w.edit(w.text))
        assert w.serving == {"v2": 10_000}
    assert run(w).record.route == run(w).rollout.route == "q"
    w.text = named(text, "z", "q" if formerly else "")
    await (w.start() if restart else w.edit(w.text))
    assert w.notes[0] == "z goes on with the record of q"
    assert w.serving == {"v2": 10_000}
    assert [e.action for e in w.disk.entries].count("start") == 1
    renamed = [e for e in w.disk.entries if e.action == "rename"]
    assert [(e.route, e.phase_to) for e in renamed] == [("q", "completed"), ("z", "completed")]
    assert renamed[-1].reason.startswith("goes on with the record of q: ")


async def test_a_crash_never_parts_a_renamed_record_from_what_its_journal_says(world, policy):
    """Night 60: in two transactions, a kill between them left a record that nothing explains."""
    w = await completed(world, policy(steps=HALF))
    written, commit = [], w.store.commit
    w.store.commit = lambda change: written.append(change) or commit(change)
    await w.edit(named(policy(steps=HALF), "q"))
    (change,) = [one for one in written if "rename" in {entry.action for entry in one.entries}]
    assert "q" in {record.route for record in change.records}


async def test_what_was_convicted_stays_out_under_the_new_name_of_its_route(world, policy):
    text = policy(steps=HALF)
    w = await world(text).start()
    await w.run(20, candidate=1.0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    await w.edit(named(text, "q"))
    assert w.serving == {"v1": 10_000}
    w.reconciler.order("q", Retry("ann", force=True))
    await w.settle()
    assert w.serving == {"v1": 5_000, "v2": 5_000}


async def test_the_old_name_begins_anew_with_ids_of_its_own(world, policy):
    text = policy(steps=HALF)
    w = await completed(world, text)
    await w.edit(named(text, "q"))
    other = text.replace(":9002", ":9077").partition("routes:\n")[2].replace("/v2/*", "/other")
    both = named(text, "q") + other
    await w.edit(both)
    assert w.reconciler.runs["r"].rollout.id == "r-2", "an id is never given twice"
    assert w.reconciler.runs["q"].record.stable == "v2"
    w.text = both
    await w.start()
    assert w.reconciler.runs["r"].rollout.id == "r-2"
    assert w.reconciler.runs["q"].record.stable == "v2"


@pytest.mark.parametrize("change", [(":9002", ":9055"), ("v2:", "v2c:")])
async def test_a_route_of_other_versions_is_another_route(world, policy, change):
    text = policy(steps=HALF)
    w = await completed(world, text)
    new = named(text, "q").replace(*change).replace("candidate: v2", "candidate: v3")
    await w.edit(new)
    assert w.serving == {"v1": 5_000, "v3": 5_000}
    assert not w.notes


async def test_two_new_routes_that_fit_get_nothing_and_formerly_decides(world, policy):
    text = policy(steps=HALF)
    w = await completed(world, text)
    second = text.partition("routes:\n")[2].replace("- name: r", "- name: p")
    twins = named(text, "q") + second.replace("/v2/*", "/other")
    await w.edit(twins)
    assert {r.record.stable for r in w.reconciler.runs.values()} == {"v1"}
    w = await completed(world, text)
    await w.edit(twins.replace("- name: p", "- name: p\n    formerly: r"))
    assert {n: r.record.stable for n, r in w.reconciler.runs.items()} == {"q": "v1", "p": "v2"}


async def test_a_live_one_is_not_renamed_away(world, policy):

    w = await world(policy(steps=HALF)).start()
    with pytest.raises(PolicyRejected, match="abort it first"):
        await w.edit(named(policy(steps=HALF), "q", "r"))
    assert set(w.reconciler.runs) == {"r"}


@pytest.mark.parametrize(
    ("more", "said"),
    [("formerly: p", "a name that no route has"), ("formerly: x", "one route that was 'x'")],
)
def test_a_former_name_is_nobodys_and_one_routes(policy, more, said):
    text = policy(rollout=False)
    second = text.partition("routes:\n")[2].replace("- name: r", "- name: p\n    formerly: x")
    with pytest.raises(PolicyError, match=said):
        loads(named(text, f"r\n    {more}") + second.replace("/v2/*", "/other"))


EACH = "      for_each: {header: X-Country, values: [de, fr], rest: stable}\n"


def begun(w):
    return [entry.route for entry in w.disk.entries if entry.action == "start"]


@pytest.mark.parametrize("restart", [False, True])
async def test_segments_of_a_completed_route_go_on_with_its_record(world, policy, restart):
    text = policy(steps=HALF)
    w = await completed(world, text)
    w.text = text + EACH
    await (w.start() if restart else w.edit(w.text))
    assert {name: run.record.stable for name, run in w.reconciler.runs.items()} == dict.fromkeys(
        ("r@de", "r@fr", "r"), "v2"
    )
    await w.edit(w.text.replace("de, fr", "de, fr, at"))
    assert w.reconciler.runs["r@at"].record.stable == "v2"
    assert begun(w) == ["r"], "nobody goes back to v1 to begin anew"
    assert "r@at goes on with the record of r" in w.notes


@pytest.mark.parametrize("restart", [False, True])
async def test_a_route_without_its_segments_goes_on_where_they_all_came_to(world, policy, restart):
    text = policy(steps=HALF)
    w = await world(text + EACH).start()
    for name in ("r@de", "r@fr"):
        for _ in range(2):
            w.reconciler.order(name, Promote("ann", full=True))
            await w.settle()
    w.text = text
    await (w.start() if restart else w.edit(text))
    assert w.serving == {"v2": 10_000}
    assert begun(w) == ["r@de", "r@fr"]
    before = w.record
    await w.start()
    assert w.record == before
    await w.edit(text + EACH)
    assert {run.record.stable for run in w.reconciler.runs.values()} == {"v2"}
    assert begun(w) == ["r@de", "r@fr"]


async def test_where_segments_differ_their_route_stays_where_it_was(world, policy):
    text = policy(steps=HALF)
    w = await world(text + EACH).start()
    for _ in range(2):
        w.reconciler.order("r@de", Promote("ann", full=True))
        await w.settle()
    w.clock.advance(1.0)
    w.reconciler.order("r@fr", Abort("ann"))
    await w.settle()
    await w.edit(text)
    assert w.serving == {"v1": 10_000}
    assert w.rollout.phase is Phase.ABORTED
    await w.order(Retry("ann", force=True))
    assert w.serving == {"v1": 5_000, "v2": 5_000}
    assert w.rollout.id == "r-1" or w.rollout.id.startswith("r@fr-")
