"""Each rule of a policy about deciding, from its YAML to the journal, in virtual time."""

from __future__ import annotations

import re

import pytest

from router.control.outside.measure import Inquiry
from router.control.told.status import rollout_view, route_gauges
from router.core.gates.gate import BRAKE_BP, Measurement
from router.core.rollout.events import Promote
from router.core.rollout.rollout import Phase
from router.core.wire.outcomes import ArmCounts, Batch, Cell

ONE_STEP = "[{weight: 10%, hold: 120s}]"


def with_rules(policy, *lines, gates="[error_rate]", **settings):
    text = policy(**{"steps": ONE_STEP, **settings})
    text = text.replace("gates: [error_rate, {guard: {error_rate: 20%}}]", f"gates: {gates}")
    return text.replace(
        "on_new_candidate: queue", "\n      ".join(["on_new_candidate: queue", *lines])
    )


def view(w):
    run = w.reconciler.runs["r"]
    return rollout_view(
        run, run.record.carried, w.reconciler.observatory, 1, w.clock.now()
    ).to_json()


def gauge(w, name):
    """Of every route."""
    told = (route_gauges(run, w.reconciler.observatory) for run in w.reconciler.runs.values())
    return {labels: value for one in told for found, labels, value in one if found == name}


async def test_max_bad_responses_takes_a_tolerable_candidate_back(world, policy):
    """Both fail alike, so there is no evidence; the operator's own limit is reached."""
    w = await world(with_rules(policy, "max_bad_responses: 6")).start()
    await w.run(60, candidate=0.1, stable=0.1, tick=0.25)
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert re.match(r"max_bad_responses: candidate failed in [67] of \d\d ", w.rollout.reason)
    assert "limit 6 bad answers" in w.rollout.reason
    assert w.weight == 0


async def test_without_data_a_rollout_holds_and_says_so(world, policy):
    w = await world(with_rules(policy, "on_no_data: {after: 30s, then: hold}")).start()
    await w.run(200, rate=0)
    assert (w.rollout.phase, w.weight) == (Phase.PROGRESSING, 1_000)
    seen = view(w)
    assert seen["action"] == "hold"
    assert seen["sentence"].startswith("on_no_data: no candidate answer for 3m20s, limit 30s")
    await w.run(10)
    assert w.rollout.phase is not Phase.PROGRESSING, "its time had passed; data was all it lacked"


async def test_without_data_a_rollout_is_taken_back_where_the_policy_says_abort(world, policy):
    w = await world(with_rules(policy, "on_no_data: {after: 30s, then: abort}")).start()
    await w.run(20)
    await w.run(29, rate=0)
    assert w.weight == 1_000
    await w.run(3, rate=0)
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert w.rollout.reason.startswith("on_no_data: no candidate answer for 30s, limit 30s; ")


@pytest.mark.parametrize(
    ("choice", "phase", "serving"),
    [
        ("rollback", Phase.ROLLED_BACK, {"v1"}),
        ("promote", Phase.COMPLETED, {"v2"}),
        ("hold", Phase.AWAITING_APPROVAL, {"v1", "v2"}),
    ],
)
async def test_an_undecided_rollout_ends_as_the_policy_says(world, policy, choice, phase, serving):
    """A proof of 0.1 points needs thousands of requests; five minutes bring twelve hundred."""
    rules = "promotion: {margin: 0.1%}", "max_duration: 5m", f"on_inconclusive: {choice}"
    text = with_rules(policy, *rules)
    written = next(line for line in text.splitlines() if "strategy:" in line)
    w = await world(
        text.replace(written.strip(), "strategy: {canary: {ramp: {auto: {hold: 1s}}, bake: 0s}}")
    ).start()
    await w.run(299, rate=4)
    assert w.rollout.phase is Phase.PROGRESSING
    assert 0 < w.weight <= 5_000
    await w.run(5, rate=4)
    assert w.rollout.phase is phase
    assert set(w.serving) == serving
    if choice != "hold":
        assert "5m" in w.rollout.reason


async def test_without_an_answer_nothing_is_promoted_but_by_a_person(world, policy):
    steps = "[{weight: 50%, hold: 5s}]"
    w = await world(policy(steps=steps, bake="5s")).start()
    await w.run(100, rate=0)
    assert (w.rollout.phase, w.weight) == (Phase.PROGRESSING, 5_000)
    assert "not enough yet: error_rate has 0 of " in view(w)["waits_for"]
    await w.order(Promote("ann", "it is Friday"))
    assert "it is Friday; not enough yet: error_rate has 0 of" in w.disk.entries[-1].reason
    await w.run(100, rate=0)
    assert w.rollout.phase is Phase.BAKING
    assert "guard has 0 of" in view(w)["waits_for"], "at 100 % only the guard can learn"
    await w.run(10, rate=100)
    assert w.rollout.phase is Phase.COMPLETED


