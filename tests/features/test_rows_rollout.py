"""Rows 1 to 30 of docs/features.md that no other test shows in one piece."""

from __future__ import annotations

import pytest

from router.control.state.errors import NotPossible
from router.core.rollout.events import Abort, Pause, Promote, Resume, Retry, Rollback
from router.core.rollout.rollout import Phase

DAY_S = 86_400


def path(w):
    """The weights that the candidate went through, in bp."""
    return [weight for _, _, _, weight in w.journal]


@pytest.mark.parametrize(
    ("strategy", "weights"),
    [
        ("canary: {steps: [{weight: 10%, hold: 5m}]}", [1_000, 10_000]),
        (
            "canary: {ramp: {linear: {step: 20%, to: 80%, hold: 1m}}}",
            [2_000, 4_000, 6_000, 8_000, 10_000],
        ),
        (
            "canary: {ramp: {exponential: {start: 5%, factor: 2, to: 40%, hold: 1m}}}",
            [500, 1_000, 2_000, 4_000, 10_000],
        ),
        ("canary: {steps: [{weight: 0.01%, until: {samples: 0}}, {weight: 33.33%, hold: 1m}]}",
         [1, 3_333, 10_000]),
        ("blue_green: {until: {samples: 0}}", [0, 10_000]),
        ("blue_green: {over: 2m}", [0, *range(500, 10_000, 500), 10_000]),
    ],
    ids=["two steps", "linear", "exponential", "hundredths of a percent", "all at once",
         "gradual switch"],
)  # fmt: skip
async def test_the_whole_way_of_a_strategy(world, policy, strategy, weights):
    w = await world(policy(strategy)).start()
    await w.run(420, rate=20, tick=1)
    assert w.rollout.phase is Phase.COMPLETED
    assert path(w) == weights
    assert w.serving == {"v2": 10_000}


async def test_an_approval_without_deadline_waits_for_a_person_for_ever(world, policy):
    w = await world(
        policy("canary: {steps: [{weight: 5%, approval: {}}, {weight: 50%, hold: 1h}]}")
    ).start()
    await w.run(7 * DAY_S, rate=0.01, tick=3_600)
    assert (w.rollout.phase, w.weight) == (Phase.AWAITING_APPROVAL, 500)
    await w.start()
    assert w.rollout.phase is Phase.AWAITING_APPROVAL, "over a restart as well"
    await w.order(Promote("ann", "looks good"))
    assert w.weight == 5_000


@pytest.mark.parametrize(
    ("then", "phase", "weight"),
    [("abort", Phase.ABORTED, 0), ("promote", Phase.PROGRESSING, 5_000),
     ("hold", Phase.AWAITING_APPROVAL, 500)],
)  # fmt: skip
async def test_an_approval_nobody_gives_ends_as_the_policy_says(world, policy, then, phase, weight):
    blind = "until: {samples: 0}"
    approval = f"approval: {{deadline: 4h, then: {then}}}"
    steps = f"[{{weight: 5%, {blind}, {approval}}}, {{weight: 50%, hold: 9h}}]"
    w = await world(policy(f"canary: {{steps: {steps}}}")).start()
    await w.run(4 * 3_600 - 60, rate=0.1, tick=30)
    assert (w.rollout.phase, w.weight) == (Phase.AWAITING_APPROVAL, 500)
    await w.run(120, rate=0.1, tick=30)
    assert (w.rollout.phase, w.weight) == (phase, weight)
    if then != "hold":
        assert "4h" in w.disk.entries[-1].reason, "the journal says why"


async def test_the_switch_of_a_blue_green_comes_by_itself_after_its_preview(world, policy):
    """The candidate has nobody, then everybody; the old version is in the table all the time."""
    w = await world(policy("blue_green: {mirror: 50%, hold: 5m, bake: 10m}")).start()
    assert w.serving == {"v1": 10_000}
    assert w.entry.mirrors[0].share_bp == 5_000
    await w.run(299)
    assert w.serving == {"v1": 10_000}
    await w.run(2)
    assert (w.rollout.phase, w.serving) == (Phase.BAKING, {"v2": 10_000})
    assert {v.name for v in w.entry.versions} >= {"v1", "v2"}, "the old version stays connected"
    await w.order(Rollback("ann"))
    assert w.serving == {"v1": 10_000}


async def test_only_a_preview_lets_its_testers_in_by_pin_or_rule(world, policy):
    text = policy("blue_green: {hold: 1h, approval: {}}").replace(
        "stable: v1",
        "stable: v1\n    pin: true\n    rules: [{match: {headers: {x-team: qa12}}, version: v2}]",
    )
    w = await world(text).start()
    assert w.serving == {"v1": 10_000}
    names = [v.name for v in w.entry.versions]
    assert names.index("v2") in w.entry.pinnable
    assert [names[rule.version] for rule in w.entry.rules] == ["v2"]


@pytest.mark.parametrize(
    "strategy",
    [
        "canary: {steps: [{weight: 50%, hold: 10s}], bake: 1h}",
        "blue_green: {hold: 10s, mirror: 100%, bake: 1h}",
        "shadow: {mirror: 50%, hold: 10s, then: {blue_green: {bake: 1h}}}",
    ],
)
async def test_every_strategy_bakes_and_what_turns_bad_in_it_is_taken_back(world, policy, strategy):
    w = await world(policy(strategy)).start()
    await w.run(30)
    assert (w.rollout.phase, w.serving) == (Phase.BAKING, {"v2": 10_000})
    await w.run(10, candidate=0.9)
    assert w.rollout.phase is Phase.ROLLED_BACK
    assert w.serving == {"v1": 10_000}
    assert w.rollout.reason.startswith(("guard", "error_rate")), "braked, there is a coin again"


async def test_a_version_taken_back_stays_connected_and_probed(world, policy):
    text = policy("canary: {steps: [{weight: 50%, hold: 1h}]}").replace(
        "v2: {endpoints: [http://127.0.0.1:9002]}",
        "v2: {endpoints: [http://127.0.0.1:9002], health: {path: /ready}}",
    )
    w = await world(text).start()
    await w.order(Abort("ann"))
    assert w.serving == {"v1": 10_000}
    (kept,) = [v for v in w.entry.versions if v.name == "v2"]
    assert kept.health.path == "/ready"


async def test_pause_abort_retry_and_undo_by_hand(world, policy):
    w = await world(policy("canary: {steps: [{weight: 10%, hold: 1m}], bake: 1m}")).start()
    await w.order(Pause("ann"))
    await w.run(DAY_S / 4, rate=0.1, tick=60)
    assert w.weight == 1_000
    await w.order(Resume("ann"))
    await w.order(Abort("ann", "not today"))
    assert (w.weight, w.rollout.phase.health) == (0, "Degraded")
    await w.order(Retry("ann"))
    await w.run(180)
    assert w.rollout.phase is Phase.COMPLETED
    await w.order(Rollback("ann", "customers complain"))
    assert w.serving == {"v1": 10_000}
    with pytest.raises(NotPossible):
        w.reconciler.order("r", Promote("ann"))


async def test_an_older_version_comes_back_by_naming_it_stable(world, policy):
    """What undo cannot reach (two versions ago) is an edit; it holds at once, without steps."""
    first = policy("canary: {steps: [{weight: 50%, hold: 10s}]}")
    w = await world(first).start()
    await w.run(60)
    assert w.serving == {"v2": 10_000}
    without = first.split("    rollout:")[0]
    await w.edit(without.replace("stable: v1", "stable: v3"))
    assert w.serving == {"v3": 10_000}
    await w.edit(without)
    assert w.serving == {"v1": 10_000}


async def test_an_undecided_rollout_has_an_end(world, policy):
    """Samples that never come: the rollout stands, and after its longest duration goes back."""
    strategy = "canary: {steps: [{weight: 5%, until: {samples: 1000000}}]}"
    more = "max_duration: 2h\n      on_inconclusive: rollback"
    w = await world(policy(strategy, more)).start()
    await w.run(7_140, rate=1, tick=30)
    assert (w.rollout.phase, w.weight) == (Phase.PROGRESSING, 500)
    await w.run(120, rate=1, tick=30)
    assert (w.rollout.phase, w.weight) == (Phase.ROLLED_BACK, 0)
    assert "2h" in w.rollout.reason