async def test_a_gate_in_dry_run_reports_and_never_acts(world, policy):
    gates = "[{error_rate: {dry_run: true}}, {guard: {error_rate: 50%}}]"
    w = await world(with_rules(policy, gates=gates, bake="5s")).start()
    await w.run(60, candidate=0.3)
    assert w.rollout.phase is Phase.PROGRESSING
    (report,) = (gate for gate in view(w)["gates"] if gate["name"] == "error_rate")
    assert (report["verdict"], report["dry_run"]) == ("fail", True)
    assert report["evidence"] > 1_000
    await w.run(70, candidate=0.3)
    assert w.rollout.phase is Phase.COMPLETED
    assert not [e for e in w.disk.entries if e.action == "rollback"]


async def test_suspicion_at_the_hold_level_keeps_the_weight_until_it_passes(world, policy):
    w = await world(with_rules(policy, "hold_level: 2")).start()
    await w.run(118)
    entry = w.entry
    judge = w.reconciler.runs["r"].trial.judge
    while judge.capital < 2:
        w.reconciler.observe((Batch("r", entry.revision, (Cell(1_000, ArmCounts(bad=1)),)),))
    await w.settle()
    assert judge.capital < 100
    await w.run(6, rate=1)
    assert (w.rollout.phase, w.weight) == (Phase.PROGRESSING, BRAKE_BP), "risk down acts first"
    assert "no more traffic at 2 : 1 or above" in view(w)["sentence"]
    await w.run(20, rate=200)
    assert w.rollout.phase is Phase.BAKING
    assert not [e for e in w.disk.entries if e.action == "rollback"]


def crooked(w, requests, *, share):
    """Arrivals of a router that forgets its weight: the candidate gets ``share`` of them."""
    entry = w.entry
    c = round(requests * share)
    arms = ArmCounts(ok=c, arrived=c), ArmCounts(ok=requests - c, arrived=requests - c)
    w.reconciler.observe((Batch("r", entry.revision, (Cell(1_000, *arms),)),))


async def test_a_split_that_is_not_as_weighted_is_the_router_s_bug(world, policy):
    w = await world(with_rules(policy)).start()
    await w.run(30)
    before = gauge(w, "router_bug_evidence")
    assert max(before.values()) < 1_000
    for _ in range(4):
        crooked(w, 1_000, share=0.2)
        await w.settle()
    await w.run(200)
    (told,) = (e for e in w.told.entries if e.action == "router_bug")
    assert told.reason.startswith("router bug, not the candidate's: ")
    assert [e.action for e in w.disk.entries] == ["start", "router_bug"]
    assert (w.rollout.phase, w.weight) == (Phase.PROGRESSING, 1_000), "held, not rolled back"
    assert view(w)["action"] == "hold"
    assert any(note.startswith("router bug") for note in view(w)["notes"])
    assert max(gauge(w, "router_bug_evidence").values()) >= 10_000


async def test_a_known_bug_is_not_told_again_after_a_restart(world, policy):
    w = await world(with_rules(policy)).start()
    crooked(w, 4_000, share=0.2)
    await w.settle()
    w.reconciler.last_words()
    await w.settle()
    await w.start()
    await w.run(5)
    assert [e.action for e in w.disk.entries].count("router_bug") == 1
    assert view(w)["action"] == "hold"


QUERY = "{prometheus: {url: 'http://127.0.0.1:9', query: up, at_least: 0.9, failure_limit: 1}}"


async def test_answers_from_outside_decide_beside_the_evidence(world, policy):
    w = await world(with_rules(policy, gates=f"[error_rate, {QUERY}]")).start()
    run = w.reconciler.runs["r"]
    (gate,) = (gate for gate in run.record.pinned.policy.gates if gate.kind == "prometheus")
    asked = Inquiry("r", gate, {})
    await w.run(130)
    assert (w.rollout.phase, w.weight) == (Phase.PROGRESSING, 1_000), "nothing measured yet"
    for value in (1.0, 0.5):
        w.reconciler.measured(run, asked.gate.title, Measurement((value,)))
        await w.settle()
    assert w.rollout.phase is Phase.BAKING or w.rollout.phase is Phase.PROGRESSING
    w.reconciler.measured(run, asked.gate.title, Measurement((0.2,)))
    await w.run(1)
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert "outside in 2 of 3 measurements, limit 1" in w.rollout.reason
